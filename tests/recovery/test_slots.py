"""Slots of concurrency limits between processes: shared, and free at once when their holder dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.engine.scripts import Program, run_script, started
from tests.engine.slots import slot_rows

from actwright import TagLimit, concurrency
from actwright.engine import background
from actwright.exceptions import SlotTimeout
from actwright.nodes import locks

pytestmark = pytest.mark.slow

DEADLINE = 20.0

HOLDS = """
import os, sys, threading, time
import anyio
from actwright import concurrency, flow, task

inside = threading.Event()

def hold():
    with concurrency("db", limit=1):
        print("inside", flush=True)
        inside.set()
        sys.stdin.readline()
    print("left", flush=True)

def tell(flow, flow_run, state):
    print(state.name, flush=True)

@flow(on_crashed=[tell])
def holds():
    hold()

@flow(tags=["db"], on_crashed=[tell])
def works():
    print("inside", flush=True)
    sys.stdin.readline()

if __name__ == "__main__":
"""
IN_A_BLOCK = f"{HOLDS}    hold()\n"
IN_A_FLOW = f"{HOLDS}    holds()\n"
IN_A_RUN = f"{HOLDS}    works()\n"

holders = pytest.mark.parametrize("source", [IN_A_BLOCK, IN_A_FLOW], ids=["outside of runs", "in a flow"])


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Generator[None]:
    yield
    background.close()


@contextmanager
def holding(folder: Path, source: str, **settings: str) -> Generator[Program]:
    folder.mkdir(exist_ok=True)
    with started(folder, source, **settings) as program:
        program.says("inside")
        yield program


def wait_until_waiting(count: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while sum(not row.is_held for row in slot_rows()) != count:
        assert time.monotonic() < deadline, slot_rows()
        time.sleep(0.005)


# Sharing

CROWD = """
import fcntl, os, sys, time
import anyio
from actwright import concurrency, flow, task

LIMIT = 3
FILE = os.path.join(os.path.dirname(__file__), "..", "inside")

def change(by):
    with open(FILE, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        lines = file.read().split()
        now = int(lines[-1] if lines else 0) + by
        file.write(f"{now}\\n")

@task(tags=["shared"])
async def aworks():
    HOW
        change(+1)
        await anyio.sleep(0.001)
        change(-1)

@task(tags=["shared"])
def works():
    SYNC
        change(+1)
        change(-1)

@flow
async def crowd():
    for run in [which.submit() for _ in range(5) for which in (works, aworks)]:
        await run

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    anyio.run(crowd)
"""
BY_NAME = CROWD.replace("HOW", 'async with concurrency("db", limit=LIMIT):').replace(
    "SYNC", 'with concurrency("db", limit=LIMIT):'
)
BY_TAG = CROWD.replace("HOW", "if True:").replace("SYNC", "if True:")


@pytest.mark.parametrize("source", [BY_NAME, BY_TAG], ids=["by name", "by tag"])
def test_of_eight_processes_never_more_than_the_limit_are_inside_and_all_get_their_turn(
    tmp_path: Path, source: str
) -> None:
    TagLimit.set("shared", 3 if source == BY_TAG else 80)
    folders = [tmp_path / str(number) for number in range(8)]  # a program is written as it is started
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        crowd = [stack.enter_context(started(folder, source)) for folder in folders]
        for program in crowd:
            program.says("ready")
        for program in crowd:
            program.send_line("go")
        assert [program.exit_code() for program in crowd] == [0] * 8
    inside = [int(line) for line in (tmp_path / "inside").read_text().split()]
    assert (len(inside), max(inside), min(inside), inside[-1]) == (8 * 10 * 2, 3, 0, 0)
    assert slot_rows() == []


def test_those_of_several_processes_come_in_in_the_order_in_which_they_asked(tmp_path: Path) -> None:
    with ExitStack() as stack, holding(tmp_path / "first", IN_A_BLOCK) as first:
        others: list[Program] = []
        for number in range(3):
            (tmp_path / str(number)).mkdir()
            others.append(stack.enter_context(started(tmp_path / str(number), IN_A_BLOCK)))
            wait_until_waiting(number + 1)
        first.send_line("")
        for left, other in enumerate(others):
            other.says("inside")
            wait_until_waiting(len(others) - left - 1)
            other.send_line("")
            other.says("left")


# Death


@pytest.mark.parametrize("understudy", ["true", "false"], ids=["with an understudy", "without"])
@pytest.mark.parametrize("source", [IN_A_BLOCK, IN_A_FLOW, IN_A_RUN], ids=["outside of runs", "in a flow", "by tag"])
def test_killed_inside_a_process_lets_the_next_one_in_within_a_second(
    tmp_path: Path, source: str, understudy: str
) -> None:
    TagLimit.set("db", 1)
    (tmp_path / "next").mkdir()
    with holding(tmp_path / "killed", source, understudy=understudy) as killed:
        with started(tmp_path / "next", source) as program:
            wait_until_waiting(1)
            killed.send(signal.SIGKILL)
            at = time.monotonic()
            program.says("inside")
            assert time.monotonic() - at < 1
            program.send_line("")
            assert program.exit_code() == 0
        assert killed.exit_code() == 137


def test_killed_while_it_waits_a_process_is_not_in_the_way(tmp_path: Path) -> None:
    for name in ("killed", "next"):
        (tmp_path / name).mkdir()
    with holding(tmp_path / "first", IN_A_BLOCK) as first, started(tmp_path / "killed", IN_A_BLOCK) as killed:
        wait_until_waiting(1)
        with started(tmp_path / "next", IN_A_BLOCK) as program:
            wait_until_waiting(2)
            killed.send(signal.SIGKILL)
            first.send_line("")
            program.says("inside")
            program.send_line("")
            assert program.exit_code() == 0


@holders
def test_a_process_that_is_stopped_keeps_its_slot(tmp_path: Path, source: str) -> None:
    with holding(tmp_path / "stopped", source) as stopped:
        stopped.send(signal.SIGSTOP)
        with pytest.raises(SlotTimeout, match="held by "):
            concurrency("db", limit=1, timeout_seconds=0.6).__enter__()
        stopped.send(signal.SIGCONT)
        stopped.send_line("")
        assert stopped.exit_code() == 0
    with concurrency("db", limit=1, timeout_seconds=0):
        pass


def test_one_that_is_taken_over_by_force_has_none_any_more_and_its_hooks_can_have_some(tmp_path: Path) -> None:
    source = """
import sys
from pathlib import Path
from actwright import concurrency, flow

def waits(flow, run, state):
    with concurrency("db", limit=1, timeout_seconds=10):
        (Path(__file__).parent / "told").write_text(state.name)

@flow(on_crashed=[waits])
def holds():
    with concurrency("db", limit=1):
        print("inside", flush=True)
        sys.stdin.readline()

if __name__ == "__main__":
    holds()
"""
    with holding(tmp_path, source) as stopped:
        stopped.send(signal.SIGSTOP)
        (row,) = slot_rows()
        command = [sys.executable, "-m", "actwright", "recover", "--force", row.node_id]
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
        assert (tmp_path / "told").read_text() == "Crashed"
        with concurrency("db", limit=1, timeout_seconds=0):
            stopped.send(signal.SIGCONT)
            stopped.send_line("")
            stopped.exit_code()
            (ours,) = slot_rows()
            assert ours.node_id != row.node_id


def test_the_replayed_hook_of_a_killed_process_has_blocks_of_its_own(tmp_path: Path) -> None:
    source = """
import os, signal
from pathlib import Path
from actwright import concurrency, flow

def waits(flow, run, state):
    with concurrency("db", limit=1, timeout_seconds=20):
        (Path(__file__).parent / "told").write_text(state.name)

@flow(on_crashed=[waits])
def killed():
    with concurrency("db", limit=1):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    killed()
"""
    ran = run_script(tmp_path, source, understudy="false")
    assert ran.returncode == -9, ran.stderr
    command = [sys.executable, "-m", "actwright", "recover"]
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
    assert (tmp_path / "told").read_text() == "Crashed"
    assert slot_rows() == []


def test_a_process_that_ends_inside_of_a_block_of_a_thread_leaves_nothing(tmp_path: Path) -> None:
    source = f"""{HOLDS}
    threading.Thread(target=hold, daemon=True).start()
    inside.wait()
    print("ends", flush=True)
"""
    with started(tmp_path, source) as program:
        program.says("ends")
        assert program.exit_code() == 0
        assert program.lines[0] == "inside"
        assert slot_rows() == []
        assert not any(locks.is_held(path) for path in tmp_path.rglob("*.lock"))


# Fork

FORKS = """
import os, sys
from actwright import concurrency, flow
from actwright.exceptions import SlotTimeout

def in_a_child():
    with concurrency("db", limit=1):
        pid = os.fork()
        if pid == 0:
            print("child inside", flush=True)
            try:
                with concurrency("db", limit=1, timeout_seconds=0.1):
                    print("child let in", flush=True)
            except SlotTimeout:
                print("child waits", flush=True)
    if pid == 0:
        try:  # having left the block that it was forked in
            with concurrency("db", limit=1, timeout_seconds=0.1):
                print("child let in", flush=True)
        except SlotTimeout:
            print("child waits", flush=True)
        os.write(left, b"x")
        os._exit(0)
    return pid

@flow
def forks():
    return in_a_child()

if __name__ == "__main__":
    done, left = os.pipe()
    with concurrency("db", limit=2):
        pid = FORKS
        os.read(done, 1)
        os.waitpid(pid, 0)
        with concurrency("db", limit=1, timeout_seconds=0):
            print("parent inside", flush=True)
"""


@pytest.mark.parametrize("how", ["in_a_child()", "forks()"], ids=["outside of runs", "in a body"])
def test_a_forked_child_holds_nothing_and_gives_nothing_back(tmp_path: Path, how: str) -> None:
    ran = run_script(tmp_path, FORKS.replace("FORKS", how))
    assert ran.stdout.splitlines() == ["child inside", "child waits", "child waits", "parent inside"], ran.stderr
    assert ran.returncode == 0, ran.stderr
