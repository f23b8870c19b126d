"""How one attempt of a body ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actwright.exceptions import RunTimedOut

__all__ = ["Crash", "Outcome", "Raised", "Returned", "Timeout", "described", "outcome_of_error"]


@dataclass(frozen=True, slots=True)
class Returned:
    """The body returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The body raised an `Exception`: the attempt failed."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Timeout:
    """The body took longer than its `timeout_seconds`."""

    error: RunTimedOut


@dataclass(frozen=True, slots=True)
class Crash:
    """The body was cut short: a process exit, a KeyboardInterrupt, a forged cancellation, a death."""

    error: BaseException
    message: str | None = None


Outcome = Returned | Raised | Timeout | Crash


def outcome_of_error(error: BaseException) -> Outcome:
    """What an exception that left a body means, when nobody asked that body to stop.

    A cancellation is no `Exception`, so one that nobody ordered (a forged `asyncio.CancelledError`) is a crash, as
    are `SystemExit`, `KeyboardInterrupt` and a group that holds one of these.
    """
    if isinstance(error, Exception):
        return Raised(error)
    return Crash(error)


def described(error: BaseException) -> str:
    """An exception in one line: its type, and what it says of itself. Never raises.

    `__str__` may be an author's own code. What that raises must not reach those who only want to tell of the error.
    """
    try:
        said = str(error)
    except BaseException as broken:
        said = f"its __str__ raised {type(broken).__name__}"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
