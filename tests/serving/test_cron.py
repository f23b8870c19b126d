from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.serving.clocks import BEGIN, END, YEAR, ZONES, around, changes, when_reached, whenever_shown

from actwright.serving.cron import Cron
from actwright.serving.rules import next_times, times_between

BY_HANDS = ["0 */2 * * *", "*/20 1-4 * * *", "* 4 * 4,10 *", "@hourly"]
"""The minute or the hour begins with a star: due whenever the clock shows such a time."""
ONCE = [
    "0 6 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "15,45 1-3 * * *",
    "0 2,3 * * SUN",
    "0 0 13 * FRI",
    "0 0 L * *",
    "@monthly",
]
"""Due once for each time."""
HALF_HOURS = "Australia/Lord_Howe"

LIKE_THE_LIBRARY = [
    (expression, zone)
    for expression in [*BY_HANDS, *ONCE]
    for zone in ZONES
    if zone != HALF_HOURS or expression in ONCE  # there the library loses times
]

each_zone = pytest.mark.parametrize("zone", ZONES)


@cache
def year_of(cron: Cron) -> list[datetime]:
    return list(times_between(cron, BEGIN, END))


def library_times(cron: Cron, begin: datetime, end: datetime) -> list[datetime]:
    """What the library gives without a zone."""
    first, last = around(begin, end)
    fields = {"@hourly": "0 * * * *", "@monthly": "0 0 1 * *"}.get(cron.expression, cron.expression)
    return list(takewhile(lambda time: time <= last, CronSim(fields, first)))


def library_moments(cron: Cron) -> list[datetime]:
    """What the library gives for a year in the zone, with its own daylight saving."""
    fields = {"@hourly": "0 * * * *", "@monthly": "0 0 1 * *"}.get(cron.expression, cron.expression)
    times: Iterator[datetime] = CronSim(fields, BEGIN.astimezone(ZoneInfo(cron.timezone)))
    return list(takewhile(lambda moment: moment <= END, (time.astimezone(UTC) for time in times)))


@each_zone
@pytest.mark.parametrize("expression", BY_HANDS)
def test_with_a_star_for_minute_or_hour_it_is_due_whenever_the_clock_shows_its_time(expression: str, zone: str) -> None:
    cron = Cron(expression, timezone=zone)
    expected = whenever_shown(library_times(cron, BEGIN, END), zone)
    assert year_of(cron) == expected


@each_zone
@pytest.mark.parametrize("expression", ONCE)
def test_at_a_fixed_time_it_is_due_once_when_the_clock_reaches_it(expression: str, zone: str) -> None:
    cron = Cron(expression, timezone=zone)
    expected = when_reached(library_times(cron, BEGIN, END), zone)
    assert year_of(cron) == expected


@pytest.mark.parametrize(("expression", "zone"), LIKE_THE_LIBRARY)
def test_a_year_is_as_the_library_has_it_in_each_zone(expression: str, zone: str) -> None:
    cron = Cron(expression, timezone=zone)
    assert year_of(cron) == library_moments(cron)


def test_no_time_is_lost_where_the_clock_is_changed_by_half_an_hour() -> None:
    cron = Cron("* 4 * * *", timezone=HALF_HOURS)
    times = year_of(cron)
    assert len(times) == 365 * 60
    lost = set(times) - set(library_moments(cron))
    assert len(lost) == 2 * 30  # why the library is asked without a zone


def local(zone: str, moments: tuple[datetime, ...]) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for moment in moments]


def test_a_skipped_time_is_due_at_the_moment_of_the_change_and_a_repeated_one_the_first_time() -> None:
    cron = Cron("30 2 * * *", timezone="Europe/Berlin")
    march, october = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)
    assert local("Europe/Berlin", next_times(cron, march, 3)) == ["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]
    assert local("Europe/Berlin", next_times(cron, october, 3)) == [
        "24 02:30 +0200",
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]


def test_a_day_that_a_country_skips_has_its_times_at_the_moment_after_it() -> None:
    cron = Cron("0 6 * * *", timezone="Pacific/Apia")  # 30 December 2011 did not take place
    assert local("Pacific/Apia", next_times(cron, datetime(2011, 12, 29, tzinfo=UTC), 3)) == [
        "29 06:00 -1000", "31 00:00 +1400", "31 06:00 +1400",
    ]  # fmt: skip


def field(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    lists = st.lists(numbers, min_size=1, max_size=3, unique=True).map(lambda few: ",".join(map(str, few)))
    ranges = st.tuples(numbers, numbers).map(lambda two: f"{min(two)}-{max(two)}")
    steps = st.integers(2, 20).map(lambda step: f"*/{step}")
    return st.one_of(st.just("*"), steps, lists, ranges)


days = st.one_of(st.just("*"), field(1, 28))
expressions = st.tuples(field(0, 59), field(0, 23), days, st.just("*"), st.one_of(st.just("*"), field(0, 6))).map(
    " ".join
)
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(YEAR, 1, 1), datetime(YEAR + 1, 1, 1), timezones=st.just(UTC))


@given(expressions, zones, st.data())
def test_around_a_change_of_the_clock_no_time_is_lost_or_doubled(
    expression: str, zone: str, data: st.DataObject
) -> None:
    changed = changes(zone)
    assume(changed)
    begin = data.draw(st.sampled_from(changed)) - timedelta(minutes=data.draw(st.integers(0, 300)))
    cron, end = Cron(expression, timezone=zone), begin + timedelta(hours=12)
    minute, hour, *_ = expression.split()
    oracle = whenever_shown if minute.startswith("*") or hour.startswith("*") else when_reached
    assert list(times_between(cron, begin, end)) == oracle(library_times(cron, begin, end), zone, begin, end)


@given(expressions, zones, moments, st.floats(0, 1, exclude_max=True))
def test_the_next_time_is_the_same_for_whoever_asks_before_it(
    expression: str, zone: str, moment: datetime, part: float
) -> None:
    cron = Cron(expression, timezone=zone)
    following = cron.after(moment)
    assert following is not None
    assert following > moment
    assert following.tzinfo is UTC
    between = min(moment + (following - moment) * part, following - timedelta(microseconds=1))
    assert cron.after(between) == following
    assert cron.after(moment.astimezone(ZoneInfo("Asia/Tokyo"))) == following


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "It has 0 fields"),
        ("0 6 * *", r"expected minute, hour, .* as in Cron\('0 6 \* \* MON-FRI'\)\. It has 4 fields"),
        ("0 0 6 * * *", "Seconds have no field here.* use Interval"),
        ("@reboot", "Of names it knows @annually, .*@yearly"),
        ("99 6 * * *", "bad minute; expected minute, hour"),
        ("0 6 * * FREITAG", "bad day-of-week"),
        ("0 6 30 2 *", "bad day-of-month|no day within 50 years"),
        ("0 6 31 2,4 *", "bad day-of-month|no day within 50 years"),
        ("*/0 * * * *", "bad minute"),
    ],
)
def test_an_expression_that_cannot_be_read_says_what_was_expected(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Cron(expression)


@given(st.text(alphabet="0123456789*/-,#LW MONFRI@", max_size=20))
def test_whatever_is_written_either_has_times_or_is_refused(expression: str) -> None:
    try:
        cron = Cron(expression)
    except ValueError:
        return
    assert cron.after(BEGIN) is not None


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="expected minute, hour"):
        Cron(6)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_zone_that_does_not_exist_is_refused_with_one_that_is_near() -> None:
    with pytest.raises(ValueError, match="there is no timezone 'Europe/Berln'; did you mean 'Europe/Berlin'"):
        Cron("0 6 * * *", timezone="Europe/Berln")
    for wrong in ("", "Europe", "../etc/passwd", "/etc/localtime", "x\0y"):
        with pytest.raises(ValueError, match="Cron: there is no timezone"):
            Cron("0 6 * * *", timezone=wrong)
    with pytest.raises(TypeError, match="timezone must be the IANA name"):
        Cron("0 6 * * *", timezone=UTC)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have a time zone, as datetime.now\(UTC\)"):
        Cron("0 6 * * *").after(datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="must be a datetime"):
        Cron("0 6 * * *").after("today")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_time_that_the_clock_always_skips_never_comes() -> None:
    cron = Cron("*/10 2 * 3 0L", timezone="Europe/Berlin")  # the hour that is skipped
    assert cron.after(BEGIN) is None


def test_there_is_a_next_time_near_the_end_of_the_calendar_or_none() -> None:
    assert Cron("0 6 * * *").after(datetime(9999, 12, 31, 23, tzinfo=UTC)) is None
