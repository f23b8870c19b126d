"""Waiting for something that another thread will finish: from async code, and from threads.

A worker thread that waits holds nobody up: it gives its place in its pool back for as long as it waits. So no depth of
nesting runs out of threads.
"""

from __future__ import annotations

import math
import os
import threading
import time
from concurrent.futures import wait
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from actwright_actors.backends import thread_safe_caller

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Any

__all__ = ["LOOK_UP_SECONDS", "Slot", "block_on", "blocking", "event_of", "set_slot", "take", "until_done"]

T = TypeVar("T")

LOOK_UP_SECONDS = 0.2


class Slot(Protocol):
    """A worker thread's place in its pool."""

    def given_back(self) -> AbstractContextManager[None]:
        """Without the place inside the block, and with it again at once after it: it never queues for it.

        Blocks may overlap, where the waits of several tasks of one event loop do: the last one's end counts.
        """
        ...


_thread = threading.local()


def set_slot(slot: Slot | None) -> None:
    """Say which place this thread holds; only a pool calls this, about its own threads."""
    _thread.slot = slot


# In a forked child the pool is gone, and perhaps somebody held its lock.
os.register_at_fork(after_in_child=partial(set_slot, None))


def blocking() -> AbstractContextManager[None]:
    """Around every blocking wait of ours: gives this thread's place in its pool back meanwhile, if it has one."""
    slot: Slot | None = getattr(_thread, "slot", None)
    return slot.given_back() if slot is not None else nullcontext()


def take(inbox: SimpleQueue[T], timeout: float | None = None) -> T:
    """The next item, waited for in this thread for `timeout` seconds at most; None has no limit. Raises queue.Empty.

    A signal that strikes in the very moment in which the main thread begins to block does not wake it, and its handler
    would wait with it: so the main thread looks up now and then.
    """
    if threading.current_thread() is not threading.main_thread():
        return inbox.get(timeout=timeout)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > LOOK_UP_SECONDS:
        with suppress(Empty):
            return inbox.get(timeout=LOOK_UP_SECONDS)
    return inbox.get(timeout=max(0.0, left))


def block_on(future: Future[Any]) -> None:
    """Block this thread until `future` is done. As in `take`, no signal is slept through."""
    while wait([future], LOOK_UP_SECONDS).not_done:
        pass


def event_of(future: Future[Any]) -> anyio.Event:
    """An event of the running loop that is set when `future` is done, whichever thread finishes it."""
    event = anyio.Event()
    if future.done():
        event.set()
        return event
    home = threading.get_ident()
    call_in_loop = thread_safe_caller()

    def done(_: Future[Any]) -> None:
        if threading.get_ident() == home:
            event.set()
        else:
            with suppress(RuntimeError):  # that loop is gone, and whoever waited with it
                call_in_loop(event.set)

    future.add_done_callback(done)
    return event


async def until_done(future: Future[Any]) -> None:
    """Wait in async code until `future` is done.

    In the event loop of a sync body's own (`anyio.run` in a worker thread) that gives the thread's place back, too.
    """
    with blocking():
        await event_of(future).wait()
