"""Which host a call belongs to, when it is not told."""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import RunVar

from actwright.authoring.context import within_reach
from actwright.engine.live_run import LiveRun
from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from actwright.engine.host import Host

__all__ = ["ambient_host", "enter", "leave"]

# A task that does not descend from the one that opened the Runtime still shares its loop: a request handler of a web
# application whose lifespan holds the Runtime. A thread that the opener started shares its context, but not its loop.
_OF_LOOP: Final[RunVar[tuple[Host, ...]]] = RunVar("actwright_hosts", ())
_OF_CONTEXT: Final[ContextVar[Host | None]] = ContextVar("actwright_host", default=None)


def ambient_host() -> Host | None:
    """The host of the run or hook that the code that asks is part of; else the open Runtime around it; else None."""
    context = within_reach()
    if context is not None and isinstance(context.run, LiveRun):
        return context.run.host
    candidates = [_OF_CONTEXT.get()]
    if current_backend_name() is not None:
        candidates += reversed(_OF_LOOP.get())
    return next((host for host in candidates if host is not None and host.status != "closed"), None)


def enter(host: Host) -> Host | None:
    """Make `host` the ambient one of this loop and this context; returns the one before, for `leave`."""
    before = _OF_CONTEXT.get()
    _OF_LOOP.set((*_OF_LOOP.get(), host))
    _OF_CONTEXT.set(host)
    return before


def leave(host: Host, before: Host | None) -> None:
    """Undo `enter`; those of two tasks on one loop need not be left in the reverse order."""
    _OF_LOOP.set(tuple(other for other in _OF_LOOP.get() if other is not host))
    _OF_CONTEXT.set(before)


# In a forked child no Runtime of the parent's is open.
os.register_at_fork(after_in_child=partial(_OF_CONTEXT.set, None))
