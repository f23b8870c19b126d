"""`actwright runs logs`: what runs of other processes logged, and what they are about to."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.control.following import a_waiting_program, command
from tests.control.shell import act, printed

from actwright import flow, get_run_logger, task

pytestmark = pytest.mark.slow

KEYS = {"at", "level", "logger", "message", "fields", "run_id"}


@task(task_run_name="part", log_prints=True)
async def part() -> None:
    print("in the task")


@flow(flow_run_name="nightly")
async def nightly() -> None:
    log = get_run_logger()
    log.info("before", extra={"rows": 7})
    await part()
    try:
        raise ConnectionError("no answer")
    except ConnectionError:
        log.exception("after")


@pytest.fixture
def ran() -> None:
    async def main() -> None:
        await nightly()

    anyio.run(main)


def own(lines: list[Any]) -> list[Any]:
    """Without those of the engine's."""
    return [line for line in lines if not line["message"].startswith(("Beginning", "Finished"))]


@pytest.mark.usefixtures("ran")
def test_as_json_a_line_has_its_fields_its_logger_and_its_run() -> None:
    lines = printed("runs", "logs", "nightly")
    assert all(set(line) == KEYS for line in lines)
    before, after = own(lines)
    assert (before["message"], before["fields"], before["logger"]) == ("before", {"rows": 7}, "actwright.flow_runs")
    assert after["message"] == "after"
    assert after["fields"]["exc_info"]["type"] == "ConnectionError"
    assert {line["run_id"] for line in lines} == {printed("runs", "inspect", "nightly")["id"]}


@pytest.mark.usefixtures("ran")
def test_for_people_a_line_about_an_exception_is_followed_by_its_traceback() -> None:
    shown = act("runs", "logs", "nightly").stdout
    assert re.search(
        r"\| ERROR   \| after\nTraceback \(most recent call last\):\n(.*\n)+ConnectionError: no answer\n", shown
    )
    assert " | INFO    | before\n" in shown


@pytest.mark.usefixtures("ran")
def test_with_all_what_was_called_is_there_too_in_the_order_of_time_and_each_line_says_whose_it_is() -> None:
    assert [line["message"] for line in own(printed("runs", "logs", "nightly", "--all"))] == [
        "before", "in the task", "after"
    ]  # fmt: skip
    lines = printed("runs", "logs", "nightly", "--all")
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert next(line for line in lines if line["message"] == "in the task")["logger"] == "actwright.task_runs.print"
    shown = act("runs", "logs", "nightly", "--all").stdout
    assert " | INFO    | Task run 'part' - in the task\n" in shown
    assert " | INFO    | Flow run 'nightly' - before\n" in shown


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("level", ["error", "ERROR", "40", "31"])
def test_a_level_leaves_those_of_it_and_above(level: str) -> None:
    assert [line["message"] for line in printed("runs", "logs", "nightly", "--all", "--level", level)] == ["after"]


@pytest.mark.usefixtures("ran")
def test_the_last_so_many_are_those_of_that_level() -> None:
    (line,) = own(printed("runs", "logs", "nightly", "-n", "1", "--level", "error"))
    assert line["message"] == "after"


@pytest.mark.usefixtures("ran")
def test_a_level_that_is_none_and_a_run_without_such_lines_are_said() -> None:
    ran = act("runs", "logs", "nightly", "--level", "loud")
    assert ran.exit_code == 2
    assert "'loud' is no level" in " ".join(ran.stderr.split())
    ran = act("runs", "logs", "nightly", "--level", "critical")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "History has no log lines of Flow run 'nightly', or none like that.\n"


def without_times(text: str) -> list[str]:
    return [re.sub(r"^\S+ \S+ \| ", "", line) for line in text.splitlines()]


@pytest.mark.parametrize("with_called", [False, True])
def test_a_follower_prints_what_is_there_then_what_comes_and_ends_when_the_hooks_are_done(
    tmp_path: Path, with_called: bool
) -> None:
    options = ["--all"] if with_called else []
    with a_waiting_program(tmp_path) as program, command("runs", "logs", "-f", "nightly", *options) as follower:
        assert follower.stdout is not None
        said = ""
        while "waits\n" not in said:
            said += follower.stdout.readline()
        program.send_line("go on")
        while "Running hook 'tell'" not in said:
            said += follower.stdout.readline()
        assert follower.poll() is None
        program.send_line("hook")
        out, err = follower.communicate(timeout=30)
    lines = without_times(said + out)
    flow_said, task_said = ("Flow run 'nightly' - ", "Task run 'fetch-{}' - ") if with_called else ("", "")
    expected = [f"INFO    | {flow_said}waits", f"WARNING | {flow_said}was told go on"]
    if with_called:
        expected[:0] = [f"INFO    | {task_said.format('Oslo')}fetching Oslo"]
        expected.append(f"INFO    | {task_said.format('Rome')}fetching Rome")
    expected.append(f"INFO    | {flow_said}Hook 'tell' finished running successfully")
    assert [line for line in lines if line in expected] == expected
    assert any("fetching" in line for line in lines) == with_called
    assert (follower.returncode, err) == (0, "")


def test_a_follower_as_json_prints_a_document_in_each_line(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "logs", "-f", "nightly", "-o", "json") as follower:
        program.send_line("go on")
        program.send_line("hook")
        out, _ = follower.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(set(line) == KEYS for line in lines)
    assert ("waits", {"city": "Oslo"}) in [(line["message"], line["fields"]) for line in lines]
    assert "was told go on" in [line["message"] for line in lines]


def test_a_follower_of_a_dead_process_says_so_and_follows_what_its_hooks_say(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "logs", "-f", "nightly") as follower:
        program.send_line("die")
        assert follower.stderr is not None
        said = follower.stderr.readline()
        assert said.startswith("Flow run 'nightly': its process (pid ")
        assert "is dead" in said
        act("recover")
        out, _ = follower.communicate(timeout=30)
    assert any("An error was encountered while running hook 'tell'" in line for line in without_times(out))
    assert follower.returncode == 0


def test_ctrl_c_ends_a_follower_quietly(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path), command("runs", "logs", "-f", "nightly") as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=30)
    assert (follower.returncode, err) == (130, "")
