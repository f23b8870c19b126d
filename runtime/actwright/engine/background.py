"""The background loops: where the actors live for sync code that is called outside of a Runtime's reach.

A plain script has no event loop, and a sync flow called directly in async code blocks the loop that it is called on.
In both cases the actors, the journal's traffic and the hooks live on a loop in a thread of its own; only the body
runs in the calling thread. There is one such loop for each back end that needs one, started at the first use and closed
at exit: then what still runs is drained, as leaving a Runtime does.
"""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from actwright.authoring.waiting import block_on
from actwright.engine.at_exit import refuse_at_exit
from actwright.engine.host import Host
from actwright.engine.options import RuntimeOptions
from actwright.engine.signals import interrupts_call
from actwright.engine.threads import settle
from actwright.settings import get_current_settings
from actwright_actors import SystemClosed
from actwright_actors.backends import BackendName, backend_options, current_backend_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["background_host", "close", "is_background"]

T = TypeVar("T")


class _Loop:
    """One loop in one thread, and the hosts that live on it."""

    def __init__(self, backend: BackendName, level: int) -> None:
        self._stack = ExitStack()
        name, options = backend_options(backend)
        portal = start_blocking_portal(name, options, name=f"actwright-background-{level}")
        self._portal: BlockingPortal = self._stack.enter_context(portal)
        self.thread_id: int = self._portal.call(threading.get_ident)
        self.hosts: dict[Host | None, tuple[Host, ExitStack]] = {}

    def open(self, origin: Host | None) -> Host:
        host = Host(origin.twin_options(), origin.tally) if origin else Host(RuntimeOptions.of({}))
        stack = ExitStack()
        stack.enter_context(self._portal.wrap_async_context_manager(host))
        self.hosts[origin] = host, stack
        if origin is not None:
            origin.close_twins = partial(_close_twins_of, origin)
        return host

    def close(self) -> None:
        for _, stack in reversed(self.hosts.values()):
            stack.close()
        self._stack.close()


_lock = threading.Lock()
_loops: dict[tuple[BackendName, int], _Loop] = {}


def background_host(origin: Host | None, backend: BackendName | None = None) -> Host:
    """The host on a background loop that stands in for `origin`, with its options, hooks and journal; for None, the
    process's own. The loop is of the back end that runs in this thread, if one does, so that hooks written for trio
    run on trio. Code on a background loop that blocks it in turn gets a loop of the next level.

    A `backend` is given by who asks, in a thread, for code that runs on one.
    """
    backend = backend or current_backend_name() or get_current_settings().background_backend
    with _lock:
        key = backend, _level_of_this_thread() + 1
        if key in _loops and origin in _loops[key].hosts:
            return _loops[key].hosts[origin][0]
    refuse_at_exit("A flow or task was called, or a Variable or Block asked for,")
    return _in_a_thread(partial(_open, key, origin))


def is_background(host: Host) -> bool:
    """Whether a host lives on one of these loops, rather than that somebody has opened it as a Runtime."""
    with _lock:
        return any(host is other for loop in _loops.values() for other, _ in loop.hosts.values())


def _open(key: tuple[BackendName, int], origin: Host | None) -> Host:
    with _lock:
        if not _loops:
            atexit.register(close)
        if key not in _loops:
            _loops[key] = _Loop(*key)
        loop = _loops[key]
        return loop.hosts[origin][0] if origin in loop.hosts else loop.open(origin)


def _level_of_this_thread() -> int:
    me = threading.get_ident()
    return next((level for (_, level), loop in _loops.items() if loop.thread_id == me), 0)


def _in_a_thread(fn: Callable[[], T]) -> T:
    """Call what blocks in a thread of its own, and block until it is done.

    A loop's own thread may not call it (trio refuses that), nor should the main thread: a KeyboardInterrupt, which
    strikes there anywhere, would leave half a loop behind. One that strikes here is raised when the call is done; a
    second one at once. No executor: those refuse work while the interpreter exits.
    """
    result: Future[T] = Future()
    threading.Thread(target=settle, args=(result, fn), name="actwright-opener", daemon=True).start()
    try:
        block_on(result)
    except BaseException:
        block_on(result)
        raise
    return result.result()


def _close_twins_of(origin: Host) -> None:
    """Close what stands in for a host that closes. Blocks; not for a loop's thread."""
    with _lock:
        stacks = [loop.hosts.pop(origin)[1] for loop in _loops.values() if origin in loop.hosts]
    for stack in stacks:
        stack.close()


def close() -> None:
    """Drain and close all background loops; the next sync call opens new ones. Blocks; not for a loop's thread.

    A SIGINT meanwhile cancels what still runs, and raises KeyboardInterrupt when that and its hooks are done.
    """
    closing: list[_Loop] = []
    with interrupts_call(partial(_cancel_all, closing)):
        while _take(closing):  # what is drained may open another one
            _in_a_thread(partial(_close_all, closing))
            closing.clear()


def _take(closing: list[_Loop]) -> bool:
    with _lock:
        closing.extend(_loops.values())
        _loops.clear()
        atexit.unregister(close)
    return bool(closing)


def _close_all(loops: list[_Loop]) -> None:
    for loop in reversed(loops):
        loop.close()


def _cancel_all(loops: list[_Loop]) -> None:
    for loop in loops:
        for host, _ in list(loop.hosts.values()):
            with suppress(SystemClosed):  # it is done
                host.post(host.cancel_all)


_lost: list[_Loop] = []


def _forget() -> None:
    """In a forked child the loops' threads do not exist, and what they left behind must not be closed twice; nor freed,
    since that would close it too, and wait for those threads."""
    global _lock
    _lock = threading.Lock()
    _lost.extend(_loops.values())
    _loops.clear()


os.register_at_fork(after_in_child=_forget)
