"""What a forked child inherits of the engine: records of runs that go on in its parent, where it cannot reach them."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from actwright.exceptions import ForkedRuntime

if TYPE_CHECKING:
    from actwright.engine.host import Host

__all__ = ["fork_error", "hosts_at_work", "note_host"]

_INHERITED: Final = (
    "it belongs to the process that this one was forked from, and goes on there. Call the flow here: a forked process "
    "has a Runtime of its own"
)

_hosts: WeakSet[Host] = WeakSet()


def note_host(host: Host) -> None:
    """Have a host told when this process is a forked child."""
    _hosts.add(host)


def hosts_at_work() -> list[Host]:
    """The hosts of this process that are open, or about to close."""
    return [host for host in list(_hosts) if host.status in ("open", "draining") and not host.is_forked]


def fork_error(what: str) -> ForkedRuntime:
    """That `what` cannot be reached from here."""
    return ForkedRuntime(f"{what} cannot be reached: {_INHERITED}.")


def _in_child() -> None:
    for host in list(_hosts):
        host.is_forked = True
        for run in host.live_runs():
            # Another future: a thread of the parent's may have held the lock of the one that was there.
            run.future = Future()
            run.future.set_exception(fork_error(run.title))


os.register_at_fork(after_in_child=_in_child)
