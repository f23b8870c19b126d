"""From what a clock on the wall shows to moments, in zones that change their clocks. Pure.

What a clock shows is a naive `datetime`, a moment an aware one in UTC. In a zone with daylight saving the clock skips
some times once a year, and shows some twice. A rule finds its times as if no clock were ever changed, and says by a
`Reading` which moments these are.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

__all__ = [
    "EPOCH", "HORIZON", "Reading", "checked_moment", "checked_zone", "each_shown", "first_after", "first_shown",
]  # fmt: skip

EPOCH: Final = datetime(2001, 1, 1)
"""What rules count from that were given no start of their own: a Monday, midnight."""

HORIZON: Final = timedelta(days=365.25 * 50)
"""A rule without a time in so long has none."""

_LAST_YEAR: Final = 9900  # datetime ends with 9999, and the horizon must fit before

Reading: TypeAlias = Callable[[datetime, tzinfo], tuple[datetime, ...]]
"""The moments, in order, that are meant by a time that a clock on the wall of that zone shows."""


def checked_zone(owner: str, name: object) -> tzinfo:
    """The zone of that IANA name.

    Raises:
        TypeError: it is no text.
        ValueError: there is no such zone, or this machine has no data on zones.
    """
    if not isinstance(name, str):
        raise TypeError(f"{owner}: timezone must be the IANA name of a zone, as 'Europe/Berlin'; got {name!r}.")
    if name == "UTC":
        return UTC  # needs no data, which a small container may lack
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the data, as 'Europe'
        raise ValueError(f"{owner}: {_unknown(name)}") from None


def _unknown(name: str) -> str:
    known = available_timezones()
    if not known:
        return f"timezone {name!r}: this machine has no data on time zones. Install it with: pip install tzdata"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "expected an IANA name, as 'Europe/Berlin' or 'UTC'."
    return f"there is no timezone {name!r}; {hint}"


def checked_moment(owner: str, moment: object) -> datetime:
    """`moment` in UTC.

    Raises:
        TypeError: it is no datetime.
        ValueError: it is in no zone.
    """
    if not isinstance(moment, datetime):
        raise TypeError(f"{owner} must be a datetime with a time zone, as datetime.now(UTC); got {moment!r}.")
    if moment.utcoffset() is None:
        raise ValueError(f"{owner} must have a time zone, as datetime.now(UTC); got {moment!r}.")
    return moment.astimezone(UTC)


def first_after(
    moment: datetime, zone: tzinfo, times_after: Callable[[datetime], Iterable[datetime]], reading: Reading
) -> datetime | None:
    """The first moment after `moment` that the times of a rule mean, in UTC; None if none is left.

    Args:
        times_after: the times of the rule, as a clock on the wall shows them, that are later than one, in order. Taken
            from it are those up to the first that means nothing but moments after `moment`.
    """
    if moment.year > _LAST_YEAR:
        return None
    found: list[datetime] = []
    first: datetime | None = None
    for time in times_after(_unfinished_since(moment, zone)):
        first = first or time
        if time - first > HORIZON:
            break  # each of them is skipped by the clock, year after year
        meant = reading(time, zone)
        found += [one for one in meant if one > moment]
        if meant and meant[0] > moment:
            break  # what later times mean first is later still
    return min(found, default=None)


def _unfinished_since(moment: datetime, zone: tzinfo) -> datetime:
    """The time on the wall up to which no time is shown again after `moment`.

    While a clock shows for the first time what it will show again, that is earlier by as much as it will be set back.
    """
    local = moment.astimezone(zone)
    shown = local.replace(tzinfo=None, fold=0)
    first, second = _readings(shown, zone)
    return shown - (second - first) if second > first and local.fold == 0 else shown


def first_shown(time: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """The moment when the clock first shows this time or, where it skips it, a later one. Always exactly one."""
    first, second = _readings(time, zone)
    return (_change_between(second, first, zone) if second < first else first,)


def each_shown(time: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """The moments when the clock shows this time: none where it skips it, two where it shows it twice."""
    first, second = _readings(time, zone)
    if second < first:
        return ()
    return (first,) if first == second else (first, second)


def _readings(time: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """A time by the offset before a change of the clock, and by the one after it. The same where no change is near.

    The second is the later one where the time is shown twice, and the earlier one where it is skipped (PEP 495).
    """
    first, second = (time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment between two when the clock of the zone is changed. Clocks are changed on whole seconds."""
    offset = before.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0) + timedelta(seconds=1)
    while (half := timedelta(seconds=(high - low) // timedelta(seconds=2))) > timedelta():
        if (low + half).astimezone(zone).utcoffset() == offset:
            low += half
        else:
            high = low + half
    return high
