"""What a system looks like from outside: its actors as data, as a drawing, and on a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Final

from actwright_actors._log import logger

if TYPE_CHECKING:
    from actwright_actors.ref import Status
    from actwright_actors.system import ActorSystem

__all__ = ["ActorInfo", "SystemInfo", "dump_on_signal"]

_STANDARD_ERROR: Final = 2


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """One live actor, at one moment. Plain data: `dataclasses.asdict` makes JSON of it."""

    name: str
    kind: str
    """The name of its class."""
    status: Status
    mailbox_length: int
    """How many messages wait, in both lanes."""
    mailbox_peak: int
    """The most user messages that have waited at once."""
    handled: int
    """How many messages it has handled, over all restarts."""
    restarts: int
    child_tasks: int
    current: str | None
    """The message that it is handling, in short; None if none."""
    current_seconds: float | None
    """For how long, by `time.perf_counter`."""
    waits_for: str | None
    """Whose answer or start it waits for, and until then handles nothing; while it is down, its supervisor."""
    children: tuple[ActorInfo, ...]
    """Whom it supervises, in the order of their start."""

    def __str__(self) -> str:
        return "\n".join(_lines(self))


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """A whole system, at one moment. `str()` draws it."""

    name: str
    actors: tuple[ActorInfo, ...]
    """Those without a supervisor, in the order of their start; the others are children of theirs."""
    dead_letters: int
    late_replies: int
    abandoned: int
    """Tasks that go on although nobody waits for them."""
    timers: int
    """Pending ones, the deadlines of asks among them."""

    def __str__(self) -> str:
        counts = f"{self.dead_letters} dead letters, {self.late_replies} late replies, {self.abandoned} abandoned tasks"
        head = f"{self.name}: {_count(self.actors)} actors, {counts}, {self.timers} timers"
        return "\n".join([head, *_branches(self.actors)])


# -- the drawing -------------------------------------------------------------------------------------------------------


def _count(actors: tuple[ActorInfo, ...]) -> int:
    return len(actors) + sum(_count(actor.children) for actor in actors)


def _lines(actor: ActorInfo) -> Iterator[str]:
    yield "  ".join(_columns(actor))
    yield from _branches(actor.children)


def _branches(actors: tuple[ActorInfo, ...]) -> Iterator[str]:
    for actor in actors:
        is_last = actor is actors[-1]
        first, *rest = _lines(actor)
        yield ("└── " if is_last else "├── ") + first
        yield from (("    " if is_last else "│   ") + line for line in rest)


def _columns(actor: ActorInfo) -> Iterator[str]:
    yield f"{actor.name} ({actor.kind})"
    yield actor.status
    yield f"mailbox {actor.mailbox_length}, peak {actor.mailbox_peak}"
    yield f"handled {actor.handled}"
    if actor.restarts:
        yield f"restarts {actor.restarts}"
    if actor.child_tasks:
        yield f"child tasks {actor.child_tasks}"
    if actor.current is not None:
        yield f"handling {actor.current} for {actor.current_seconds:.3g} s"
    if actor.waits_for is not None:
        yield f"waits for {actor.waits_for}"


# -- the signal --------------------------------------------------------------------------------------------------------


def _to_standard_error(text: str) -> None:
    os.write(_STANDARD_ERROR, text.encode(errors="backslashreplace"))


@contextmanager
def dump_on_signal(
    system: ActorSystem, signum: int | None = None, *, write: Callable[[str], object] = _to_standard_error
) -> Generator[None]:
    """While the block runs, write the tree of `system`, and where its loop's thread is, whenever `signum` arrives.

    It works although a handler never yields, which is when it is wanted most: the signal is met between two bytecodes
    of the main thread. `signum` is SIGUSR1 by default. `write` gets the text; by default it goes to descriptor 2, as
    from `faulthandler`, since `print` cannot be entered again while it is interrupted. An earlier handler of that
    signal is called after, and put back at the end, so that the systems of one process can all be dumped.

    Raises ValueError outside of the main thread, where Python lets nobody handle signals, and where there is no
    SIGUSR1.
    """
    number = signum if signum is not None else getattr(signal, "SIGUSR1", None)
    if number is None:
        raise ValueError("This platform has no SIGUSR1: pass the signal to dump on, as dump_on_signal(system, signum).")

    def dump(received: int, frame: FrameType | None) -> None:
        try:
            write(_dump(system, frame))
        except Exception as error:  # it would be raised in whatever the main thread is at
            logger.error("The tree of actor system %r could not be dumped.", system.name, exc_info=error)
        if callable(before):
            before(received, frame)

    before = signal.signal(number, dump)
    try:
        yield
    finally:
        signal.signal(number, before)


def _dump(system: ActorSystem, frame: FrameType | None) -> str:
    if system.thread_id != threading.main_thread().ident:  # the main thread, which is where a signal strikes
        frame = sys._current_frames().get(system.thread_id)  # pyright: ignore[reportPrivateUsage]  # only named so
    where = "".join(traceback.format_stack(frame)) if frame is not None else "  nowhere: it has ended\n"
    return f"{system.tree()}\nThe thread of its loop is at:\n{where}"
