"""The end of a script, and of what it started and did not wait for."""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT

import pytest
from tests.engine.scripts import EACH_BACKEND, run_script, started

pytestmark = pytest.mark.costly

each_background = pytest.mark.parametrize("backend", EACH_BACKEND)

PREAMBLE = """
import os, signal, time
import anyio
from actwright import flow, task

def tell(subject, run, state):
    print(f"{subject.name}: {state.name}", flush=True)

hooks = dict(on_cancellation=[tell], on_completion=[tell], on_failure=[tell], on_crashed=[tell])
"""

NOT_WAITED_FOR = """
import threading
from actwright.engine.host import Host

begun = threading.Event()

@task(**hooks)
def part():
    return "part"

@task(**hooks)
async def work():
    work.script_ended = anyio.Event()
    begun.set()
    await work.script_ended.wait()
    return part()  # which opens a loop of the next level

drain = Host.__aexit__

async def told(self, *exc):
    work.script_ended.set()
    return await drain(self, *exc)

Host.__aexit__ = told
work.submit()
begun.wait()
"""


@each_background
def test_a_task_that_goes_on_when_its_script_ends_may_still_call_sync_code(tmp_path: Path, backend: str) -> None:
    ran = run_script(tmp_path, PREAMBLE + NOT_WAITED_FOR, background_backend=backend)
    assert ran.stdout.splitlines() == ["part: Completed", "work: Completed"], ran.stderr


ENDLESS = """
import threading
from actwright.engine.host import Host

begun = threading.Event()

@task(**hooks)
async def work():
    begun.set()
    await anyio.sleep_forever()

drain = Host.__aexit__

async def told(self, *exc):
    print("draining", flush=True)
    return await drain(self, *exc)

Host.__aexit__ = told
work.submit()
begun.wait()
"""


@each_background
def test_sigint_while_a_script_that_ended_is_drained_cancels_what_goes_on_and_runs_its_hooks(
    tmp_path: Path, backend: str
) -> None:
    with started(tmp_path, PREAMBLE + ENDLESS, background_backend=backend) as program:
        program.says("draining")
        program.send(SIGINT)
        program.exit_code()
    assert program.lines_of("work") == ["Cancelling"]


STRUCK_ELSEWHERE = ENDLESS.replace(
    'print("draining", flush=True)',
    # As one does that strikes in the moment before the main thread blocks, it is noted, and interrupts no wait of it.
    "time.sleep(0.1); signal.pthread_kill(threading.get_ident(), signal.SIGINT)",
)


@each_background
def test_sigint_that_does_not_wake_the_thread_that_waits_for_the_drain_cancels_what_goes_on_all_the_same(
    tmp_path: Path, backend: str
) -> None:
    ran = run_script(tmp_path, PREAMBLE + STRUCK_ELSEWHERE, background_backend=backend)
    assert ran.stdout.splitlines() == ["work: Cancelling"], ran.stderr


STRUCK_AS_THE_DRAIN_BEGINS = """
import threading

begun = threading.Event()

@task(**hooks)
async def work():
    begun.set()
    await anyio.sleep_forever()

work.submit()
begun.wait()

start = threading.Thread.start

def struck(self):
    if threading.current_thread() is threading.main_thread():
        os.kill(os.getpid(), signal.SIGINT)  # acts before this call returns
    start(self)

threading.Thread.start = struck
"""


@each_background
def test_sigint_just_as_the_drain_of_a_script_begins_cancels_what_goes_on_and_runs_its_hooks(
    tmp_path: Path, backend: str
) -> None:
    ran = run_script(tmp_path, PREAMBLE + STRUCK_AS_THE_DRAIN_BEGINS, background_backend=backend)
    assert ran.stdout.splitlines() == ["work: Cancelling"], ran.stderr


INTERRUPTED_START = """
from anyio.from_thread import BlockingPortal

enter = BlockingPortal.__aenter__

async def interrupted(self):
    os.kill(os.getpid(), signal.SIGINT)  # the main thread waits for this
    time.sleep(0.1)
    return await enter(self)

BlockingPortal.__aenter__ = interrupted

@flow(**hooks)
def work():
    print("the body ran")

work()
"""


@each_background
def test_sigint_while_the_first_call_opens_its_loop_ends_the_script_with_130(tmp_path: Path, backend: str) -> None:
    with started(tmp_path, PREAMBLE + INTERRUPTED_START, background_backend=backend) as program:
        assert program.exit_code() == 130
    assert program.lines == []


AT_EXIT = """
import atexit, sys, threading

@flow(**hooks)
def sync(): ...

@flow(**hooks)
async def work(): ...

@task(**hooks)
def part(): ...

def called():
    try:
        CALL
    except Exception as error:
        print(f"{type(error).__name__}: {error}")

def late():
    threading.main_thread().join()
    CALL
"""

CALLS = pytest.mark.parametrize("call", ["sync()", "part.submit().wait()", "anyio.run(work)"])


@CALLS
@pytest.mark.parametrize("before", ["", "sync()"], ids=["the first one", "not the first one"])
def test_a_call_in_an_exit_handler_is_refused_and_the_reason_is_said(tmp_path: Path, call: str, before: str) -> None:
    source = PREAMBLE + AT_EXIT.replace("CALL", call) + f"atexit.register(called)\n{before}\n"
    ran = run_script(tmp_path, source)
    said = [line for line in ran.stdout.splitlines() if line != "sync: Completed"]
    assert len(said) == 1, ran.stderr
    assert said[0].startswith("RuntimeClosed: ")
    assert "while Python exits" in said[0]
    assert "at the end of the script" in said[0]
    assert "Traceback" not in ran.stderr


@CALLS
def test_a_thread_that_goes_on_when_its_script_has_ended_may_call_for_the_first_time(tmp_path: Path, call: str) -> None:
    source = PREAMBLE + AT_EXIT.replace("CALL", call) + "threading.Thread(target=late).start()\n"
    ran = run_script(tmp_path, source)
    assert ran.stdout.splitlines() == [
        f"{next(name for name in ('sync', 'part', 'work') if name in call)}: Completed"
    ], ran.stderr
    assert "Traceback" not in ran.stderr
