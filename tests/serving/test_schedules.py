from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrulestr

from actwright.serving.schedules import Cron, Interval, RRule, Schedule, as_schedule, next_times

SIX = Cron("0 6 * * *", timezone="Europe/Berlin")


class Mine:
    def after(self, moment: datetime, /) -> datetime | None:
        return moment + timedelta(hours=1)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (SIX, "0 6 * * * Europe/Berlin"),
        (Interval(3600), "every 1:00:00"),
        (RRule("FREQ=DAILY", datetime(2026, 1, 1)), "FREQ=DAILY UTC from 2026-01-01T00:00:00"),
    ],
)
def test_a_schedule_is_named_by_its_rule_unless_it_has_a_name(rule: Cron | Interval | RRule, name: str) -> None:
    assert Schedule(rule).name == name
    assert Schedule(rule, name="mine").name == "mine"
    assert Schedule(rule).within("nightly").name == f"nightly/{name}"


def test_a_rule_of_ones_own_needs_a_name_since_its_text_may_differ_between_processes() -> None:
    assert Schedule(Mine(), name="mine").name == "mine"
    with pytest.raises(ValueError, match="with a rule of your own give name="):
        Schedule(Mine())


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"catch_up": "lastest"}, 'catch_up must be one of "latest", "none", "all"; got \'lastest\''),
        ({"overlap": None}, 'overlap must be one of "skip", "queue", "cancel", "allow"; got None'),
        ({"jitter_seconds": -1}, "Schedule: jitter_seconds must be a number of at least 0"),
        ({"grace_seconds": float("inf")}, "Schedule: grace_seconds must be a number of at least 0, and finite"),
        ({"queue_limit": 0}, "Schedule: queue_limit must be an integer of at least 1"),
        ({"catch_up_limit": 1001}, "catch_up_limit must be at most 1000"),
        ({"catch_up": "all"}, 'overlap="skip" would leave one; use overlap="queue" or "allow"'),
        ({"catch_up": "all", "overlap": "cancel"}, 'overlap="cancel" would leave one'),
        ({"catch_up": "all", "overlap": "queue", "queue_limit": 99}, "queue_limit must be at least catch_up_limit"),
    ],
)
def test_an_option_that_cannot_be_says_what_was_expected(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Schedule(SIX, **given)


@pytest.mark.parametrize(
    "given",
    [{"name": 5}, {"parameters": [1]}, {"parameters": {1: 2}}, {"jitter_seconds": "5"}, {"queue_limit": True}],
)
def test_an_option_of_another_type_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"Schedule: {next(iter(given))} must be"):
        Schedule(SIX, **given)


@pytest.mark.parametrize("rule", ["0 6 * * *", None, 3600, Cron])
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(
        TypeError, match=r'Schedule: rule must be a rule, as Interval\(3600\) or Cron\("0 6 \* \* \*"\)'
    ):
        as_schedule(rule)


def test_a_rule_alone_is_a_schedule_with_defaults() -> None:
    schedule = Schedule(SIX, name="mornings")
    assert as_schedule(schedule) is schedule
    assert as_schedule(SIX) == Schedule(SIX)
    with pytest.raises(TypeError, match="Schedule: rule must be a rule"):
        Schedule(schedule)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_schedule_does_not_change_when_what_it_was_made_of_does() -> None:
    parameters = {"day": "today"}
    schedule = Schedule(SIX, parameters=parameters)
    parameters["day"] = "tomorrow"
    assert schedule.parameters == {"day": "today"}


@pytest.mark.parametrize("rule", [SIX, Interval(90, timezone="Europe/Berlin"), RRule("FREQ=DAILY")])
def test_a_schedule_can_be_compared_hashed_and_sent_to_another_process(rule: Cron | Interval | RRule) -> None:
    schedule = Schedule(rule, parameters={"days": [1, 2]}, overlap="queue")
    copy = pickle.loads(pickle.dumps(schedule))
    assert copy == schedule
    assert hash(copy) == hash(schedule)
    assert schedule != Schedule(rule, parameters={"days": [1]}, overlap="queue")


def test_a_rule_of_the_library_is_no_rule_of_ones_own() -> None:
    """It has an `after`, which takes and gives times without a zone."""
    rule: Any = rrulestr("FREQ=DAILY", dtstart=datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="compare offset-naive and offset-aware"):
        next_times(rule, datetime(2026, 1, 1, tzinfo=UTC), 1)


@pytest.mark.parametrize("library", ["cronsim", "dateutil"])
def test_a_library_is_loaded_by_the_first_rule_that_needs_it(library: str) -> None:
    program = f"""
import sys
from actwright.serving.schedules import Interval, Schedule
Schedule(Interval(60))
assert {library!r} not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)
