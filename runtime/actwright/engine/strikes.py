"""Whether a thread may be interrupted where it stands: a decision about its stack, and nothing else.

An exception out of nowhere is harmless where the author's own code runs: it leaves by the `with` and `finally` that are
there. It is not in code that changes something in several steps and trusts that no step raises.
"""

from __future__ import annotations

import dis
import inspect
import sys
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, FrameType

__all__ = ["Landing", "Level", "Verdict", "decide", "level_of"]


class Verdict(Enum):
    """NOT_NOW: something would break. RATHER_NOT: a better moment may come soon. STRIKE: now."""

    NOT_NOW = auto()
    RATHER_NOT = auto()
    STRIKE = auto()


class Landing(Enum):
    """HERE: where it stands. LATER: some instructions on, which may be in another frame. ASTRAY: a `try` or a
    `with` around it would not hear of it."""

    HERE = auto()
    LATER = auto()
    ASTRAY = auto()


@dataclass(frozen=True, slots=True)
class Level:
    """One frame of a stack.

    Attributes:
        module: the name of the module whose code it is; "" when that is not known.
        function: the name of that code.
        is_coroutine: its exceptions go to whoever awaits it.
        landing: where an exception that is sent to it is raised. Only told of the top.
        calls: for a call, the method that was named last before it: of `lock.acquire(timeout=1)` "acquire". As above.
    """

    module: str
    function: str
    is_coroutine: bool = False
    landing: Landing = Landing.HERE
    calls: str | None = None

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


_ENGINE = {"actwright", "actwright_actors"}
# A module that was imported by halves stays so.
_IMPORTS = {"importlib._bootstrap", "importlib._bootstrap_external"}
# What they raise goes to nobody, or something stays open that they were to close.
_CLOSERS = {"__del__", "__exit__", "__aexit__"}
# Between the opening and the `with` that would close it.
_OPENERS = {"__enter__", "__aenter__"}
# What their functions do for finalizers is lost like these.
_FINALIZERS = {"weakref", "_weakrefset"}
# A loop that runs in the body. An exception in a callback is logged by asyncio, and ends trio with an internal error;
# one in a coroutine goes to its task, and so to whoever waits for that.
_LOOPS = {"asyncio", "trio", "uvloop", "anyio"}
# Where locks are taken and freed, queues filled and emptied, in steps that nothing guards: `acquire()` in one line and
# `try:` in the next. Elsewhere in the standard library, and in most code, locks are held by `with`, whose enter and
# exit are C functions, with no moment between them and the block. Or where a process is started, for which then nobody
# would wait.
_UNGUARDED = _LOOPS | {
    "concurrent", "contextlib", "logging", "multiprocessing", "queue", "selectors", "subprocess", "threading"
}  # fmt: skip
# But there they block, for all the time that a body waits: in a call of which the very next lines handle an exception.
# So it is with the wait for a lock in `Condition.wait`, where every wait for an Event, a Queue or a Future ends up.
_WAITS = {
    ("threading", "wait", "acquire"),
    *(("subprocess", "_try_wait", calls) for calls in (None, "waitpid")),  # None: a module's function, before 3.12
    *(("subprocess", "_wait", calls) for calls in (None, "sleep")),
    ("selectors", "select", "poll"),
    ("selectors", "select", "control"),
    ("selectors", "_select", "select"),
}
# The interpreter raises what was sent to a thread at a function's entry, at a jump back, and after a call.
_CHECKED = ("RESUME", "JUMP_BACKWARD", "POP_JUMP_BACKWARD", "PRECALL", "CALL")


def decide(stack: Sequence[Level]) -> Verdict:
    """What to do with a thread whose body has these frames, the innermost first."""
    if not stack:
        return Verdict.NOT_NOW
    if any(_forbids(level) for level in stack) or _would_be_lost(stack):
        return Verdict.NOT_NOW
    top = stack[0]
    if top.landing is Landing.ASTRAY:
        return Verdict.NOT_NOW
    if (top.module, top.function, top.calls) in _WAITS:
        return Verdict.STRIKE
    if top.package in _UNGUARDED:
        return Verdict.NOT_NOW
    return Verdict.RATHER_NOT if _has_better_moments(stack) else Verdict.STRIKE


def _forbids(level: Level) -> bool:
    """Whether nothing may be raised while this frame is on the stack, wherever in it."""
    return (
        level.package in _ENGINE
        or level.module in _IMPORTS
        or level.function in _CLOSERS
        or level.package in _FINALIZERS
    )


def _would_be_lost(stack: Sequence[Level]) -> bool:
    """Whether a loop called what stands above it as a callback, and would take the exception."""
    for above, below in pairwise(stack):
        leaves_loop = below.package in _LOOPS and above.package not in _LOOPS | {"selectors"}
        if leaves_loop and not (below.is_coroutine or above.is_coroutine):
            return True
    return False


def _has_better_moments(stack: Sequence[Level]) -> bool:
    """Whether it might hit what has just been opened, and what no `with` or `try` guards yet; or who knows what."""
    top = stack[0]
    is_opening = any(level.function in _OPENERS for level in stack) or top.calls == "acquire"
    return is_opening or top.landing is Landing.LATER


def level_of(frame: FrameType, *, is_top: bool) -> Level:
    """What there is to know of a frame, though its thread may go on meanwhile."""
    code, module = frame.f_code, frame.f_globals.get("__name__")
    is_coroutine = bool(code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))
    landing, calls = _at(code, frame.f_lasti) if is_top else (Landing.HERE, None)
    return Level(module if isinstance(module, str) else "", code.co_name, is_coroutine, landing, calls)


@lru_cache(maxsize=256)
def _at(code: CodeType, offset: int) -> tuple[Landing, str | None]:
    """Where an exception lands that is sent to a thread that is there, and what it calls there."""
    at, method = None, None
    for instruction in dis.get_instructions(code):
        if instruction.offset > offset:
            break
        if at is not None and at.opname.startswith("CALL"):
            method = None  # what was named before that call was for it
        at = instruction
        if at.opname == "LOAD_METHOD" or (at.opname == "LOAD_ATTR" and at.argrepr.startswith("NULL")):  # since 3.12
            method = str(at.argval)
    if at is None:  # it has not begun
        return Landing.LATER, None
    return _landing(code, at), method if at.opname.startswith(("CALL", "PRECALL")) else None


def _landing(code: CodeType, at: dis.Instruction) -> Landing:
    if not at.opname.startswith(_CHECKED) or at.opname == "JUMP_BACKWARD_NO_INTERRUPT":
        return Landing.ASTRAY if _ends_a_with(code, at) else Landing.LATER
    if sys.version_info < (3, 12) and "BACKWARD" in at.opname:
        # It jumps, raises, and looks for a handler by the instruction before the one that it jumped to. For
        # `while True: n += 1`, on one line, the first one of a `try:`, that one is not in the `try`.
        if _handler(code, at.argval - 2) != _handler(code, at.offset):
            return Landing.ASTRAY
    return Landing.HERE


def _ends_a_with(code: CodeType, at: dis.Instruction) -> bool:
    """Whether the next place to raise is the entry of an `__exit__`, which would then not be run: `with a: b @ c`."""
    nones = 0
    for instruction in dis.get_instructions(code):
        if instruction.offset <= at.offset:
            continue
        if instruction.opname.startswith(_CHECKED):
            return nones == 3  # the arguments of an `__exit__` that is told of no exception
        nones = nones + 1 if instruction.opname == "LOAD_CONST" and instruction.argval is None else 0
    return False


def _handler(code: CodeType, offset: int) -> int | None:
    """Where what is raised at an instruction is caught in the same frame."""
    entries: list[Any] = getattr(dis.Bytecode(code), "exception_entries", [])
    return next((entry.target for entry in entries if entry.start <= offset < entry.end), None)
