"""What a service is told, and what becomes of a year in which processes pause and clocks are set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.clocks import BEGIN, END

from actwright.serving.due import CLOCK_TOLERANCE, Due, Missed, due_now, occurrence_key
from actwright.serving.rules import next_times, times_between
from actwright.serving.schedules import CatchUp, Cron, Interval, Schedule

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Journal:
    """What services have in common: keys that are taken, and the mark of what is settled."""

    known_since: datetime = BEGIN
    last: datetime | None = None
    submitted: list[str] = field(default_factory=list[str])
    refused: int = 0

    def look(self, schedule: Schedule, now: datetime) -> Due:
        """A service looks at the clock, and does what it is told."""
        due = due_now(schedule, now, known_since=self.known_since, last=self.last)
        self.carry_out(due)
        return due

    def carry_out(self, due: Due) -> None:
        for one in due.submit:
            if one.key in self.submitted:
                self.refused += 1
            else:
                self.submitted.append(one.key)
        self.last = due.through


def keys(schedule: Schedule, times: Iterable[datetime]) -> list[str]:
    return [occurrence_key(schedule.name, at) for at in times]


def hourly(**options: Any) -> Schedule:
    return Schedule(Interval(HOUR), name="hourly", **options)


def all_of(rule: Cron | Interval, limit: int = 1000) -> Schedule:
    return Schedule(rule, name="all", catch_up="all", catch_up_limit=limit, overlap="allow")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["0 6 * * *", "30 2 * * *", "0 */2 * * *"])
def test_a_service_that_sleeps_until_it_is_to_look_again_fires_each_time_of_a_year_once(
    expression: str, zone: str
) -> None:
    schedule, journal = Schedule(Cron(expression, timezone=zone), name="s", catch_up="none", grace_seconds=0), Journal()
    now: datetime | None = BEGIN
    while now is not None and now <= END:
        now = journal.look(schedule, now).look_again
    assert journal.submitted == keys(schedule, times_between(schedule.rule, BEGIN, END))
    assert journal.refused == 0


@dataclass(frozen=True)
class Step:
    """Time passes, and `services` look one after another at a clock that is wrong by so much."""

    passes: timedelta
    clock_wrong_by: timedelta
    services: int


WRONG_BY = [timedelta(), HOUR, -HOUR, timedelta(minutes=7), timedelta(minutes=-7)]
steps = st.lists(
    st.builds(Step, st.timedeltas(timedelta(), 2 * DAY), st.sampled_from(WRONG_BY), st.integers(0, 3)), max_size=40
)


def looks(begin: datetime, history: list[Step]) -> Iterator[datetime]:
    """What the clock shows whenever a service looks."""
    moment = begin
    for step in history:
        moment += step.passes
        yield from [moment + step.clock_wrong_by] * step.services


rules = st.sampled_from([
    Cron("0 6 * * *", timezone="Europe/Berlin"),
    Cron("*/30 * * * *", timezone="Australia/Lord_Howe"),
    Interval(HOUR),
    Interval(timedelta(hours=7)),
    Interval(DAY, timezone="America/Santiago"),
])  # fmt: skip
begins = st.sampled_from([BEGIN, datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 3, 20, tzinfo=UTC)])


@given(rules, begins, steps)
def test_with_all_caught_up_each_time_fires_once_whatever_clocks_and_services_do(
    rule: Cron | Interval, begin: datetime, history: list[Step]
) -> None:
    schedule, journal = all_of(rule), Journal(known_since=begin)
    for now in looks(begin, history):
        journal.look(schedule, now)
    end = begin + sum((step.passes for step in history), 2 * DAY)
    journal.look(schedule, end)
    assert journal.submitted == keys(schedule, times_between(rule, begin, end))
    assert journal.refused == 0, "it was told to submit what had been"


@given(rules, begins, steps, st.sampled_from(["latest", "none"]))
def test_whatever_the_clock_does_no_time_is_submitted_twice_and_no_more_than_one_at_once(
    rule: Cron | Interval, begin: datetime, history: list[Step], catch_up: CatchUp
) -> None:
    schedule, journal = Schedule(rule, name="s", catch_up=catch_up), Journal(known_since=begin)
    for now in looks(begin, history):
        due = journal.look(schedule, now)
        assert len(due.submit) <= 1
        assert not due.clock_was_wrong
    assert journal.refused == 0
    assert len(set(journal.submitted)) == len(journal.submitted)


@given(rules, begins, steps)
def test_services_that_look_at_once_are_told_the_same(
    rule: Cron | Interval, begin: datetime, history: list[Step]
) -> None:
    """Each reads the journal before the other has written to it: the key lets one of them submit."""
    schedule, journal = Schedule(rule, name="s", jitter_seconds=30), Journal(known_since=begin)
    for now in looks(begin, history):
        both = [due_now(schedule, now, known_since=begin, last=journal.last) for _ in range(2)]
        assert both[0] == both[1]
        for due in both:
            journal.carry_out(due)
    assert len(set(journal.submitted)) == len(journal.submitted)


@given(rules, begins, st.timedeltas(timedelta(), 3 * DAY), st.floats(0, 1, exclude_max=True))
def test_nothing_is_due_before_it_is_to_look_again_and_something_is_then(
    rule: Cron | Interval, begin: datetime, passed: timedelta, part: float
) -> None:
    schedule, journal = Schedule(rule, name="s"), Journal(known_since=begin)
    again = journal.look(schedule, begin + passed).look_again
    assert again is not None
    between = min(begin + passed + (again - begin - passed) * part, again - timedelta(microseconds=1))
    assert journal.look(schedule, between).submit == ()
    assert [one.at for one in journal.look(schedule, again).submit] == [again]


def after_a_night(schedule: Schedule) -> Due:
    """At 09:20 the first look since 02:00."""
    last, now = BEGIN + 2 * HOUR, BEGIN + timedelta(hours=9, minutes=20)
    return due_now(schedule, now, known_since=BEGIN, last=last)


def hours(due: Due) -> list[int]:
    return [one.at.hour for one in due.submit]


def test_of_missed_times_the_latest_is_made_up_for_and_the_others_are_told() -> None:
    due = after_a_night(hourly())
    assert hours(due) == [9]
    assert due.missed == Missed(BEGIN + 3 * HOUR, BEGIN + 8 * HOUR)
    assert due.through == BEGIN + 9 * HOUR
    assert due.look_again == BEGIN + 10 * HOUR


def test_of_missed_times_none_is_made_up_for_but_one_that_is_hardly_late() -> None:
    due = after_a_night(hourly(catch_up="none"))
    assert due.submit == ()
    assert due.missed == Missed(BEGIN + 3 * HOUR, BEGIN + 9 * HOUR)
    assert due.through == BEGIN + 9 * HOUR
    assert hours(after_a_night(hourly(catch_up="none", grace_seconds=20 * 60))) == [9]
    assert hours(after_a_night(hourly(catch_up="none", grace_seconds=20 * 60 - 1))) == []


def test_of_missed_times_all_are_made_up_for_in_order_up_to_a_limit() -> None:
    assert hours(after_a_night(hourly(catch_up="all", overlap="allow"))) == [3, 4, 5, 6, 7, 8, 9]
    due = after_a_night(hourly(catch_up="all", catch_up_limit=2, overlap="allow"))
    assert hours(due) == [8, 9]
    assert due.missed == Missed(BEGIN + 3 * HOUR, BEGIN + 7 * HOUR)


def test_a_time_before_the_schedule_was_known_is_never_due() -> None:
    for catch_up in ("latest", "all"):
        schedule = hourly(catch_up=catch_up, overlap="allow")
        due = due_now(schedule, BEGIN + HOUR / 2, known_since=BEGIN)
        assert (due.submit, due.missed, due.look_again) == ((), None, BEGIN + HOUR)
        # Nor those of its old rule, when the journal has seen that it has another one.
        later = BEGIN + timedelta(hours=9, minutes=10)
        assert due_now(schedule, BEGIN + timedelta(hours=9, minutes=20), known_since=later, last=BEGIN).submit == ()


def test_an_hour_that_the_clock_is_set_forward_by_was_missed() -> None:
    journal = Journal(last=BEGIN + 2 * HOUR)
    due = journal.look(hourly(), BEGIN + timedelta(hours=3, minutes=40))  # it was 02:40
    assert hours(due) == [3]
    assert due.look_again == BEGIN + 4 * HOUR


def test_after_the_clock_was_set_back_an_hour_nothing_fires_twice_and_the_next_time_is_not_lost() -> None:
    journal = Journal(last=BEGIN + 2 * HOUR)
    due = journal.look(hourly(), BEGIN + timedelta(hours=1, minutes=10))  # it was 02:10
    assert due.submit == ()
    assert due.look_again == BEGIN + 3 * HOUR
    assert journal.look(hourly(), BEGIN + 2 * HOUR).submit == ()
    assert hours(journal.look(hourly(), BEGIN + 3 * HOUR)) == [3]


@pytest.mark.parametrize("catch_up", ["latest", "none", "all"])
def test_a_clock_that_was_years_ahead_does_not_silence_a_schedule_for_years(catch_up: CatchUp) -> None:
    schedule, journal = hourly(catch_up=catch_up, overlap="allow"), Journal(last=BEGIN + 2 * HOUR)
    journal.look(schedule, datetime(2040, 1, 1, tzinfo=UTC))
    ahead = len(journal.submitted)
    right = journal.look(schedule, BEGIN + 3 * HOUR)
    assert right.clock_was_wrong
    assert hours(right) == [3]
    assert hours(journal.look(schedule, BEGIN + 4 * HOUR)) == [4]
    assert len(journal.submitted) == ahead + 2


@pytest.mark.parametrize("keep_mark", [True, False])
def test_after_a_clock_that_was_ahead_each_time_still_fires_once(keep_mark: bool) -> None:
    """Also where the journal keeps the latest mark that it ever had: the key tells what was submitted."""
    rule = Cron("0 6 * * MON", timezone="Europe/Berlin")
    schedule, journal, wrong = Schedule(rule, name="s"), Journal(), datetime(2040, 1, 1, tzinfo=UTC)
    submitted_ahead = keys(schedule, [one.at for one in journal.look(schedule, wrong).submit])
    now: datetime | None = BEGIN
    while now is not None and now <= END:
        if keep_mark:
            journal.last = wrong
        now = journal.look(schedule, now).look_again
    assert journal.submitted == submitted_ahead + keys(schedule, times_between(rule, BEGIN, END))


def test_a_schedule_that_was_first_seen_by_a_clock_that_was_ahead_is_due_all_the_same() -> None:
    due = due_now(hourly(), BEGIN + 3 * HOUR, known_since=BEGIN + timedelta(days=400))
    assert due.clock_was_wrong
    assert hours(due) == [3]
    within = due_now(hourly(), BEGIN + 3 * HOUR, known_since=BEGIN + 3 * HOUR + CLOCK_TOLERANCE)
    assert within.submit == ()
    assert not within.clock_was_wrong


def test_a_schedule_that_has_ended_is_not_looked_at_again() -> None:
    schedule = Schedule(Ending(), name="once")
    assert due_now(schedule, BEGIN, known_since=BEGIN).look_again == BEGIN + HOUR
    due = due_now(schedule, BEGIN + DAY, known_since=BEGIN)
    assert hours(due) == [1]
    assert due.look_again is None


class Ending:
    def after(self, moment: datetime, /) -> datetime | None:
        return BEGIN + HOUR if moment < BEGIN + HOUR else None


@given(st.text(min_size=1), st.floats(0, 1e6), st.integers(1, 10_000))
def test_jitter_only_delays_and_by_no_more_than_was_asked_for(name: str, jitter: float, hour: int) -> None:
    schedule, at = Schedule(Interval(HOUR), name=name, jitter_seconds=jitter), BEGIN + hour * HOUR
    (one,) = due_now(schedule, at, known_since=BEGIN).submit
    assert one.at == at
    assert timedelta() <= one.due - one.at <= timedelta(seconds=jitter)
    (again,) = due_now(schedule, at + HOUR / 2, known_since=BEGIN, last=at - HOUR).submit
    assert again == one, "late, or asked again, it is the same"


def test_jitter_is_spread_over_times_and_over_names() -> None:
    times = next_times(Interval(HOUR), BEGIN, 500)
    for spread in (
        [delay("nightly", at) for at in times],
        [delay(f"flow-{number}", times[0]) for number in range(500)],
    ):
        assert len(set(spread)) == 500
        assert all(any(low <= one < low + 60 for one in spread) for low in range(0, 600, 60))


def delay(name: str, at: datetime) -> float:
    schedule = Schedule(Interval(HOUR), name=name, jitter_seconds=600)
    (one,) = due_now(schedule, at, known_since=at - HOUR).submit
    return (one.due - one.at).total_seconds()


def test_jitter_is_the_same_in_every_process_and_version() -> None:
    """Written down: a service of the next version must not start a run at another time than its neighbour."""
    assert delay("nightly", BEGIN + HOUR) == 169.642334


def test_a_time_that_is_yet_to_begin_is_not_late() -> None:
    schedule = hourly(catch_up="none", grace_seconds=0, jitter_seconds=1800)
    due = due_now(schedule, BEGIN + HOUR + timedelta(seconds=1), known_since=BEGIN)
    assert [one.due > BEGIN + HOUR + timedelta(seconds=1) for one in due.submit] == [True]


def test_the_key_of_a_time_is_its_schedule_and_its_moment_in_utc() -> None:
    at = datetime(2026, 3, 29, 3, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert occurrence_key("nightly", at) == "nightly@2026-03-29T01:00:00Z"
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold) for fold in (0, 1))
    assert occurrence_key("nightly", first) != occurrence_key("nightly", second)
    with pytest.raises(ValueError, match="must have a time zone"):
        occurrence_key("nightly", datetime(2026, 3, 29))


@pytest.mark.parametrize("argument", ["now", "known_since", "last"])
def test_a_moment_without_a_zone_is_refused(argument: str) -> None:
    moments = {"now": BEGIN, "known_since": BEGIN, "last": BEGIN} | {argument: datetime(2026, 1, 1)}
    with pytest.raises(ValueError, match=f"due_now: {argument} must have a time zone"):
        due_now(hourly(), **moments)
