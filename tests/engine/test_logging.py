"""What a script shows of its runs, `get_run_logger`, and `print` that goes to the log."""

from __future__ import annotations

import builtins
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scripts import run_script
from tests.engine.watched import open_runtime

from actwright import flow, get_run_logger, run_flow, task
from actwright.exceptions import MissingContextError

HISTORY = "History is kept in HOME/actwright.db."

FLOWS = """
import logging, sys
import anyio
from actwright import Runtime, flow, get_run_logger, run_flow, task

@task
def part():
    get_run_logger().info("in the task")

@flow(flow_run_name="nightly")
def work():
    get_run_logger().info("in the flow")
    part()

@flow(flow_run_name="nightly")
async def work_async():
    get_run_logger().info("in the flow")
    part()
"""


def with_home(text: str) -> str:
    """The same wherever the home of this test is."""
    text = text.replace(os.environ["ACTWRIGHT_HOME"], "HOME")
    return re.sub(r"(?m)^.*, on a file system \(.*\n", "", text)  # said where this machine keeps its home in memory


def messages(stderr: str) -> list[str]:
    """The log lines of a script, without their times and without the ids in the names of task runs."""
    shown = with_home(stderr).splitlines()
    lines = [re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} \| (\w+) +\| (.*)", line) for line in shown]
    return [re.sub(r"'part-\w+'", "'part'", f"{line[1]}: {line[2]}") for line in lines if line]


SHOWN = [
    f"INFO: {HISTORY}",
    "INFO: Flow run 'nightly' - Beginning, for flow 'work'",
    "INFO: Flow run 'nightly' - in the flow",
    "INFO: Task run 'part' - Beginning, for task 'part'",
    "INFO: Task run 'part' - in the task",
    "INFO: Task run 'part' - Finished in state Completed()",
    "INFO: Flow run 'nightly' - Finished in state Completed()",
]


def test_a_script_sees_the_lines_of_its_runs_on_stderr_and_once_where_history_is_kept(tmp_path: Path) -> None:
    ran = run_script(tmp_path, FLOWS + "work()\nwork()")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    assert messages(ran.stderr) == SHOWN + SHOWN[1:]
    assert len(ran.stderr.splitlines()) == 2 * len(SHOWN) - 1


@pytest.mark.parametrize("main", ["anyio.run(work_async)", "anyio.run(run_flow, work_async)"])
def test_a_script_with_a_loop_of_its_own_sees_them_too(tmp_path: Path, main: str) -> None:
    ran = run_script(tmp_path, FLOWS + main)
    assert messages(ran.stderr) == [line.replace("'work'", "'work-async'") for line in SHOWN]


def test_a_runtime_that_a_program_opens_itself_shows_nothing(tmp_path: Path) -> None:
    ran = run_script(
        tmp_path,
        FLOWS
        + """
async def main():
    async with Runtime() as runtime:
        await work_async()
        await run_flow(work)
        await runtime.submit(work)
        work()
    print(logging.getLogger("actwright").handlers, logging.getLogger().handlers)

anyio.run(main)
""",
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout == "[] []\n"


def test_importing_and_writing_flows_shows_nothing(tmp_path: Path) -> None:
    assert run_script(tmp_path, FLOWS).stderr == ""


def test_logging_that_a_script_configured_is_left_alone(tmp_path: Path) -> None:
    ran = run_script(
        tmp_path,
        FLOWS
        + """
logging.basicConfig(level=logging.INFO, format="mine: %(message)s", stream=sys.stdout)
work()
print(logging.getLogger("actwright").handlers)
""",
    )
    assert ran.stderr == ""
    *lines, handlers = with_home(ran.stdout).splitlines()
    assert handlers == "[]"
    assert lines[0] == f"mine: {HISTORY}"
    assert all(line.startswith("mine: ") for line in lines)
    assert "mine: Flow run 'nightly' - in the flow" in lines


def test_a_level_that_a_script_set_is_left_alone(tmp_path: Path) -> None:
    ran = run_script(tmp_path, FLOWS + "logging.getLogger('actwright').setLevel(logging.ERROR)\nwork()")
    assert ran.stderr == ""


def test_a_failed_run_shows_its_traceback(tmp_path: Path) -> None:
    ran = run_script(
        tmp_path,
        FLOWS
        + """
@flow(flow_run_name="nightly")
def fails():
    raise ValueError("oops")

fails(return_state=True)
""",
    )
    assert "ERROR: Flow run 'nightly' - The body raised ValueError: oops" in messages(ran.stderr)
    assert "ERROR: Flow run 'nightly' - Finished in state Failed('The body raised ValueError: oops')" in messages(
        ran.stderr
    )
    assert 'raise ValueError("oops")' in ran.stderr


def test_a_run_that_is_tried_again_says_so_between_its_failures(tmp_path: Path) -> None:
    ran = run_script(
        tmp_path,
        FLOWS
        + """
@flow(flow_run_name="nightly", retries=2, retry_delay_seconds=[0.01, 0.02])
def fails():
    raise ValueError("oops")

fails(return_state=True)
""",
    )
    failure = "ERROR: Flow run 'nightly' - The body raised ValueError: oops"
    assert messages(ran.stderr)[2:-1] == [
        failure,
        "INFO: Flow run 'nightly' - Retry 1 of 2 follows in 0.01 s",
        failure,
        "INFO: Flow run 'nightly' - Retry 2 of 2 follows in 0.02 s",
        failure,
    ]


# As JSON


IN_ALL_PLACES = """
import os
from pydantic import SecretStr
from actwright import flow, get_run_logger, task

@task(isolation="process", task_run_name="part")
def part():
    get_run_logger().warning("in the task", extra={"pid": os.getpid(), "key": SecretStr("hush"), "of": float("nan")})
    raise ValueError("oops")

def hook(*_):
    get_run_logger().info("in the hook", extra={"hook": 1})

async def async_hook(*_):
    get_run_logger().error("in the async hook")

@flow(flow_run_name="100 % sure", log_prints=True, on_completion=[hook, async_hook])
def work():
    get_run_logger().info("in the %s", "flow", extra={"pid": os.getpid()})
    print("printed")
    part(return_state=True)

if __name__ == "__main__":
    work()
"""


def test_with_log_format_json_each_line_of_a_script_is_an_object_wherever_it_was_written(tmp_path: Path) -> None:
    ran = run_script(tmp_path, IN_ALL_PLACES, log_format="json")
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    (run_id,) = {line["run_id"] for line in lines if line.get("run_name") == "100 % sure"}
    of_flow = {"run_id": run_id, "run_name": "100 % sure", "run_kind": "flow"}
    said = {line["message"]: line for line in lines}
    for words, logger, more in [
        ("in the flow", "actwright.flow_runs", {"pid": said["in the flow"]["pid"]}),
        ("printed", "actwright.flow_runs.print", {}),
        ("in the hook", "actwright.flow_runs", {"hook": 1}),
        ("Finished in state Completed()", "actwright.flow_runs", {}),
    ]:
        assert without_time(said[words]) == {"level": "INFO", "logger": logger, "message": words, **of_flow, **more}
    assert said["in the async hook"]["level"] == "ERROR"
    of_task = said["in the task"]
    assert (of_task["run_name"], of_task["run_kind"], of_task["logger"]) == ("part", "task", "actwright.task_runs")
    assert (of_task["key"], of_task["of"]) == ("**********", "nan")
    assert of_task["pid"] != said["in the flow"]["pid"]
    failed = said["The body raised ValueError: oops"]
    assert 'raise ValueError("oops")' in failed["exc_info"]


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in line.items() if field != "timestamp"}


# get_run_logger


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, at every level."""
    with caplog.at_level(logging.DEBUG, "actwright"):
        yield caplog


def said(log: pytest.LogCaptureFixture, words: str) -> logging.LogRecord:
    """The one record whose message ends so."""
    [record] = [record for record in log.records if record.getMessage().endswith(words)]
    return record


@pytest.mark.anyio
async def test_a_line_of_a_run_carries_its_name_its_id_and_its_kind(log: pytest.LogCaptureFixture) -> None:
    @task(task_run_name="part of 100%")
    async def part() -> None:
        get_run_logger().warning("in %s", "the task", extra={"own": 1})

    @flow(flow_run_name="nightly")
    def work() -> None:
        get_run_logger().debug("in the flow")
        part.submit().result()

    async with open_runtime() as runtime:
        handle = runtime.submit(work)
        await handle
        task_run = next(run for run in runtime.journal.runs() if run.kind == "task")
    of_flow, of_task = said(log, "in the flow"), said(log, "in the task")
    assert of_flow.getMessage() == "Flow run 'nightly' - in the flow"
    assert (of_flow.name, of_flow.levelno) == ("actwright.flow_runs", logging.DEBUG)
    assert carried(of_flow) == (str(handle.id), "nightly", "flow")
    assert of_task.getMessage() == "Task run 'part of 100%' - in the task"
    assert (of_task.name, of_task.levelno) == ("actwright.task_runs", logging.WARNING)
    assert carried(of_task) == (str(task_run.id), "part of 100%", "task")
    assert of_task.__dict__["own"] == 1


@pytest.mark.anyio
@pytest.mark.parametrize("args", [(), ("5 %",)])
async def test_a_percent_sign_in_a_name_is_shown_as_one(args: tuple[str, ...], log: pytest.LogCaptureFixture) -> None:
    @flow(flow_run_name="part of 100%")
    async def work() -> None:
        get_run_logger().info("at %s" if args else "there", *args)

    async with open_runtime():
        await work()
    assert "Flow run 'part of 100%' - there" in log.messages or "Flow run 'part of 100%' - at 5 %" in log.messages
    assert "Flow run 'part of 100%' - Finished in state Completed()" in log.messages


def carried(record: logging.LogRecord) -> tuple[Any, Any, Any]:
    """What a record knows of its run."""
    return record.__dict__["run_id"], record.__dict__["run_name"], record.__dict__["run_kind"]


@pytest.mark.anyio
async def test_in_a_hook_the_logger_is_that_of_the_run_that_the_hook_is_for(log: pytest.LogCaptureFixture) -> None:
    def in_thread(*_: object) -> None:
        get_run_logger().info("from a sync hook")

    async def on_loop(*_: object) -> None:
        get_run_logger().info("from an async hook")

    @flow(flow_run_name="nightly", on_completion=[in_thread, on_loop])
    async def work() -> None: ...

    async with open_runtime():
        await work()
    assert said(log, "from a sync hook").getMessage() == "Flow run 'nightly' - from a sync hook"
    assert said(log, "from an async hook").getMessage() == "Flow run 'nightly' - from an async hook"


def test_outside_of_runs_there_is_no_run_logger_and_the_error_says_what_to_use() -> None:
    with pytest.raises(MissingContextError, match=r"where no run is.*elsewhere use logging\.getLogger"):
        get_run_logger()


# log_prints


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_with_log_prints_what_a_body_prints_goes_to_its_log(
    kind: str, log: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def speak() -> None:
        print("one", 2, sep="-")
        print("to stderr", file=sys.stderr)

    async def speak_async() -> None:
        speak()

    work: Any = flow(speak if kind == "sync" else speak_async, flow_run_name="nightly", log_prints=True)
    async with open_runtime():
        await run_flow(work)
        print("outside")
    record = said(log, "one-2")
    assert (record.getMessage(), record.levelno) == ("Flow run 'nightly' - one-2", logging.INFO)
    assert capsys.readouterr() == ("outside\n", "to stderr\n")


@pytest.mark.anyio
async def test_tasks_do_with_prints_as_the_flow_around_them_does_unless_they_say_otherwise(
    log: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @task
    def as_the_flow() -> None:
        print("as the flow")

    @task(log_prints=False)
    def never() -> None:
        print("never")

    @task
    async def grandchild() -> None:
        as_the_flow()

    @flow(log_prints=True)
    async def logs() -> None:
        await grandchild()
        never()

    @flow
    async def does_not() -> None:
        as_the_flow.submit()

    async with open_runtime():
        await logs()
        assert capsys.readouterr().out == "never\n"
        assert said(log, "as the flow").name == "actwright.task_runs.print"
        await does_not()
        assert capsys.readouterr().out == "as the flow\n"


@pytest.mark.anyio
async def test_hooks_of_a_run_that_logs_prints_print(
    log: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook(*_: object) -> None:
        print("hook")

    @flow(log_prints=True, on_running=[hook])
    async def work() -> None:
        print("body")

    async with open_runtime():
        await work()
    assert capsys.readouterr().out == "hook\n"
    assert said(log, " - body").name == "actwright.flow_runs.print"


@pytest.mark.anyio
async def test_print_is_itself_again_when_the_last_run_that_logs_prints_has_ended() -> None:
    original = builtins.print

    @flow(log_prints=True)
    async def fails() -> bool:
        if builtins.print is original:
            return False
        raise ValueError("oops")

    async with open_runtime():
        state = await run_flow(fails, return_state=True)
    assert state.is_failed()
    assert builtins.print is original


@pytest.mark.anyio
async def test_a_logging_filter_that_raises_changes_neither_the_state_nor_the_hooks(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the program's")

    ran: list[str] = []

    def noted(*args: object) -> None:
        ran.append("hook")

    @flow(on_completion=[noted])
    async def work() -> int:
        return 1

    runs = logging.getLogger("actwright.flow_runs")
    runs.addFilter(broken)
    try:
        with caplog.at_level(logging.INFO):
            assert await run_flow(work) == 1
    finally:
        runs.removeFilter(broken)
    assert ran == ["hook"]
    assert "a filter of the program's" in capsys.readouterr().err


@pytest.mark.anyio
async def test_a_line_carries_the_place_of_who_wrote_it(caplog: pytest.LogCaptureFixture) -> None:
    @flow
    async def writes() -> None:
        get_run_logger().info("here")
        get_run_logger().log(logging.WARNING, "and here")

    caplog.set_level(logging.INFO, "actwright")
    async with open_runtime():
        await writes()
    places = {record.msg: (record.pathname, record.funcName) for record in caplog.records}
    assert [place for said, place in places.items() if said.endswith("here")] == [(__file__, "writes")] * 2
    (place,) = [place for said, place in places.items() if "Beginning" in said]
    assert place[0].endswith("run_actor.py")
