"""A process that dies under its body is a crash of that body's run, and of nothing else."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import final_state, started
from tests.engine.watched import open_runtime
from tests.isolation import bodies as b
from tests.isolation.cgroups import may_limit_memory, memory_limit
from tests.isolation.helpers import apart, is_gone, said

from actwright import flow, run_flow, wait
from actwright.engine.body_process import how_it_ended
from actwright.exceptions import CrashedRun
from actwright.isolation.channel import Channel
from actwright.nodes.node import open_nodes
from actwright.nodes.understudy import owner_of

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

DEATHS: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "segmentation fault": (b.reads_address_zero, (), r"Its process \(pid \d+\) was killed by SIGSEGV\."),
    "abort": (b.dies_by, (signal.SIGABRT,), r"Its process \(pid \d+\) was killed by SIGABRT\."),
    "os._exit(3)": (b.ends_at_once, (3,), r"Its process \(pid \d+\) exited with code 3 before its body had ended\."),
    "os._exit(0)": (b.ends_at_once, (0,), r"Its process \(pid \d+\) exited with code 0 before its body had ended\."),
    "SIGKILL": (
        b.dies_by, (signal.SIGKILL,),
        r"Its process \(pid \d+\) was killed by SIGKILL, which its Runtime did not send: the kernel's out-of-memory "
        r"killer is a likely cause\.",
    ),
    "SIGTERM": (
        b.terminates_itself, (), r"Its process \(pid \d+\) was told to end \(SIGTERM\), and its body has stopped\."
    ),
    "a real-time signal": (b.dies_by, (40,), r"Its process \(pid \d+\) was killed by signal 40\."),
}  # fmt: skip


@pytest.mark.parametrize("death", DEATHS)
async def test_its_run_crashes_and_says_of_what(kind: str, death: str, recorder: Recorder) -> None:
    body, args, message = DEATHS[death]
    hooks: Any = {event: [recorder.hook(event)] for event in ("on_crashed", "on_failure", "on_cancellation")}
    async with open_runtime():
        state = await final_state(apart(kind, body, retries=3, **hooks), *args)
    assert state.name == "Crashed"
    assert state.message is not None
    assert re.fullmatch(message, state.message)
    assert isinstance(state.cause, CrashedRun)
    assert recorder.order == ["on_crashed"]


async def test_what_kills_it_from_outside_crashes_its_run_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("victim", "sibling")]
    async with open_runtime() as runtime:
        victim, sibling = (started(runtime, apart("task", b.waits_for_word), str(path)) for path in paths)
        pids = [int(await said(path)) for path in paths]
        os.kill(pids[0], signal.SIGKILL)
        await wait([victim])
        assert victim.state.name == "Crashed"
        assert not sibling.done()
        (tmp_path / "sibling.go").touch()
        assert await sibling == "went on"
        assert await run_flow(apart("flow", b.echo), 1) == 1


async def test_of_a_flow_whose_task_dies_nothing_else_is_harmed() -> None:
    @flow
    async def around() -> list[str]:
        tasks = [apart("task", b.reads_address_zero), apart("task", b.echo).with_options(name="fine")]
        states = [await final_state(tasks[0]), await final_state(tasks[1], "well")]
        return [state.name for state in states]

    async with open_runtime():
        assert await run_flow(around) == ["Crashed", "Completed"]


@pytest.mark.parametrize("then", ["returns", "dies"])
async def test_what_it_started_ends_with_it(then: str, tmp_path: Path) -> None:
    async with open_runtime():
        state = await final_state(apart("task", b.with_grandchild), str(tmp_path / "pids"), then)
        assert state.is_completed() == (then == "returns")
        body, grandchild = map(int, (await said(tmp_path / "pids")).split())
        assert is_gone(body)
        assert is_gone(grandchild)


async def test_a_process_that_closes_its_channel_cannot_tell_its_end_and_is_ended() -> None:
    async with open_runtime():
        state = await final_state(apart("task", b.closes_everything))
    assert state.name == "Crashed"
    assert state.message is not None
    assert state.message.endswith("was killed by SIGKILL.")


async def test_of_a_process_that_has_ended_no_file_is_left() -> None:
    async with open_runtime():
        await final_state(apart("task", b.nothing))
        await final_state(apart("task", b.ends_at_once), 1)
        (node,) = open_nodes()
        assert list(node.database.path.parent.glob("nodes/*.body")) == []


async def test_while_it_runs_its_file_says_whose_it_is(tmp_path: Path) -> None:
    async with open_runtime() as runtime:
        handle = started(runtime, apart("task", b.waits_for_word), str(tmp_path / "waits"))
        pid = int(await said(tmp_path / "waits"))
        (node,) = open_nodes()
        (path,) = node.database.path.parent.glob("nodes/*.body")
        assert owner_of(str(path)) == pid
        (tmp_path / "waits.go").touch()
        await wait([handle])


@pytest.mark.skipif(not may_limit_memory(), reason="this machine lets nobody limit the memory of a process (cgroups)")
async def test_out_of_memory_is_a_crash_that_names_the_likely_cause(tmp_path: Path) -> None:
    with memory_limit(64_000_000) as joins:
        async with open_runtime():
            state = await final_state(apart("task", b.takes_memory), str(joins))
    assert state.name == "Crashed"
    assert state.message is not None
    assert "killed by SIGKILL, which its Runtime did not send: the kernel's out-of-memory killer" in state.message


@pytest.mark.parametrize(
    ("code", "was_killed", "said"),
    [
        (None, False, "Its process (pid 7) has ended, and something else in this program has taken its exit code."),
        (2, False, "Its process (pid 7) exited with code 2 before its body had ended."),
        (-9, True, "Its process (pid 7) was killed by SIGKILL."),
        (-11, False, "Its process (pid 7) was killed by SIGSEGV."),
    ],
)
def test_the_end_of_a_process_in_words(code: int | None, was_killed: bool, said: str) -> None:
    assert how_it_ended(7, code, was_killed=was_killed) == said


async def test_an_exit_code_that_something_else_has_taken_is_no_harm() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # then the kernel keeps no exit codes
    try:
        async with open_runtime():
            assert await run_flow(apart("flow", b.echo), 1) == 1
            state = await final_state(apart("task", b.ends_at_once), 3)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert state.name == "Crashed"
    assert state.message is not None
    assert state.message.endswith("something else in this program has taken its exit code.")


def forked(holds: Callable[[], bool]) -> bool:
    """Whether something holds in a forked child of this process."""
    child = os.fork()
    if child == 0:
        os._exit(0 if holds() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_a_forked_child_of_the_program_does_not_keep_a_body_alive(tmp_path: Path) -> None:
    """It has copies of the program's descriptors, were they not closed."""
    async with open_runtime() as runtime:
        handle = started(runtime, apart("task", b.waits_for_word), str(tmp_path / "waits"))
        await said(tmp_path / "waits")
        channels = [each for each in gc.get_objects() if type(each) is Channel]  # others may have no `__class__`
        assert forked(lambda: all(channel.is_closed for channel in channels))
        (tmp_path / "waits.go").touch()
        await wait([handle])
