"""Schedules that are served: by the clock of the test, into a real journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from tests.engine.watched import until
from tests.serving import flows as f
from tests.serving.serving import Told, journal_of, serving, submitted, time_passes_until

from actwright import FlowRun
from actwright.exceptions import ParameterTypeError
from actwright.nodes.journal import close_journals
from actwright.serving.schedules import Cron, Interval, Schedule
from actwright.serving.service import Served, Service
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

HOUR = 3600.0


def hourly(subject: Any = f.quick, **options: Any) -> Served:
    return Served(subject, schedules=[Schedule(Interval(HOUR), name="hourly", **options)])


def clock_at(hour: int, minute: int = 0) -> ManualClock:
    """A clock that shows this time of some day. One that is set anew is another one."""
    return ManualClock(wall=datetime(2026, 7, 1, hour, minute, tzinfo=UTC))


async def runs_of(service: Service) -> list[FlowRun]:
    """What the schedule submitted, in order."""
    found = await run_sync(service.runtime.journal.runs)
    return [run for run in found if isinstance(run, FlowRun)]


async def hours_of(service: Service) -> list[int]:
    return [run.expected_start_time.hour for run in await runs_of(service)]


async def test_each_time_is_submitted_once_with_its_parameters_and_run(told: Told) -> None:
    clock = clock_at(9, 30)
    async with serving(hourly(parameters={"number": 7}, overlap="allow"), clock=clock) as service:
        for hour, count in ((10, 1), (11, 2), (12, 3)):
            await _passes(service, clock, hour)
            await time_passes_until(clock, lambda count=count: len(told()) == count)  # type: ignore[misc]
        assert await hours_of(service) == [10, 11, 12]
    assert told() == ["body 7"] * 3


async def test_two_services_with_the_same_schedule_submit_each_time_once(told: Told) -> None:
    clock = clock_at(9, 30)
    served = hourly(overlap="allow")  # the next hour comes at once, when the last one's run may not have ended
    async with serving(served, clock=clock), serving(served, clock=clock) as service:
        for hour, count in ((10, 1), (11, 2), (12, 3)):
            await _passes(service, clock, hour)
            await time_passes_until(clock, lambda count=count: len(told()) >= count)  # type: ignore[misc]
        assert await hours_of(service) == [10, 11, 12]
    assert told() == ["body 0"] * 3


@pytest.mark.parametrize(
    ("options", "hours"),
    [({}, [12]), ({"catch_up": "none"}, []), ({"catch_up": "all", "overlap": "queue"}, [10, 11, 12])],
    ids=["latest", "none", "all"],
)
async def test_what_was_missed_while_nobody_served_is_made_up_for_as_it_says(
    options: dict[str, Any], hours: list[int], told: Told
) -> None:
    clock = clock_at(9, 30)
    async with serving(hourly(**options), clock=clock) as service:
        await _has_looked(service)
    await run_sync(close_journals)
    clock = clock_at(12, 20)
    async with serving(hourly(**options), clock=clock) as service:
        await _has_looked(service, datetime(2026, 7, 1, 12, tzinfo=UTC))
        await time_passes_until(clock, lambda: len(told()) == len(hours))
        assert await hours_of(service) == hours


async def _has_looked(service: Service, through: datetime | None = None) -> None:
    def is_seen() -> bool:
        with journal_of(service).database.reading() as connection:
            found = connection.exec_driver_sql("SELECT through FROM schedules").all()
        return bool(found) and (through is None or found[0][0] == through.isoformat(timespec="microseconds"))

    await until(is_seen)


async def test_a_clock_that_is_set_back_an_hour_fires_no_time_twice_and_loses_none(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(), clock=clock) as service:
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
    await run_sync(close_journals)
    clock = clock_at(9, 1)
    async with serving(hourly(), clock=clock) as service:
        for _ in range(30):
            clock.advance(240)
            await anyio.wait_all_tasks_blocked()
        await time_passes_until(clock, lambda: len(told()) == 2, 1.0)
        assert await hours_of(service) == [10, 11]


class SetClock(ManualClock):
    """One that somebody sets while a service goes on."""

    ahead = timedelta(0)

    def wall(self) -> datetime:
        return super().wall() + self.ahead


async def test_when_the_clock_is_set_back_an_hour_meanwhile_no_time_is_fired_twice_and_none_lost(told: Told) -> None:
    clock = SetClock(wall=datetime(2026, 7, 1, 9, 59, tzinfo=UTC))
    async with serving(hourly(), f.takes, clock=clock) as service:
        await submitted(service, f.takes, {"order": {"number": 5}}, at=datetime(2026, 7, 1, 10, 30, tzinfo=UTC))
        await time_passes_until(clock, lambda: told() == ["body 0"], 1.0)
        clock.ahead = timedelta(hours=-1)
        await time_passes_until(clock, lambda: len(told()) == 2, 10.0)
        assert clock.wall() >= datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
        await time_passes_until(clock, lambda: len(told()) == 3, 10.0)
        assert clock.wall() >= datetime(2026, 7, 1, 11, tzinfo=UTC)
        assert [run.expected_start_time.hour for run in await runs_of(service) if run.flow_name == "quick"] == [10, 11]
    assert told() == ["body 0", "body 5 Order None", "body 0"]


async def test_when_the_clock_is_set_forward_an_hour_meanwhile_what_was_passed_over_is_made_up_for_at_once(
    told: Told,
) -> None:
    clock = SetClock(wall=datetime(2026, 7, 1, 9, 30, tzinfo=UTC))
    async with serving(hourly(), clock=clock) as service:
        await _has_looked(service)
        clock.ahead = timedelta(hours=1)
        await time_passes_until(clock, lambda: told() == ["body 0"], 1.0)
        assert clock.wall() < datetime(2026, 7, 1, 10, 45, tzinfo=UTC)
        await time_passes_until(clock, lambda: len(told()) == 2, 10.0)
        assert clock.wall() >= datetime(2026, 7, 1, 11, tzinfo=UTC)
        assert await hours_of(service) == [10, 11]


async def test_a_clock_that_was_years_ahead_is_forgotten_and_said(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(wall=datetime(2031, 7, 1, 9, 59, tzinfo=UTC))
    async with serving(hourly(), clock=clock):
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
    await run_sync(close_journals)
    clock = clock_at(9, 59)
    async with serving(hourly(), clock=clock) as service:
        await time_passes_until(clock, lambda: len(told()) == 3, 60.0)  # the latest time of the last day among them
        assert sorted({run.expected_start_time.year for run in await runs_of(service)}) == [2026, 2031]
    assert caplog.text.count("The clock was wrong") == 1


async def test_one_that_has_not_ended_has_the_next_one_skipped(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(f.waits), clock=clock, on_exit="cancel") as service:
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
        await _passes(service, clock, 11)
        assert await hours_of(service) == [10]


async def _passes(service: Service, clock: ManualClock, hour: int) -> None:
    """Let time pass until the schedule has seen to that hour of the day, and not until the next one."""
    await _has_looked(service)
    moment = datetime(2026, 7, 1, hour, tzinfo=UTC)
    clock.advance((moment - clock.wall()).total_seconds())

    def is_seen() -> bool:
        with journal_of(service).database.reading() as connection:
            found = connection.exec_driver_sql("SELECT through FROM schedules").all()
        return bool(found) and bool(found[0][0] == moment.isoformat(timespec="microseconds"))

    await time_passes_until(clock, is_seen, 1.0)


async def test_queued_it_begins_once_the_earlier_one_has_ended(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(f.waits, overlap="queue"), clock=clock, on_exit="cancel") as service:
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
        await _passes(service, clock, 11)
        first, second = await runs_of(service)
        assert second.state.is_scheduled()
        await service.runtime.cancel(first.id)
        await time_passes_until(clock, lambda: len(told()) == 2)


async def test_the_old_one_is_cancelled_and_then_the_new_one_begins(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(f.waits, overlap="cancel"), clock=clock, on_exit="cancel") as service:
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
        await _passes(service, clock, 11)
        await time_passes_until(clock, lambda: len(told()) == 2)
        first, second = await runs_of(service)
        assert first.state.is_cancelled()
        assert "the next run of schedule 'waits/hourly' is due" in str(first.state.message)
        assert second.state.is_running()


async def test_allowed_it_begins_beside_the_old_one(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(f.waits, overlap="allow"), clock=clock, on_exit="cancel") as service:
        for hour in (10, 11):
            await _passes(service, clock, hour)
        await time_passes_until(clock, lambda: len(told()) == 2)
        assert [run.state.is_running() for run in await runs_of(service)] == [True, True]


async def test_a_schedule_whose_rule_was_changed_begins_anew(told: Told) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(), clock=clock):
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
    await run_sync(close_journals)
    changed = Served(f.quick, schedules=[Schedule(Cron("30 * * * *"), name="hourly")])
    clock = clock_at(14, 40)
    async with serving(changed, clock=clock) as service:
        await time_passes_until(clock, lambda: len(told()) == 2, 60.0)
        assert [run.expected_start_time.time().isoformat()[:5] for run in await runs_of(service)] == ["10:00", "15:30"]


def test_parameters_that_do_not_fit_are_refused_before_anything_is_served() -> None:
    with pytest.raises(ParameterTypeError, match="number='many'"):
        hourly(parameters={"number": "many"})


def test_one_schedule_in_the_place_of_a_list_is_refused() -> None:
    rule: Any = Cron("@hourly")
    with pytest.raises(TypeError, match=r"Write schedules=\[...\]"):
        Served(f.quick, schedules=rule)


async def test_a_journal_that_is_away_loses_no_time(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_at(9, 59)
    async with serving(hourly(), clock=clock) as service:
        await _has_looked(service)
        path = journal_of(service).database.path
        away = path.rename(path.with_suffix(".away"))
        await time_passes_until(clock, lambda: "cannot be seen to now" in caplog.text, 60.0)
        away.rename(path)
        await time_passes_until(clock, lambda: len(told()) == 1, 1.0)
        assert caplog.text.count("cannot be seen to now") == 1
        assert len(await runs_of(service)) == 1


def test_the_span_between_two_looks_is_short_enough_to_notice_a_clock_that_is_set() -> None:
    from actwright.serving import scheduler

    assert timedelta(minutes=1) >= scheduler._LONGEST_PAUSE  # pyright: ignore[reportPrivateUsage]
