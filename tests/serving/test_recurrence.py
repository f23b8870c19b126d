from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrule, rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.serving.clocks import BEGIN, END, YEAR, ZONES, around, changes, spans, when_reached, whenever_shown

from actwright.serving.recurrence import RRule
from actwright.serving.rules import next_times, times_between

START = datetime(2025, 12, 1)

BY_HANDS = [
    "FREQ=HOURLY;BYHOUR=0,1,2,3;BYMINUTE=15,45",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=MINUTELY;INTERVAL=25;BYHOUR=0,1,2,3",
    "FREQ=HOURLY;BYHOUR=2",
]
ONCE = [
    "FREQ=DAILY;BYHOUR=6",
    "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY;BYDAY=MO,SU;BYHOUR=2",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU",
    "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30",
]


@cache
def library_times(rule: str, start: datetime) -> list[datetime]:
    """What the library gives without a zone, from the start on."""
    parsed = rrulestr(rule, dtstart=start)
    last = around(BEGIN, END)[1]
    return list(takewhile(lambda time: time <= last, parsed))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rule", [*BY_HANDS, *ONCE])
def test_a_year_in_each_zone_has_the_times_of_the_library(rule: str, zone: str) -> None:
    oracle = whenever_shown if rule in BY_HANDS else when_reached
    times = list(times_between(RRule(rule, START, zone), BEGIN, END))
    assert times == oracle(library_times(rule, START), zone)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rule", ONCE)
def test_where_no_clock_is_changed_times_are_those_of_the_library_in_that_zone(rule: str, zone: str) -> None:
    parsed = rrulestr(rule, dtstart=START.replace(tzinfo=ZoneInfo(zone)))
    assert isinstance(parsed, rrule)
    library = {time.astimezone(UTC) for time in parsed.between(BEGIN, END)}
    differ = library ^ set(times_between(RRule(rule, START, zone), BEGIN, END - timedelta(seconds=1)))
    assert all(any(abs(time - change) <= timedelta(hours=1) for change in changes(zone)) for time in differ)
    assert len(differ) <= 4 * len(spans(zone))


rules = st.tuples(
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=MONTHLY", "FREQ=YEARLY"]),
    st.integers(1, 30).map(lambda interval: f"INTERVAL={interval}"),
    st.sampled_from(["", "BYDAY=MO", "BYDAY=TU,SA,SU"]),
    st.sampled_from(["", "BYHOUR=2", "BYHOUR=0,5,17"]),
    st.sampled_from(["", "BYMINUTE=0", "BYMINUTE=10,50"]),
    st.sampled_from(["", "WKST=SU", "WKST=WE"]),
    st.sampled_from(["", "BYSETPOS=1", "BYSETPOS=-1"]),
).map(lambda parts: ";".join(filter(None, parts)))
starts = st.datetimes(datetime(YEAR - 1, 1, 1), datetime(YEAR, 1, 1)) | st.datetimes(
    datetime(YEAR - 25, 1, 1), datetime(YEAR, 1, 1)
)
moments = st.datetimes(datetime(YEAR - 1, 6, 1), datetime(YEAR, 6, 1), timezones=st.just(UTC))


# The start is a Wednesday: of the week that has it in it, the first Tuesday, Saturday or Sunday is another one.
@example("FREQ=WEEKLY;BYDAY=TU,SA,SU;BYSETPOS=1", datetime(2025, 1, 1), datetime(2026, 1, 1, tzinfo=UTC))
@settings(max_examples=40)  # of a rule without a time the library makes sure for seconds
@given(rules, starts, moments)
def test_the_next_time_is_that_of_the_library_however_long_ago_the_start_was(
    rule: str, start: datetime, moment: datetime
) -> None:
    try:
        mine = RRule(rule, start)
    except ValueError:
        assume(False)
        raise
    parsed = rrulestr(rule, dtstart=start)
    assert isinstance(parsed, rrule)
    expected = parsed.after(moment.replace(tzinfo=None))
    assert expected is not None
    assert mine.after(moment) == expected.replace(tzinfo=UTC)


@given(st.sampled_from([*BY_HANDS, *ONCE]), st.sampled_from(ZONES), moments, st.floats(0, 1, exclude_max=True))
def test_the_next_time_is_the_same_for_whoever_asks_before_it(
    rule: str, zone: str, moment: datetime, part: float
) -> None:
    mine = RRule(rule, timezone=zone)
    following = mine.after(moment)
    assert following is not None
    assert following > moment
    between = min(moment + (following - moment) * part, following - timedelta(microseconds=1))
    assert mine.after(between) == following


def test_a_rule_that_ends_has_no_time_after_its_end() -> None:
    start = datetime(2026, 1, 1, 6)
    assert len(next_times(RRule("FREQ=DAILY;COUNT=3", start), BEGIN, 10)) == 3
    assert len(next_times(RRule("FREQ=DAILY;UNTIL=20260103T060000", start), BEGIN, 10)) == 3
    assert RRule("FREQ=DAILY;COUNT=3", start).after(datetime(2026, 1, 3, 6, tzinfo=UTC)) is None
    assert RRule("FREQ=DAILY;UNTIL=20260103T060000", start).after(datetime(2050, 1, 1, tzinfo=UTC)) is None


def test_an_end_in_utc_is_that_moment_in_any_zone() -> None:
    rule = RRule("FREQ=DAILY;UNTIL=20260103T050000Z", datetime(2026, 1, 1, 6), "Europe/Berlin")
    assert next_times(rule, BEGIN, 10)[-1] == datetime(2026, 1, 3, 5, tzinfo=UTC)


def test_nothing_is_due_before_the_start() -> None:
    start = datetime(2026, 7, 1, 6)
    long_ago = datetime(1926, 1, 1, tzinfo=UTC)
    assert RRule("FREQ=DAILY", start, "Europe/Berlin").after(long_ago) == datetime(2026, 7, 1, 4, tzinfo=UTC)
    in_zone = start.replace(tzinfo=ZoneInfo("Asia/Tokyo"))
    assert RRule("FREQ=DAILY", in_zone, "Europe/Berlin").after(long_ago) == datetime(2026, 6, 30, 21, tzinfo=UTC)


def test_without_a_start_two_rules_agree_whenever_they_were_written() -> None:
    assert RRule("FREQ=WEEKLY;INTERVAL=2").after(BEGIN) == datetime(2026, 1, 12, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("", "cannot read ''"),
        ("every day", "cannot read 'EVERY DAY'"),
        ("FREQ=DAYLY", "FREQ must be one of YEARLY, MONTHLY"),
        ("FREQ=SECONDLY", "for seconds there is Interval"),
        ("BYDAY=MO", "FREQ must be one of"),
        ("FREQ=DAILY;BYHOUR=25", "hour must be in 0..23"),
        ("FREQ=DAILY;BYDAY=XX", "invalid 'BYDAY'"),
        ("FREQ=DAILY;FREQ=DAILY", "cannot read 'FREQ=DAILY'"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1 to 10000; got '0'"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a whole number from 1"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "COUNT and UNTIL cannot both end it"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL must be like 20271231T235959"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no time within 50 years of its start .* fits"),
        ("FREQ=DAILY;UNTIL=19990101", "no time within 50 years of its start .* fits"),
        ("DTSTART:20260101T060000\nRRULE:FREQ=DAILY", "cannot read"),
        ("FREQ=DAILY;BYHOUR=1\nRRULE:FREQ=DAILY", "cannot read"),
    ],
)
def test_a_rule_that_cannot_be_read_says_what_was_expected(rule: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RRule(rule)


names = st.sampled_from(
    ["FREQ", "INTERVAL", "COUNT", "BYDAY", "BYHOUR", "BYMONTH", "BYSETPOS", "BYEASTER", "WKST", "X"]
)
values = st.sampled_from(["YEARLY", "MO", "-1FR", "0MO", "MO(+2)", "5", "0", "-1", "1,2", ",", "x", "", "400"])


@given(
    st.lists(st.tuples(names, values).map("=".join), max_size=3).map(lambda parts: ";".join(["FREQ=YEARLY", *parts]))
)
def test_whatever_is_written_either_has_times_or_is_refused(rule: str) -> None:
    try:
        mine = RRule(rule)
    except ValueError:
        return
    assert mine.after(datetime(2000, 1, 1, tzinfo=UTC)) is not None


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="expected the parts of an RRULE"):
        RRule(6)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="start must be a datetime"):
        RRule("FREQ=DAILY", start="today")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="there is no timezone"):
        RRule("FREQ=DAILY", timezone="Mars")


def test_without_python_dateutil_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["dateutil"] = None
from actwright.exceptions import AuthoringError
from actwright.serving.recurrence import RRule
try:
    RRule("FREQ=DAILY")
except AuthoringError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert "pip install 'actwright[rrule]'" in ran.stdout
