"""Which host a call belongs to, when it is not told."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import RunVar

from actwright.authoring.context import CURRENT
from actwright.engine.live_run import LiveRun
from actwright_actors import current_backend_name

if TYPE_CHECKING:
    from actwright.engine.host import Host

__all__ = ["ambient_host", "enter", "leave"]

# A task that does not descend from the one that opened the Runtime still shares its loop: a request handler of a web
# application whose lifespan holds the Runtime. A thread that the opener started shares its context, but not its loop.
_OF_LOOP: Final[RunVar[Host | None]] = RunVar("actwright_host", None)
_OF_CONTEXT: Final[ContextVar[Host | None]] = ContextVar("actwright_host", default=None)


def ambient_host() -> Host | None:
    """The host of the run or hook that the code that asks is part of; else the open Runtime around it; else None."""
    context = CURRENT.get()
    if context is not None and isinstance(context.run, LiveRun):
        return context.run.host
    candidates = [_OF_CONTEXT.get()]
    if current_backend_name() is not None:
        candidates.append(_OF_LOOP.get())
    return next((host for host in candidates if host is not None and host.status != "closed"), None)


def enter(host: Host) -> tuple[Host | None, Host | None]:
    """Make `host` the ambient one of this loop and this context; returns what `leave` needs."""
    before = _OF_LOOP.get(), _OF_CONTEXT.get()
    _OF_LOOP.set(host)
    _OF_CONTEXT.set(host)
    return before


def leave(before: tuple[Host | None, Host | None]) -> None:
    """Undo `enter`."""
    _OF_LOOP.set(before[0])
    _OF_CONTEXT.set(before[1])
