"""A process that lives and whose loop is stuck is seen as such: by the time of its lock file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.engine.scripts import started
from tests.nodes.stage import wait_until

from actwright.nodes.locks import hold, is_held
from actwright.nodes.pulse import PULSE_SECONDS, Pulse

PROGRAM = """
import time
from threading import Thread
import anyio
from actwright import flow, run_flow

@flow
async def holds_the_loop():
    await anyio.sleep(0)
    print("stuck", flush=True)
    input()
    print("goes on", flush=True)
    await anyio.to_thread.run_sync(input)

if __name__ == "__main__":
    anyio.run(run_flow, holds_the_loop)
"""


def pulse_age(home: Path) -> float:
    (lock,) = home.glob("nodes/*.lock")
    assert is_held(lock)
    return time.time() - lock.stat().st_mtime


def becomes(home: Path, wanted: float) -> bool:
    """Whether the age comes to be more than `wanted`, or less than that where it is negative, within 20 s."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        age = pulse_age(home)
        if (age > wanted) if wanted > 0 else (age < -wanted):
            return True
        time.sleep(0.05)
    return False


def test_the_time_of_the_lock_file_tells_how_long_a_loop_has_been_stuck_and_the_lock_that_it_lives(
    tmp_path: Path,
) -> None:
    home = Path(os.environ["ACTWRIGHT_HOME"])
    with started(tmp_path, PROGRAM) as program:
        program.says("stuck")
        assert becomes(home, 3 * PULSE_SECONDS)
        program.send_line("go on")
        program.says("goes on")
        assert becomes(home, -2 * PULSE_SECONDS)
        program.send_line("end")
        assert program.exit_code() == 0
    assert list(home.glob("nodes/*.lock")) == []


@pytest.mark.parametrize("loss", ["open().close()", "unlink()"])
def test_a_process_takes_the_lock_that_it_lost_again(tmp_path: Path, loss: str) -> None:
    home = Path(os.environ["ACTWRIGHT_HOME"])
    loses = f'(lock,) = pathlib.Path({str(home)!r}).glob("nodes/*.lock"); lock.{loss}; print("lost", flush=True)'
    source = PROGRAM.replace("import time", "import pathlib, time").replace('print("stuck", flush=True)', loses)
    with started(tmp_path, source) as program:
        program.says("lost")
        wait_until(lambda: any(map(is_held, home.glob("nodes/*.lock"))))
        program.send_line("go on")
        program.send_line("end")
        assert program.exit_code() == 0
    assert list(home.glob("nodes/*.lock")) == []


def test_a_lock_file_that_cannot_be_seen_to_is_named_once_and_tried_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actwright.nodes.pulse.PULSE_SECONDS", 0.01)
    folder, elsewhere = tmp_path / "nodes", tmp_path / "elsewhere"
    folder.mkdir()
    lock = hold(folder / "node.lock")
    assert lock is not None
    pulse = Pulse(lock)
    asked: list[object] = []
    pulse.watch(asked.append, lambda: True)
    folder.rename(elsewhere)
    wait_until(lambda: caplog.records)
    times = len(asked)
    wait_until(lambda: len(asked) > times + 2)
    folder.mkdir()
    wait_until(lock.path.exists)
    pulse.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(lock.path) in caplog.text
    lock.release(unlink=True)
