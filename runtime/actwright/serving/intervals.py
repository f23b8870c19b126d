"""Again and again after the same time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, cast

from actwright.serving.wall_clock import EPOCH, checked_moment, checked_zone, first_after, first_shown

__all__ = ["Interval"]

_DAY: Final = timedelta(days=1)
_LEAST: Final = timedelta(milliseconds=1)
_EXPECTED: Final = "Interval: every must be a timedelta or a number of seconds, of at least 0.001, as in Interval(3600)"


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds, minutes, hours, days, counted from an anchor: `Interval(timedelta(hours=6))`.

    Seconds are counted as they pass, however clocks are changed. Whole days in a timezone are counted by the calendar:
    each time the clock there shows the same time of day. Where it skips that time, the time is the moment at which it
    does; where it shows it twice, the first of the two.

    Attributes:
        every: a timedelta, or seconds; kept as a timedelta.
        anchor: one of the times; the others lie before and after it. Without a time zone of its own it is meant in
            `timezone`. By default Monday, 1 January 2001, midnight in `timezone`, and not the moment of the call: two
            processes must come to the same times. `Interval(3600)` is thus every full hour.
        timezone: IANA name; UTC by default.

    Raises:
        TypeError, ValueError: one of them is something else.
    """

    every: timedelta | float
    anchor: datetime | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", _checked_every(self.every))
        zone = None if self.timezone is None else checked_zone("Interval", self.timezone)
        object.__setattr__(self, "anchor", _checked_anchor(self.anchor, zone))

    def __str__(self) -> str:
        zone = f" {self.timezone}" if self.timezone else ""
        return f"every {self.every}{zone}" + (f" from {self.anchor.isoformat()}" if self.anchor else "")

    def after(self, moment: datetime, /) -> datetime | None:
        """The first time that is later than `moment`, in UTC; None only where the calendar ends."""
        moment = checked_moment("Interval.after: moment", moment)
        every = cast("timedelta", self.every)
        zone = UTC if self.timezone is None else checked_zone("Interval", self.timezone)
        anchor = self.anchor or EPOCH.replace(tzinfo=zone)
        if zone is UTC or every % _DAY:
            return _following(anchor.astimezone(UTC), every, moment)
        start = anchor.astimezone(zone).replace(tzinfo=None, fold=0)
        return first_after(moment, zone, lambda time: _times_after(start, every, time), first_shown)


def _following(start: datetime, every: timedelta, moment: datetime) -> datetime | None:
    """The first of `start` plus and minus any number of `every` that is later than `moment`: exact, by integers."""
    try:
        return start + ((moment - start) // every + 1) * every
    except OverflowError:
        return None  # after the year 9999


def _times_after(start: datetime, every: timedelta, time: datetime) -> Iterator[datetime]:
    following = _following(start, every, time)
    while following is not None:
        yield following
        following = _following(start, every, following)


def _checked_every(every: object) -> timedelta:
    if isinstance(every, bool) or not isinstance(every, timedelta | int | float):
        raise TypeError(f"{_EXPECTED}; got {every!r}.")
    if not isinstance(every, timedelta):
        if not math.isfinite(every):
            raise ValueError(f"{_EXPECTED}; got {every!r}.")
        try:
            every = timedelta(seconds=every)
        except OverflowError:
            raise ValueError(f"{_EXPECTED}, and of no more than a billion days; got {every!r}.") from None
    if every < _LEAST:
        raise ValueError(f"{_EXPECTED}; got {every!r}.")
    return every


def _checked_anchor(anchor: object, zone: tzinfo | None) -> datetime | None:
    if anchor is None:
        return None
    if not isinstance(anchor, datetime):
        raise TypeError(f"Interval: anchor must be a datetime, as datetime(2026, 1, 1, 6, tzinfo=UTC); got {anchor!r}.")
    if anchor.utcoffset() is not None:
        return anchor
    if zone is None:
        raise ValueError(
            f"Interval: anchor {anchor!r} has no time zone; give it one, or give timezone='Europe/Berlin'."
        )
    return anchor.replace(tzinfo=zone)
