"""Signals, in programs of their own: what the runs of a script become, and what its shell sees."""

from __future__ import annotations

import signal
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
from tests.engine.scripts import run_script, started

pytestmark = pytest.mark.costly

each_background = pytest.mark.parametrize("backend", ["asyncio", "asyncio+uvloop", "trio"])

PREAMBLE = """
import asyncio, signal, sys, threading, time
import anyio
from actwright import flow, run_flow, task

def tell(subject, run, state):
    print(f"{subject.name}: {state.name}")

hooks = dict(on_cancellation=[tell], on_completion=[tell], on_failure=[tell], on_crashed=[tell], on_end=[tell])

def hold():
    print("ready")
    time.sleep(60)
"""

PLACES = {
    "in the body": """
@flow(**hooks)
def work():
    hold()
""",
    "while the body waits for a future": """
@task
async def nap():
    print("ready")
    await anyio.sleep_forever()

@flow(**hooks)
def work():
    nap.submit().result()
""",
    "while the body waits for a future, and a lock of that is just being freed": """
@task
async def nap():
    await anyio.sleep_forever()

def strike(frame, event, arg):
    if event == "call" and frame.f_code is threading.Condition.__exit__.__code__:
        sys.setprofile(None)
        print("ready")
        sys.stdin.readline()

@flow(**hooks)
def work():
    handle = nap.submit()
    sys.setprofile(strike)
    handle.result()
""",
    "in the body of a task that is called": """
@task(**hooks)
def part():
    hold()

@flow(**hooks)
def work():
    part()
""",
    "while a hook of a task that is called runs": """
def slow(task, task_run, state):
    print("ready")
    sys.stdin.readline()

@task(on_completion=[slow])
def part(): ...

@flow(**hooks)
def work():
    part()
    print("the body went on")
""",
    "while its on_running hook runs": """
def slow(flow, flow_run, state):
    print("ready")
    sys.stdin.readline()

@flow(on_running=[slow], **hooks)
def work():
    print("the body began")
""",
}

MAIN = """
if __name__ == "__main__":
    work()
    print("the script went on")
"""

each_place = pytest.mark.parametrize("place", PLACES)


@each_background
@each_place
@pytest.mark.parametrize(
    ("number", "exit_code", "states"),
    [(SIGINT, 130, ["Cancelling", "Cancelled"]), (SIGTERM, 143, ["Crashed", "Crashed"])],
    ids=["SIGINT cancels", "SIGTERM crashes"],
)
def test_a_signal_ends_the_runs_of_a_script_runs_their_hooks_and_ends_it_with_its_code(
    tmp_path: Path, number: signal.Signals, exit_code: int, states: list[str], place: str, backend: str
) -> None:
    with started(tmp_path, PREAMBLE + PLACES[place] + MAIN, background_backend=backend) as program:
        program.says("ready")
        program.send(number)
        program.send_line("go on")
        assert program.exit_code() == exit_code
    assert program.lines_of("work") == states
    assert program.lines_of("part") in ([], states)
    assert [line for line in program.lines if line.startswith("the ")] == []


STUBBORN = """
def stubborn(subject, run, state):
    print("hook")
    time.sleep(60)

@flow(on_cancellation=[stubborn], on_crashed=[stubborn])
def work():
    hold()
"""


@pytest.mark.parametrize("first", [SIGINT, SIGTERM])
@pytest.mark.parametrize(("second", "code"), [(SIGINT, 130), (SIGTERM, 143)])
def test_a_second_signal_ends_the_script_now(
    tmp_path: Path, first: signal.Signals, second: signal.Signals, code: int
) -> None:
    with started(tmp_path, PREAMBLE + STUBBORN + MAIN) as program:
        program.says("ready")
        program.send(first)
        program.says("hook")
        program.send(second)
        assert program.exit_code() == code


SWALLOWING = """
@flow(**hooks)
def work():
    try:
        hold()
    except BaseException as error:
        print(f"caught {type(error).__name__}")
    return "all is well"
"""


@pytest.mark.parametrize(
    ("number", "code", "caught", "states"),
    [
        (SIGINT, 130, "KeyboardInterrupt", ["Cancelling", "Cancelled"]),
        (SIGTERM, 143, "SystemExit", ["Crashed", "Crashed"]),
    ],
)
def test_a_body_that_swallows_what_a_signal_raises_changes_nothing(
    tmp_path: Path, number: signal.Signals, code: int, caught: str, states: list[str]
) -> None:
    with started(tmp_path, PREAMBLE + SWALLOWING + MAIN) as program:
        program.says("ready")
        program.send(number)
        assert program.exit_code() == code
    assert f"caught {caught}" in program.lines
    assert program.lines_of("work") == states


CLEANING_UP = """
@task(**hooks)
def part():
    try:
        hold()
    finally:
        clean_up()

@flow(**hooks)
def work():
    try:
        part()
    finally:
        clean_up()

def clean_up():
    for _ in range(40):
        time.sleep(0.005)
    print("cleaned up")
"""


@pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 143)])
def test_a_body_that_a_signal_ends_is_not_interrupted_as_well_while_it_cleans_up(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with started(tmp_path, PREAMBLE + CLEANING_UP + MAIN) as program:
        program.says("ready")
        program.send(number)
        assert program.exit_code() == code
    assert [line for line in program.lines if line == "cleaned up"] == ["cleaned up"] * 2


TIMED_OUT_IN_C = """
import os
from actwright.authoring.interrupts import innermost_body

@flow(timeout_seconds=0.05)
def work():
    threading.Thread(target=kill_once_told, args=(innermost_body(),)).start()
    time.sleep(60)

def kill_once_told(body):
    while not body.was_told:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.NUMBER)

if __name__ == "__main__":
    try:
        work()
    except TimeoutError:
        print("the script went on")
"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", -2), ("SIGTERM", 143)])
def test_a_signal_that_wakes_a_body_which_is_interrupted_is_not_lost(tmp_path: Path, number: str, code: int) -> None:
    """What the body is then told is the interrupt: it is raised at the first step of the signal's handler."""
    ran = run_script(tmp_path, PREAMBLE + TIMED_OUT_IN_C.replace("NUMBER", number))
    assert (ran.returncode, ran.stdout) == (code, "")


CATCHING = """
@flow(**hooks)
def work():
    hold()

@flow(**hooks)
def clean():
    return "clean"

if __name__ == "__main__":
    try:
        work()
    except (KeyboardInterrupt, SystemExit) as error:
        print(clean())
        raise
"""


@pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 143)])
def test_a_script_that_catches_what_a_signal_raises_can_run_another_flow(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with started(tmp_path, PREAMBLE + CATCHING) as program:
        program.says("ready")
        program.send(number)
        assert program.exit_code() == code
    assert program.lines_of("clean") == ["Completed", "Completed"]
    assert program.lines[-1] == "clean"


OWN_LOOP = """
@flow(**hooks)
async def work():
    print("ready")
    await anyio.sleep_forever()
"""

LOOPS = {
    "asyncio.run": "asyncio.run(work())",
    "asyncio.run and run_flow": "asyncio.run(run_flow(work))",
    "anyio.run on asyncio": "anyio.run(work)",
    "anyio.run on uvloop": "anyio.run(work, backend_options={'use_uvloop': True})",
    "anyio.run on trio": "anyio.run(work, backend='trio')",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_sigint_in_a_loop_of_the_scripts_own_cancels_its_runs_and_ends_it_with_130(tmp_path: Path, loop: str) -> None:
    with started(tmp_path, PREAMBLE + OWN_LOOP + LOOPS[loop]) as program:
        program.says("ready")
        program.send(SIGINT)
        assert program.exit_code() == 130
    assert program.lines_of("work") == ["Cancelling", "Cancelled"]


INTERRUPTED_SPAWN = """
import os
from actwright_actors._cell import Cell

launch = Cell.launch

def interrupted(cell, context=None):
    if type(cell.life.actor).__name__ == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGINT)
    launch(cell, context)

Cell.launch = interrupted

@flow(**hooks)
async def work():
    await anyio.sleep_forever()

anyio.run(work, backend="trio")
"""


@pytest.mark.parametrize(("actor", "states"), [("Supervisor", []), ("RunActor", ["Cancelling", "Cancelled"])])
def test_sigint_on_trio_never_leaves_half_an_actor_behind(tmp_path: Path, actor: str, states: list[str]) -> None:
    source = (PREAMBLE + INTERRUPTED_SPAWN).replace("sys.argv[1]", repr(actor))
    with started(tmp_path, source) as program:
        assert program.exit_code() == 130
    assert program.lines_of("work") == states


HANDLERS = """
def show(where):
    print(where, *(signal.getsignal(s).__qualname__ if callable(signal.getsignal(s)) else "default"
                   for s in (signal.SIGINT, signal.SIGTERM)))

@flow
def in_a_thread():
    show("in a thread:")

@flow
def in_async_code():
    show("in async code:")

@flow
def inner():
    show("inside:")

@flow
def work():
    inner()
    show("after an inner one:")

async def main():
    in_async_code()
    await run_flow(in_a_thread)

if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if sys.argv[1:] else "trio")
    work()
    show("after:")
"""


def test_handlers_are_there_for_the_length_of_the_outermost_call_alone(tmp_path: Path) -> None:
    ran = run_script(tmp_path, PREAMBLE + HANDLERS)
    assert ran.stdout.splitlines() == [
        "in async code: KIManager.install.<locals>.handler default",
        "in a thread: KIManager.install.<locals>.handler default",
        "inside: Interrupts.handle Interrupts.handle",
        "after an inner one: Interrupts.handle Interrupts.handle",
        "after: default_int_handler default",
    ]


OWN_HANDLERS = """
def handle(number, frame):
    print(f"handled {signal.Signals(number).name}")

@flow(**hooks)
def work():
    print("ready")
    sys.stdin.readline()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    work()
    assert signal.getsignal(signal.SIGINT) is handle
    assert signal.getsignal(signal.SIGTERM) is handle
"""


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_handler_of_the_scripts_own_is_left_alone(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, PREAMBLE + OWN_HANDLERS) as program:
        program.says("ready")
        program.send(number)
        program.says(f"handled {number.name}")
        program.send_line("go on")
        assert program.exit_code() == 0
    assert program.lines_of("work") == ["Completed", "Completed"]


RAISING_HANDLER = """
def handle(number, frame):
    raise KeyboardInterrupt

@flow(**hooks)
def work():
    hold()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, handle)
    work()
"""


def test_a_handler_of_the_scripts_own_that_raises_in_a_body_crashes_the_run(tmp_path: Path) -> None:
    with started(tmp_path, PREAMBLE + RAISING_HANDLER) as program:
        program.says("ready")
        program.send(SIGINT)
        assert program.exit_code() == 130
    assert program.lines_of("work") == ["Crashed", "Crashed"]
