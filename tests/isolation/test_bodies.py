"""A body in a process of its own is as any other body: how it runs, what it sees, how it ends."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.engine.subjects import bodies, final_state
from tests.engine.watched import open_runtime
from tests.isolation import bodies as b
from tests.isolation.helpers import apart

from actwright import Variable, flow, run_flow, tags, task
from actwright.authoring.options import FlowOptions
from actwright.blocks import Secret
from actwright.exceptions import CrashedRun, NotPicklable
from actwright_actors.backends import current_backend_name

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


async def test_a_plain_body_runs_in_the_main_thread_of_a_process_of_its_own(kind: str) -> None:
    async with open_runtime():
        found = (await final_state(apart(kind, b.whereabouts))).result()
    assert found["pid"] != os.getpid()
    assert found["group"] == found["session"] == found["pid"]
    assert found["thread"]
    assert found["backend"] is None
    assert (found["argv"], found["path"], found["cwd"]) == (sys.argv, sys.path, str(Path.cwd()))


async def test_an_async_body_runs_there_on_the_back_end_of_its_runtime(kind: str) -> None:
    async with open_runtime():
        found = (await final_state(apart(kind, b.awhereabouts))).result()
    assert found["pid"] != os.getpid()
    assert found["backend"] == current_backend_name()


async def test_it_inherits_the_standard_streams_and_no_file_besides(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        async with open_runtime():
            found = await run_flow(apart("flow", b.open_files))
        status, stderr = os.fstat(file.fileno()), os.fstat(2)
    assert (status.st_dev, status.st_ino) not in found
    assert (stderr.st_dev, stderr.st_ino) in found


@bodies
async def test_what_it_is_given_and_returns_goes_there_and_back(kind: str, is_async: bool) -> None:
    value = {"numbers": [1, 2.5, None], "bytes": b"\0" * 3_000_000, "class": b.Mine, "path": Path("/tmp")}
    async with open_runtime():
        state = await final_state(apart(kind, b.aecho if is_async else b.echo), value)
    assert state.is_completed()
    assert state.result() == value


@bodies
async def test_an_exception_comes_back_whole_and_tells_where_it_was_raised(
    kind: str, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_runtime():
        state = await final_state(apart(kind, b.afails if is_async else b.fails), 4)
    assert state.name == "Failed"
    assert state.message == "The body raised Mine: 4"
    error = state.cause
    assert isinstance(error, b.Mine)
    assert error.code == 4
    assert isinstance(error.__cause__, KeyError)
    (place,) = error.__notes__
    assert re.match(r"In its own process \(pid \d+\):\nTraceback", place)
    assert "_fails_deeper" in place
    assert "actwright" not in place
    assert f"line {b.fails.__code__.co_firstlineno + 4}, in fails" in caplog.text


@bodies
async def test_what_cuts_it_short_crashes_its_run(kind: str, is_async: bool) -> None:
    async with open_runtime():
        state = await final_state(apart(kind, b.aexits if is_async else b.exits), 3)
    assert (state.name, state.message) == ("Crashed", "The body was cut short by SystemExit: 3")


async def test_a_forged_cancellation_is_a_crash() -> None:
    async with open_runtime():
        state = await final_state(apart("task", b.forges_a_cancellation))
    assert (state.name, state.message) == ("Crashed", "The body was cut short by CancelledError")


async def test_a_process_exit_in_a_body_is_one_for_its_caller() -> None:
    async with open_runtime():
        with pytest.raises(SystemExit) as caught:
            await run_flow(apart("flow", b.exits), 3)
    assert caught.value.code == 3


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_block_that_is_saved_in_there_is_loaded_by_others_and_here(kind: str, in_memory: bool) -> None:
    async with open_runtime(journal="memory") if in_memory else open_runtime():
        await final_state(apart(kind, b.saves))
        assert (await final_state(apart(kind, b.loads))).result() == "hunter2"
        assert Secret.load("main").get() == "hunter2"


@bodies
async def test_its_context_works_in_there(kind: str, is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run_name = {f"{kind}_run_name": "me"}
    subject = apart(kind, b.asees if is_async else b.sees, log_prints=True, tags=["own"], version="v7", **run_name)

    @flow(name="around", flow_run_name="outer", version="v1")
    async def outer() -> Any:
        b.colour.set("blue")
        b.shape.set(b.Unpicklable())
        with tags("given"):
            state = await final_state(subject)
        return state.result()

    async with open_runtime():
        found = await run_flow(outer)
        counted = Variable.get("counted").value
    assert found["name"] == "me"
    assert found["tags"] == ["given", "own"]
    assert found["parameters"] == {}
    assert found["count"] == 1
    assert found["colour"] == "blue"
    assert found["shape"] == "round"
    assert not found["asked"]
    assert counted == 1
    if kind == "task":
        assert (found["flow"], found["flow_run"], found["version"]) == ("around", "outer", "v1")
        assert found["task"] == subject.name
    else:
        assert (found["flow"], found["flow_run"], found["version"]) == (subject.name, "me", "v7")
        assert found["root"] != found["id"]
    title = f"{kind.capitalize()} run 'me'"
    said = [record.getMessage() for record in caplog.records]
    assert f"{title} - a line of the run" in said
    assert f"{title} - printed 1 2" in said
    assert "another line" in said
    assert "too fine" not in said
    (named,) = (record for record in caplog.records if record.getMessage().endswith("with a name"))
    assert (named.__dict__["added"], named.__dict__["run_name"]) == ("by hand", "me")
    assert named.funcName == "sees"


async def test_the_lines_of_its_log_are_kept_with_its_history() -> None:
    from sqlalchemy import select

    from actwright.journal.schema import logs
    from actwright.nodes.node import open_nodes

    async with open_runtime():
        await run_flow(apart("flow", b.sees, log_prints=True))
        (node,) = open_nodes()
        node.journal.flush()
        with node.database.reading() as connection:
            lines = [row.message for row in connection.execute(select(logs))]
    assert {"a line of the run", "printed 1 2", "with a name"} <= set(lines)


async def test_a_retry_runs_in_a_process_of_its_own(kind: str, tmp_path: Path) -> None:
    async with open_runtime():
        state = await final_state(apart(kind, b.dies_at_first, crash_retries=1), str(tmp_path / "pids"))
    assert state.result() == 2
    assert len(set((tmp_path / "pids").read_text().split())) == 2


async def test_a_thread_that_it_leaves_behind_does_not_hold_its_run_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actwright.engine.isolated_process._LAST_SECONDS", 0.2)
    async with open_runtime():
        assert await run_flow(apart("flow", b.leaves_a_thread)) == "returned"


async def test_eight_at_once_run_side_by_side() -> None:
    @flow
    async def many() -> set[int]:
        return {pid for _, pid in await b.apart.map(range(8))}

    async with open_runtime():
        assert len(await run_flow(many)) == 8


async def test_no_more_run_at_once_than_there_are_worker_threads(tmp_path: Path) -> None:
    @flow
    async def many() -> list[tuple[int, int]]:
        return list(await b.apart.map(range(3)))

    async with open_runtime(worker_threads=1):
        assert [number for number, _ in await run_flow(many)] == [0, 1, 2]


async def test_what_waits_for_another_one_holds_no_place() -> None:
    async with open_runtime(worker_threads=1):
        assert (await final_state(b.nested, 2)).result() == 2


@pytest.mark.parametrize("wrong", ["thread", True, 3])
def test_an_isolation_that_there_is_not_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r'isolation must be "process".* or None; got'):
        flow(b.nothing, isolation=wrong)
    with pytest.raises(ValueError, match="isolation must be"):
        task(b.nothing).with_options(isolation=wrong)


def test_isolation_is_an_option_as_others_are() -> None:
    isolated = flow(b.nothing, isolation="process")
    assert isolated.with_options(retries=1).options.isolation == "process"
    assert isolated.with_options(isolation=None).options.isolation is None
    assert FlowOptions().isolation is None


async def test_a_process_that_cannot_be_started_is_a_crash_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    async with open_runtime():
        with pytest.raises(CrashedRun, match=r"Its process could not be started: .*/no/such/python"):
            await run_flow(apart("flow", b.nothing))


# What cannot cross


async def test_an_argument_that_cannot_be_pickled_fails_the_run_before_a_process_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    async with open_runtime():
        with pytest.raises(
            NotPicklable, match=r"^The argument 'value' of Flow run '.*' cannot be .*thread.lock.* Use what"
        ):
            await run_flow(apart("flow", b.echo), b.Unpicklable())


async def test_a_body_that_refers_to_what_cannot_be_pickled_says_so() -> None:
    lock = threading.Lock()

    @flow(isolation="process")
    def closes_over() -> bool:
        return lock.locked()

    async with open_runtime():
        with pytest.raises(NotPicklable, match=r"^The body of Flow run '.*', with what it refers to, cannot be"):
            await run_flow(closes_over)


async def test_a_result_that_cannot_be_pickled_fails_the_run(kind: str) -> None:
    async with open_runtime():
        state = await final_state(apart(kind, b.returns_unpicklable))
    assert state.name == "Failed"
    with pytest.raises(
        NotPicklable, match=r"What the body returned, which is tests\.isolation\.bodies\.Unpick.*, cannot"
    ):
        state.result()


@pytest.mark.parametrize(
    ("body", "said"),
    [(b.raises_unpicklable, "UnpicklableError: with a lock"), (b.raises_awkwardly, "Awkward: 7: no such thing")],
)
async def test_an_exception_that_cannot_be_pickled_is_told_with_its_traceback(body: Any, said: str) -> None:
    async with open_runtime():
        with pytest.raises(
            NotPicklable, match=rf"The exception (that the body raised, )?'{said}.*',? cannot"
        ) as caught:
            await run_flow(apart("flow", body))
    assert f"in {body.__name__}" in caught.value.__notes__[0]


async def test_an_exit_that_cannot_be_pickled_is_a_crash_nevertheless() -> None:
    async with open_runtime():
        state = await final_state(apart("task", b.exits_by_unpicklable))
    assert state.is_crashed()
    assert state.message is not None
    assert state.message.startswith("The body was cut short by SystemExit: 3")


async def test_what_a_function_defines_goes_by_value() -> None:
    offset = 100

    class Local(Exception):
        pass

    @flow(isolation="process")
    def local(number: int) -> int:
        if number < 0:
            raise Local(number)
        return number + offset

    async with open_runtime():
        assert await run_flow(local, 1) == 101
        with pytest.raises(Local, match="-1"):
            await run_flow(local, -1)


async def test_a_forked_child_of_a_body_is_a_process_like_others() -> None:
    async with open_runtime():
        pid, said = await run_flow(apart("flow", b.forks))
    assert said == b"%d" % pid
