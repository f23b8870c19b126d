"""The understudy that a living process keeps: there is one, there stays one, and nothing of it is left at the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.nodes.elsewhere import in_a_forked_child
from tests.nodes.stage import Stage, times_slept, wait_until

from actwright.nodes.companion import Companion
from actwright.nodes.locks import NodeLock, hold

pytestmark = pytest.mark.slow

KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def lock(stage: Stage) -> Iterator[NodeLock]:
    """The lock of the node that this process plays."""
    lock = hold(stage.recovery.lock_path)
    assert lock is not None
    yield lock
    lock.release(unlink=True)


@pytest.fixture
def companion(stage: Stage, lock: NodeLock) -> Iterator[Companion]:
    companion = Companion(stage.recovery)
    companion.start()
    yield companion
    lock.release(unlink=True)
    companion.close()


def test_it_waits_when_start_returns(stage: Stage, companion: Companion) -> None:
    assert stage.understudies() == [companion.pid]


def test_however_often_and_from_wherever_it_is_started_there_is_one(stage: Stage, lock: NodeLock) -> None:
    companion = Companion(stage.recovery)
    with ThreadPoolExecutor(8) as pool:
        for started in [pool.submit(companion.start) for _ in range(8)]:
            started.result()
    assert stage.understudies() == [companion.pid]
    lock.release(unlink=True)
    companion.close()
    wait_until(stage.is_over)


def test_closing_ends_it_and_what_it_took_here_and_closing_again_does_nothing(
    stage: Stage, lock: NodeLock, companion: Companion
) -> None:
    lock.release(unlink=True)
    companion.close()
    companion.close()
    assert companion.pid is None
    assert "actwright-companion" not in " ".join(thread.name for thread in threading.enumerate())
    wait_until(stage.is_over)
    with pytest.raises(RuntimeError, match="closed"):
        companion.start()


def test_one_that_was_never_started_can_be_closed(stage: Stage) -> None:
    Companion(stage.recovery).close()


def test_one_that_is_closed_while_the_lock_is_held_goes_on_waiting_for_that_and_does_not_spin(
    stage: Stage, lock: NodeLock, companion: Companion
) -> None:
    companion.close()
    understudy = stage.understudy()
    slept = times_slept(understudy)
    wait_until(lambda: times_slept(understudy) > slept + 3)
    lock.release(unlink=True)
    wait_until(stage.is_over)


def test_when_it_dies_another_one_is_started_and_that_is_said(
    stage: Stage, companion: Companion, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        first = companion.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda first=first: companion.pid not in {first, None})  # type: ignore[misc]
        assert stage.understudies() == [companion.pid]
        assert f"(process {first}) died, while the process that it stands by for lives" in caplog.text
    assert {(record.name, record.levelno) for record in caplog.records} == {("actwright.nodes", logging.WARNING)}


def test_one_that_took_the_place_of_another_recovers_as_any(stage: Stage) -> None:
    source = (
        "first = companion.pid\nos.kill(first, signal.SIGKILL)\n"
        "while companion.pid in (first, None):\n    time.sleep(0.001)\n"
    )
    with stage.program(source + KILL) as program:
        program.exit_code()
        wait_until(stage.is_over)
    assert stage.replays() == 1


def test_one_that_cannot_be_replaced_is_tried_for_until_it_can(
    stage: Stage, companion: Companion, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = companion.pid
    assert first is not None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/gone")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "FileNotFoundError" in caplog.text)
        assert companion.pid in {first, None}
    wait_until(lambda: companion.pid not in {first, None})
    assert "wait for the next Runtime, until that works" in caplog.text


def test_closing_does_not_wait_for_one_that_cannot_be_replaced(
    stage: Stage,
    lock: NodeLock,
    companion: Companion,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert companion.pid is not None
    monkeypatch.setattr(sys, "executable", "/gone")
    os.kill(companion.pid, signal.SIGKILL)
    wait_until(lambda: "FileNotFoundError" in caplog.text)
    lock.release(unlink=True)
    companion.close()


@pytest.mark.parametrize("obstacle", ["no interpreter", "not an interpreter", "no folder"])
def test_where_it_cannot_be_started_start_says_why_and_what_to_do(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    recovery, why = stage.recovery, "No such file or directory"
    if obstacle == "no folder":
        recovery = replace(recovery, log_path=Path("/gone/node.log"))
    elif obstacle == "no interpreter":
        monkeypatch.setattr(sys, "executable", "/gone")
    else:
        monkeypatch.setattr(sys, "executable", "/bin/true")
        why = "without a word"
    companion = Companion(recovery)
    with pytest.raises(OSError, match=why) as raised:
        companion.start()
    assert "ACTWRIGHT_UNDERSTUDY=false" in str(raised.value)
    assert sys.executable in str(raised.value)
    assert companion.pid is None
    companion.close()


def test_in_a_forked_child_it_is_the_parents_and_stays_so(stage: Stage, companion: Companion) -> None:
    def child() -> object:
        before = companion.pid
        companion.close()
        try:
            companion.start()
        except RuntimeError as error:
            return before, str(error)
        return before, "started"

    assert in_a_forked_child(child) == str((None, "This companion is the parent's of a forked process. Make a new one "
                                                  "for this process."))  # fmt: skip
    assert stage.understudies() == [companion.pid]


def test_a_forked_child_keeps_no_end_of_its_sockets(companion: Companion) -> None:
    here = _sockets()
    assert in_a_forked_child(_sockets) == str(here - 1)


def test_starting_leaves_this_process_without_a_child_even_if_somebody_else_waits_for_all(
    stage: Stage, lock: NodeLock
) -> None:
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        companion = Companion(stage.recovery)
        companion.start()
    finally:
        signal.signal(signal.SIGCHLD, previous)
    with pytest.raises(ChildProcessError):
        os.wait()
    lock.release(unlink=True)
    companion.close()


def _sockets() -> int:
    """How many this process has open. The descriptor that lists them is gone by then, and leads nowhere."""
    links = list(Path("/dev/fd").iterdir())
    return sum(str(link.readlink()).startswith("socket") for link in links if link.is_symlink())
