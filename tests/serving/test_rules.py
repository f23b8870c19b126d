from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.clocks import BEGIN

from actwright.serving.cron import Cron
from actwright.serving.intervals import Interval
from actwright.serving.rules import Rule, following, latest, next_times, times_between

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Listed:
    """A rule of a user's: these times and no others."""

    times: tuple[datetime, ...]

    def after(self, moment: datetime, /) -> datetime | None:
        return min((time for time in self.times if time > moment), default=None)


@dataclass
class Counting:
    """How often a rule is asked."""

    rule: Rule
    asked: int = 0

    def after(self, moment: datetime, /) -> datetime | None:
        self.asked += 1
        return self.rule.after(moment)


microseconds = st.integers(0, 40).map(lambda after: BEGIN + timedelta(microseconds=after))


@given(st.lists(microseconds, max_size=30, unique=True).map(sorted), microseconds, microseconds, st.integers(1, 12))
def test_the_latest_are_the_last_of_those_between(
    times: list[datetime], after: datetime, until: datetime, count: int
) -> None:
    rule = Listed(tuple(times))
    between = [time for time in times if after < time <= until]
    assert list(times_between(rule, after, until)) == between
    assert list(latest(rule, after, until, count)) == between[-count:]


@given(st.lists(microseconds, max_size=30, unique=True).map(sorted), microseconds, st.integers(0, 12))
def test_the_next_are_the_first_of_those_later(times: list[datetime], moment: datetime, count: int) -> None:
    assert list(next_times(Listed(tuple(times)), moment, count)) == [time for time in times if time > moment][:count]


@pytest.mark.parametrize("rule", [Interval(1), Cron("* * * * *")])
def test_the_latest_are_found_without_a_look_at_all_of_them(rule: Rule) -> None:
    counting = Counting(rule)
    found = latest(counting, BEGIN, BEGIN + timedelta(days=3650), 3)
    assert len(found) == 3
    assert found[-1] == BEGIN + timedelta(days=3650)
    assert counting.asked < 300


def test_a_time_of_a_users_rule_may_be_in_any_zone_and_is_given_in_utc() -> None:
    berlin = datetime(2026, 1, 1, 7, tzinfo=timezone(HOUR))
    at = following(Listed((berlin,)), BEGIN)
    assert at == datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert at is not None
    assert at.tzinfo is UTC


class Stuck:
    def after(self, moment: datetime, /) -> datetime | None:
        return moment


class Naive:
    def after(self, moment: datetime, /) -> datetime | None:
        return moment.replace(tzinfo=None) + HOUR


def test_a_users_rule_that_never_moves_on_is_told_so_instead_of_asked_for_ever() -> None:
    with pytest.raises(ValueError, match=r"Stuck object .* must return a later time, or None"):
        list(times_between(Stuck(), BEGIN, BEGIN + HOUR))
    with pytest.raises(ValueError, match=r"Naive object .* must have a time zone"):
        next_times(Naive(), BEGIN, 1)
