from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.clocks import BEGIN, END, YEAR, ZONES, around, changes, when_reached

from actwright.serving.intervals import Interval
from actwright.serving.rules import next_times, times_between

DAY = timedelta(days=1)
each_zone = pytest.mark.parametrize("zone", ZONES)
moments = st.datetimes(datetime(YEAR - 20, 1, 1), datetime(YEAR + 20, 1, 1), timezones=st.just(UTC))


@cache
def times_on_the_wall(time_of_day: timedelta, every: timedelta) -> list[datetime]:
    """From the anchor of the tests on, as if no clock were changed."""
    first, last = around(BEGIN, END)
    time = datetime(2001, 1, 1) + time_of_day
    found: list[datetime] = []
    while time < last:
        if time > first:
            found.append(time)
        time += every
    return found


@each_zone
@pytest.mark.parametrize("every", [DAY, 7 * DAY])
@pytest.mark.parametrize("time_of_day", [timedelta(), timedelta(hours=2, minutes=30), timedelta(hours=6)])
def test_whole_days_in_a_zone_keep_the_time_of_day_all_year(
    every: timedelta, time_of_day: timedelta, zone: str
) -> None:
    interval = Interval(every, anchor=datetime(2001, 1, 1) + time_of_day, timezone=zone)
    expected = when_reached(times_on_the_wall(time_of_day, every), zone)
    assert list(times_between(interval, BEGIN, END)) == expected


@each_zone
def test_hours_are_counted_as_they_pass_all_year_whatever_the_clock_does(zone: str) -> None:
    times = next_times(Interval(3600, anchor=BEGIN, timezone=zone), BEGIN, 365 * 24)
    assert list(times) == [BEGIN + timedelta(hours=hour) for hour in range(1, 365 * 24 + 1)]
    assert times[-1] == END


def test_a_day_without_a_zone_is_24_hours() -> None:
    anchor = datetime(2026, 1, 1, 6, tzinfo=ZoneInfo("Europe/Berlin"))
    july = next_times(Interval(DAY, anchor=anchor), datetime(2026, 7, 1, tzinfo=UTC), 1)[0]
    assert july.astimezone(ZoneInfo("Europe/Berlin")).hour == 7
    in_zone = next_times(Interval(DAY, anchor=anchor, timezone="Europe/Berlin"), datetime(2026, 7, 1, tzinfo=UTC), 1)[0]
    assert in_zone.astimezone(ZoneInfo("Europe/Berlin")).hour == 6


def test_without_an_anchor_times_are_round_whenever_it_was_written() -> None:
    moment = datetime(2026, 5, 20, 9, 41, 13, tzinfo=UTC)  # a Wednesday
    assert Interval(3600).after(moment) == datetime(2026, 5, 20, 10, tzinfo=UTC)
    assert Interval(DAY).after(moment) == datetime(2026, 5, 21, tzinfo=UTC)
    assert Interval(7 * DAY).after(moment) == datetime(2026, 5, 25, tzinfo=UTC)  # Monday
    assert Interval(DAY, timezone="Asia/Kolkata").after(moment) == datetime(2026, 5, 20, 18, 30, tzinfo=UTC)


@given(st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)), moments, moments)
def test_the_next_time_is_the_first_of_those_at_a_whole_number_of_intervals(
    every: timedelta, anchor: datetime, moment: datetime
) -> None:
    following = Interval(every, anchor=anchor).after(moment)
    assert following is not None
    assert (following - anchor) % every == timedelta()
    assert timedelta() < following - moment <= every


@given(st.integers(1, 9), st.sampled_from(ZONES), moments, moments, st.floats(0, 1, exclude_max=True))
def test_the_next_day_is_the_same_for_whoever_asks_before_it(
    days: int, zone: str, anchor: datetime, moment: datetime, part: float
) -> None:
    interval = Interval(days * DAY, anchor=anchor, timezone=zone)
    following = interval.after(moment)
    assert following is not None
    assert moment < following <= moment + days * DAY + timedelta(hours=1)
    between = min(moment + (following - moment) * part, following - timedelta(microseconds=1))
    assert interval.after(between) == following


@given(st.sampled_from([zone for zone in ZONES if changes(zone)]), st.integers(0, 24 * 60), st.data())
def test_around_a_change_of_the_clock_each_day_has_one_time(zone: str, minutes: int, data: st.DataObject) -> None:
    time_of_day = timedelta(minutes=minutes)
    changed = data.draw(st.sampled_from(changes(zone)))
    begin, end = changed - 2 * DAY, changed + 2 * DAY
    interval = Interval(DAY, anchor=datetime(2001, 1, 1) + time_of_day, timezone=zone)
    expected = when_reached(times_on_the_wall(time_of_day, DAY), zone)
    assert list(times_between(interval, begin, end)) == [time for time in expected if begin < time <= end]


def test_seconds_and_a_timedelta_are_the_same() -> None:
    assert Interval(90) == Interval(90.0) == Interval(timedelta(minutes=1, seconds=30))
    assert hash(Interval(90)) == hash(Interval(timedelta(seconds=90)))
    assert str(Interval(90)) == "every 0:01:30"
    assert str(Interval(DAY, datetime(2026, 1, 1, 6), "Europe/Berlin")) == (
        "every 1 day, 0:00:00 Europe/Berlin from 2026-01-01T06:00:00+01:00"
    )


@pytest.mark.parametrize("every", [0, -1, 0.0001, float("nan"), float("inf"), timedelta(), 1e300])
def test_an_interval_that_is_none_is_refused(every: float | timedelta) -> None:
    with pytest.raises(ValueError, match=r"Interval: every must be .* of at least 0.001, as in Interval\(3600\)"):
        Interval(every)


@pytest.mark.parametrize("every", ["1h", None, True])
def test_what_is_no_interval_is_refused(every: object) -> None:
    with pytest.raises(TypeError, match=r"Interval: every must be a timedelta or a number of seconds"):
        Interval(every)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_an_anchor_that_could_be_any_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone; give it one, or give timezone"):
        Interval(60, anchor=datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="anchor must be a datetime"):
        Interval(60, anchor="2026-01-01")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="there is no timezone 'Mars'"):
        Interval(60, timezone="Mars")


def test_after_the_calendar_ends_there_is_no_next_time() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert Interval(3600).after(last) is None
    assert Interval(DAY, timezone="Europe/Berlin").after(last) is None


def test_an_anchor_in_another_zone_is_the_same_moment() -> None:
    anchor = datetime(2026, 1, 1, 12, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert Interval(DAY, anchor=anchor).after(BEGIN) == datetime(2026, 1, 1, 6, 30, tzinfo=UTC)
