"""The background loops: where the actors live for sync code that is called outside of a Runtime's reach.

A plain script has no event loop, and a sync flow called directly in async code blocks the loop that it is called on.
In both cases the actors, the journal's traffic and the hooks live on a loop in a thread of its own; only the body
runs in the calling thread. There is at most one such loop for each back end, started at the first use and closed at
exit: then what still runs is drained, as leaving a Runtime does.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import ExitStack
from functools import partial
from typing import cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from actwright.engine.host import Host
from actwright.engine.options import RuntimeOptions
from actwright.settings import get_current_settings
from actwright_actors import BackendName, backend_options, current_backend_name

__all__ = ["background_host", "close"]


class _Loop:
    """One loop in one thread, and the hosts that live on it."""

    def __init__(self, backend: BackendName) -> None:
        self._stack = ExitStack()
        name, options = backend_options(backend)
        portal = start_blocking_portal(name, options, name=f"actwright-background-{backend}")
        self._portal: BlockingPortal = self._stack.enter_context(portal)
        self.hosts: dict[Host | None, tuple[Host, ExitStack]] = {}

    def host(self, origin: Host | None) -> Host:
        if origin not in self.hosts:
            host, stack = Host(origin.twin_options() if origin else RuntimeOptions.of({})), ExitStack()
            stack.enter_context(self._portal.wrap_async_context_manager(host))
            self.hosts[origin] = host, stack
            if origin is not None:
                origin.close_twins = partial(_close_twins_of, origin)
        return self.hosts[origin][0]

    def close(self) -> None:
        for _, stack in reversed(self.hosts.values()):
            stack.close()
        self._stack.close()


_lock = threading.Lock()
_loops: dict[BackendName, _Loop] = {}


def background_host(origin: Host | None) -> Host:
    """The host on a background loop that stands in for `origin`, with its options, hooks and journal; for None, the
    process's own. The loop is of the back end that runs in this thread, if one does, so that hooks written for trio
    run on trio."""
    backend = current_backend_name() or cast(BackendName, get_current_settings().background_backend)
    with _lock:
        if backend not in _loops:
            if not _loops:
                atexit.register(close)
            _loops[backend] = _Loop(backend)
        return _loops[backend].host(origin)


def _close_twins_of(origin: Host) -> None:
    """Close what stands in for a host that closes. Blocks; not for a loop's thread."""
    with _lock:
        stacks = [loop.hosts.pop(origin)[1] for loop in _loops.values() if origin in loop.hosts]
    for stack in stacks:
        stack.close()


def close() -> None:
    """Drain and close all background loops; the next sync call opens new ones. Blocks."""
    with _lock:
        loops = list(_loops.values())
        _loops.clear()
        atexit.unregister(close)
    for loop in loops:
        loop.close()


# In a forked child the loop's thread does not exist, and what it left behind must not be closed twice.
os.register_at_fork(after_in_child=_loops.clear)
