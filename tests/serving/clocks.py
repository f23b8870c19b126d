"""What the clocks of a zone show through a year, found by looking at them every quarter of an hour: the tests' own way.

It knows nothing of skipped and repeated times: only that from one moment to another the clock was ahead by so much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # southern; the clock is changed at midnight
    "Australia/Sydney",  # southern
    "Australia/Lord_Howe",  # by half an hour
    "Africa/Casablanca",  # set back for Ramadan
    "Asia/Kolkata",  # never changed; half an hour beside the others
]
YEAR = 2026
BEGIN, END = datetime(YEAR, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Span:
    """From `begin` to just before `end` the clock shows UTC and `ahead`."""

    begin: datetime
    end: datetime
    ahead: timedelta


@cache
def spans(zone: str, begin: datetime = BEGIN, end: datetime = END) -> tuple[Span, ...]:
    """In order; they cover the time from two days before `begin` to two days after `end`."""
    moment, last = begin.replace(minute=0, second=0, microsecond=0) - timedelta(days=2), end + timedelta(days=2)
    clock, found = ZoneInfo(zone), list[Span]()
    since, ahead = moment, moment.astimezone(clock).utcoffset()
    while moment < last:
        moment += QUARTER
        now = moment.astimezone(clock).utcoffset() if moment < last else None
        if now != ahead:
            assert ahead is not None
            found.append(Span(since, moment, ahead))
            since, ahead = moment, now
    return tuple(found)


def whenever_shown(
    times: Iterable[datetime], zone: str, begin: datetime = BEGIN, end: datetime = END
) -> list[datetime]:
    """All moments after `begin`, up to `end`, at which the clock shows one of these times."""
    found = {
        time.replace(tzinfo=UTC) - span.ahead
        for time in times
        for span in spans(zone, begin, end)
        if span.begin <= time.replace(tzinfo=UTC) - span.ahead < span.end
    }
    return sorted(moment for moment in found if begin < moment <= end)


def when_reached(times: Iterable[datetime], zone: str, begin: datetime = BEGIN, end: datetime = END) -> list[datetime]:
    """For each time the first moment at which the clock shows it or a later one; those after `begin`, up to `end`."""
    found = {
        min(
            max(time.replace(tzinfo=UTC) - span.ahead, span.begin)
            for span in spans(zone, begin, end)
            if time.replace(tzinfo=UTC) - span.ahead < span.end
        )
        for time in times
    }
    return sorted(moment for moment in found if begin < moment <= end)


def changes(zone: str, begin: datetime = BEGIN, end: datetime = END) -> list[datetime]:
    """The moments at which the clock of the zone is changed."""
    return [span.begin for span in spans(zone, begin, end)[1:]]


def around(begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Times on the wall between which whatever any clock shows between two moments lies."""
    wide = timedelta(hours=30)
    return begin.replace(tzinfo=None) - wide, end.replace(tzinfo=None) + wide
