"""Whether a thread may be interrupted where it stands: the decision alone, and how it reads a stack."""

# pyright: reportPrivateUsage=false
# What it reads of another thread is private by name.

from __future__ import annotations

import asyncio
import dis
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actwright.engine import interrupting
from actwright.engine.strikes import Landing, Level, Verdict, decide, level_of

AUTHORS = Level("jobs", "work")

NOT_NOW = {
    "nothing of the body's": [],
    "in the engine": [Level("actwright.authoring.futures", "wait"), AUTHORS],
    "in the actor library": [Level("actwright_actors.ref", "signal"), AUTHORS],
    "called by the engine": [AUTHORS, Level("actwright.engine.entry", "call"), AUTHORS],
    "called by a logger that the engine called": [
        Level("jobs", "emit"), Level("logging", "handle"), Level("actwright.authoring.logging", "log"), AUTHORS,
    ],
    "in a module that is being imported": [
        Level("other", "<module>"), Level("importlib._bootstrap", "_load_unlocked"), AUTHORS,
    ],
    "in a finalizer": [Level("jobs", "__del__"), AUTHORS],
    "called by a finalizer": [AUTHORS, Level("jobs", "__del__"), AUTHORS],
    "leaving a with block": [Level("jobs", "__exit__"), AUTHORS],
    "leaving one of a generator": [AUTHORS, Level("contextlib", "__exit__"), AUTHORS],
    "leaving an async one": [Level("jobs", "__aexit__", is_coroutine=True), AUTHORS],
    "in a callback of a weak reference": [Level("jobs", "forget"), Level("weakref", "__call__"), AUTHORS],
    "in threading": [Level("threading", "notify"), AUTHORS],
    "while a process is started": [Level("subprocess", "_execute_child", calls="fork_exec"), AUTHORS],
    "at the taking of another lock in threading": [Level("threading", "_acquire_restore", calls="acquire"), AUTHORS],
    "in a queue": [Level("queue", "put"), AUTHORS],
    "in a handler of logging": [Level("logging.handlers", "emit"), AUTHORS],
    "in an executor": [Level("concurrent.futures.thread", "submit"), AUTHORS],
    "in an event loop": [Level("asyncio.base_events", "_run_once"), AUTHORS],
    "in a coroutine of an event loop": [Level("asyncio.tasks", "wait", is_coroutine=True), AUTHORS],
    "in a callback of an event loop": [AUTHORS, Level("asyncio.events", "_run"), AUTHORS],
    "below a callback of an event loop": [AUTHORS, AUTHORS, Level("asyncio.events", "_run"), AUTHORS],
    "in a callback of trio": [AUTHORS, Level("trio._core._run", "unrolled_run"), AUTHORS],
    "where it would go astray": [Level("jobs", "work", landing=Landing.ASTRAY), AUTHORS],
}  # fmt: skip

RATHER_NOT = {
    "entering a with block": [Level("jobs", "__enter__"), AUTHORS],
    "below that": [AUTHORS, Level("contextlib", "__enter__"), AUTHORS],
    "taking a lock": [Level("jobs", "work", calls="acquire"), AUTHORS],
    "where it would land elsewhere": [Level("jobs", "work", landing=Landing.LATER), AUTHORS],
}

STRIKE = {
    "in the body": [AUTHORS],
    "in what it calls": [Level("numpy.linalg", "solve"), AUTHORS],
    "in a module of a like name": [Level("actwright_jobs.main", "work"), AUTHORS],
    "in the key of a sort that logging made": [AUTHORS, Level("logging", "emit"), AUTHORS],
    "waiting for an event": [Level("threading", "wait", calls="acquire"), Level("threading", "wait"), AUTHORS],
    "waiting for a process": [Level("subprocess", "_try_wait", calls="waitpid"), AUTHORS],
    "waiting for a queue": [Level("threading", "wait", calls="acquire"), Level("queue", "get"), AUTHORS],
    "waiting for a socket": [Level("selectors", "select", calls="poll"), AUTHORS],
    "in an idle loop of asyncio": [
        Level("selectors", "select", calls="poll"), Level("asyncio.base_events", "_run_once"), AUTHORS,
    ],
    "in a coroutine": [
        Level("jobs", "main", is_coroutine=True), Level("asyncio.events", "_run"), Level("asyncio.runners", "run"),
    ],
    "in a coroutine that trio steps": [
        AUTHORS, Level("jobs", "main", is_coroutine=True), Level("trio._core._run", "unrolled_run"), AUTHORS,
    ],
    "in what a coroutine of a loop calls": [
        AUTHORS, Level("asyncio.tasks", "wait_for", is_coroutine=True), Level("asyncio.events", "_run"), AUTHORS,
    ],
}  # fmt: skip

EACH = {Verdict.NOT_NOW: NOT_NOW, Verdict.RATHER_NOT: RATHER_NOT, Verdict.STRIKE: STRIKE}
each_stack = pytest.mark.parametrize(
    ("verdict", "stack"),
    [pytest.param(verdict, stack, id=f"{verdict.name}: {where}") for verdict, all_of_it in EACH.items()
     for where, stack in all_of_it.items()],
)  # fmt: skip


@each_stack
def test_a_body_is_struck_only_in_code_of_its_own_that_can_take_it(verdict: Verdict, stack: list[Level]) -> None:
    assert decide(stack) is verdict


levels = st.sampled_from([level for all_of_it in EACH.values() for stack in all_of_it.values() for level in stack])
stacks = st.lists(levels, min_size=1, max_size=6)


@given(stacks)
def test_whatever_the_stack_the_engine_on_it_keeps_the_strike_off(stack: list[Level]) -> None:
    engine = Level("actwright.engine.entry", "call")
    for place in range(len(stack) + 1):
        assert decide([*stack[:place], engine, *stack[place:]]) is Verdict.NOT_NOW


@given(stacks, stacks)
def test_what_forbids_a_strike_forbids_it_whatever_is_above(below: list[Level], above: list[Level]) -> None:
    closing = Level("jobs", "__exit__")
    assert decide([*above, closing, *below]) is Verdict.NOT_NOW


@given(stacks)
def test_the_author_who_calls_more_of_his_own_code_is_never_worse_off_but_for_loops(stack: list[Level]) -> None:
    deeper = decide([*stack, AUTHORS])
    assert deeper is decide(stack) or any(level.package in ("asyncio", "trio") for level in stack)


# Reading a stack


def at(code: Callable[..., object], name: str, number: int = 0) -> int:
    """Where an instruction of that name stands in a function."""
    return [item.offset for item in dis.get_instructions(code) if item.opname.startswith(name)][number]


class Standing:
    """As much of a frame as is read of one, at some instruction of a function."""

    def __init__(self, fn: Any, offset: int) -> None:
        self.f_code = fn.__code__
        self.f_globals: dict[str, Any] = fn.__globals__
        self.f_lasti = offset


def read(fn: Any, offset: int, *, is_top: bool = True) -> Level:
    standing: Any = Standing(fn, offset)
    return level_of(standing, is_top=is_top)


def spins(n: int) -> None:
    while True:
        n += 1


def spins_in_a_with(lock: threading.Lock) -> None:
    with lock:
        while True:
            pass


def spins_first_in_a_try(n: int) -> None:
    try:
        while True:
            n += 1
    finally:
        print(n)


def spins_after_a_try(n: int) -> None:
    try:
        n += 1
    except ValueError:
        pass
    while True:
        n += 1


def counts_in_a_try(n: int) -> None:
    try:
        while n:
            n -= 1
        for _ in range(n):
            n += 1
    finally:
        print(n)


@pytest.mark.parametrize("fn", [spins, spins_in_a_with, spins_first_in_a_try, spins_after_a_try, counts_in_a_try])
def test_a_loop_is_a_place_to_strike(fn: Any) -> None:
    jumps = [item for item in dis.get_instructions(fn) if "JUMP_BACKWARD" in item.opname]
    assert [read(fn, jump.offset).landing for jump in jumps] == [Landing.HERE] * len(jumps)
    assert jumps


ON_ONE_LINE = """
def spins(n):
    try:
        while True: n += 1
    finally:
        print(n)
"""


def test_a_loop_on_the_first_line_of_a_try_would_let_an_exception_by_before_3_12() -> None:
    names: dict[str, Any] = {}
    exec(ON_ONE_LINE, names)
    landing = read(names["spins"], at(names["spins"], "JUMP_BACKWARD")).landing
    assert landing is (Landing.ASTRAY if sys.version_info < (3, 12) else Landing.HERE)


def calls(lock: threading.Lock, n: float) -> None:
    lock.acquire(timeout=n)
    print(n)
    len(str(n))
    lock.release()


def test_a_call_is_a_place_to_strike_and_the_method_is_known_that_it_calls() -> None:
    levels = [read(calls, item.offset) for item in dis.get_instructions(calls) if item.opname == "CALL"]
    assert [level.calls for level in levels] == ["acquire", None, None, None, "release"]
    assert {level.landing for level in levels} == {Landing.HERE}


def test_an_operator_is_not() -> None:
    assert read(spins, at(spins, "BINARY_OP")).landing is Landing.LATER


def multiplies(lock: threading.Condition, a: Any, b: Any) -> Any:
    with lock:
        c = a @ b
    c = a @ b
    return print(c)


def test_an_operator_at_the_end_of_a_with_block_would_keep_its_exit_from_being_run() -> None:
    operators = [item.offset for item in dis.get_instructions(multiplies) if item.opname == "BINARY_OP"]
    assert [read(multiplies, offset).landing for offset in operators] == [Landing.ASTRAY, Landing.LATER]


def test_of_a_frame_that_is_not_on_top_no_instruction_is_read() -> None:
    assert read(calls, at(calls, "CALL"), is_top=False) == Level(__name__, "calls")


async def coroutine() -> None: ...
async def async_generator() -> Any:
    yield


def generator() -> Generator[None]:
    yield


@pytest.mark.parametrize(("fn", "expected"), [(coroutine, True), (async_generator, True), (generator, False)])
def test_a_coroutine_is_known_as_one(fn: Any, expected: bool) -> None:
    assert read(fn, 0).is_coroutine is expected


def test_a_frame_of_a_module_without_a_name_is_read_as_such() -> None:
    frames: list[FrameType] = []
    exec("frames.append(sys._getframe())", {"frames": frames, "sys": sys, "__name__": None})
    assert level_of(frames[0], is_top=True).module == ""


def blocks_in(wait: Callable[[], object], until: tuple[str, str, str | None]) -> None:
    """Have a thread wait, and look at it until it is where it should be."""
    thread = threading.Thread(target=wait)
    thread.start()
    assert thread.ident is not None
    seen: set[tuple[str, str, str | None]] = set()
    while thread.is_alive() and until not in seen:
        frame = sys._current_frames().get(thread.ident)
        if frame is not None:
            level = level_of(frame, is_top=True)
            seen.add((level.module, level.function, level.calls))
    thread.join()
    assert until in seen


def test_a_wait_for_an_event_is_known_in_this_interpreter() -> None:
    blocks_in(lambda: threading.Event().wait(0.2), ("threading", "wait", "acquire"))


@pytest.mark.parametrize(
    ("timeout", "function", "module_function"), [(None, "_try_wait", "waitpid"), (5, "_wait", "sleep")]
)
def test_the_wait_for_a_process_is_known_in_this_interpreter(
    timeout: float | None, function: str, module_function: str
) -> None:
    named = module_function if sys.version_info >= (3, 12) else None
    blocks_in(lambda: subprocess.Popen(["sleep", "0.2"]).wait(timeout), ("subprocess", function, named))


def test_the_wait_of_an_idle_loop_is_known_in_this_interpreter() -> None:
    method = "control" if hasattr(selectors, "KqueueSelector") else "poll"
    blocks_in(lambda: asyncio.run(asyncio.sleep(0.2)), ("selectors", "select", method))


# The strike


def test_between_the_last_look_and_the_strike_the_interpreter_has_no_reason_to_switch_threads() -> None:
    names = [item.opname for item in dis.get_instructions(interrupting.strike)]
    assert sum(name.startswith(("CALL", "PRECALL")) for name in names[names.index("FOR_ITER") :]) == 1
    between = names[names.index("FOR_ITER") : names.index("CALL_FUNCTION_EX")]
    assert {name for name in between if "BACKWARD" in name or name == "RESUME" or "CALL" in name} == set()
    assert set(between) <= {
        "FOR_ITER", "STORE_FAST", "LOAD_FAST", "LOAD_CONST", "LOAD_ATTR", "STORE_ATTR", "CONTAINS_OP", "BINARY_SUBSCR",
        "IS_OP", "COMPARE_OP", "POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_IF_FALSE",
        "POP_JUMP_IF_TRUE", "JUMP_IF_FALSE_OR_POP", "PUSH_NULL",
    }  # fmt: skip
