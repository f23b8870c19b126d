"""Why an actor ended: a closed set of values, never an exception in flight.

After OTP's exit reasons. Whoever watches an actor gets one of these in `Down`; matching on all five is exhaustive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Crashed", "ExitReason", "Killed", "Normal", "Shutdown", "StartFailed"]


@dataclass(frozen=True, slots=True)
class Normal:
    """It was asked to stop, or to drain, and did."""

    is_abnormal: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Its system or its supervisor stopped it in an ordered way."""

    is_abnormal: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Killed:
    """Its work was cancelled: by `kill()`, or because it did not stop in time."""

    is_abnormal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Crashed:
    """An exception escaped from it or from one of its child tasks; SystemExit and a forged cancellation count.

    As any exception does, `error` keeps the frames that it passed through, and so the actor, whose `handle` has it as
    `self`. Who keeps errors for long lets go of that with `traceback.clear_frames(error.__traceback__)`.
    """

    is_abnormal: ClassVar[bool] = True
    error: BaseException


@dataclass(frozen=True, slots=True)
class StartFailed:
    """`on_start` raised, so it never handled a message and `on_stop` was not called. `error` is as a crash's."""

    is_abnormal: ClassVar[bool] = True
    error: BaseException


ExitReason = Normal | Shutdown | Killed | Crashed | StartFailed
