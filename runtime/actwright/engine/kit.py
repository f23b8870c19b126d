"""What a test kit may do to the hosts of this process: see each that opens, give it a clock, and abandon it.

Nothing of it is in force unless `actwright.testing` is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from actwright.exceptions import ActwrightError
    from actwright.journal.protocol import Journal
    from actwright_actors import Clock

__all__ = [
    "WatchedHost",
    "clock_for",
    "close_background_loops",
    "hosts_get_clocks",
    "is_a_runtime_open",
    "journals_in_use",
]


class WatchedHost(Protocol):
    """What a kit sees of a host."""

    @property
    def status(self) -> str: ...
    @property
    def journal(self) -> Journal:
        """Of one that is open."""
        ...

    def only_time_helps(self) -> bool:
        """Whether its runs wait for nothing but the clock. In the host's thread."""
        ...

    def abandon(self, error: ActwrightError) -> None:
        """Have it behave as if its process were dead, but for what its journal is still to be told. In any thread."""
        ...


_make: Callable[[WatchedHost], Clock] | None = None


@contextmanager
def hosts_get_clocks(make: Callable[[WatchedHost], Clock]) -> Generator[None]:
    """While inside, `make` is called with each new host of this process; those that were given no clock get its."""
    global _make
    before, _make = _make, make
    try:
        yield
    finally:
        _make = before


def clock_for(host: WatchedHost) -> Clock | None:
    """The clock of a new host that was given none; None is the loop's own."""
    return None if _make is None else _make(host)


def close_background_loops() -> None:
    """Close the loops that sync code has opened, having drained them. Blocks; not for a loop's thread."""
    from actwright.engine.background import close  # which opens the engine: too much for who only asks for a clock

    close()


def is_a_runtime_open() -> bool:
    """Whether somebody holds a Runtime open in this process, in whatever thread."""
    from actwright.engine.background import is_background
    from actwright.engine.forked import hosts_at_work

    return any(not is_background(host) for host in hosts_at_work())


def journals_in_use() -> list[Journal]:
    """What the Runtimes that are open in this process write to, and what sync code does."""
    from actwright.engine.forked import hosts_at_work

    return [host.journal for host in hosts_at_work()]
