"""What a drain had to cut short, as the Runtime tells it and `serve` returns it: by the clock of the test."""

from __future__ import annotations

import signal
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from tests.engine.watched import WATCHDOG_SECONDS, until
from tests.serving import flows as f
from tests.serving import processes
from tests.serving.serving import Told, journal_of, serving, submitted, time_passes_until

from actwright import flow, hook, serve, task
from actwright.serving.service import Served, Service
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def drained(*served: Any, submissions: list[tuple[Any, dict[str, Any]]], told: Told, **options: Any) -> Service:
    """A service that was left when all of this had begun, and what that took of its clock had passed."""
    clock = ManualClock()
    over = anyio.Event()
    is_stopped = anyio.Event()
    services: list[Service] = []

    async def live() -> None:
        async with serving(*served, clock=clock, **options) as service:
            services.append(service)
            await is_stopped.wait()
        over.set()

    async with anyio.create_task_group() as group:
        group.start_soon(live)
        await until(lambda: bool(services))
        for subject, parameters in submissions:
            await submitted(services[0], subject, parameters, at=clock.wall())
        await time_passes_until(clock, lambda: len(told()) >= len(submissions))
        is_stopped.set()
        await time_passes_until(clock, over.is_set, 10.0)
    return services[0]


async def test_runs_that_the_drain_had_to_cancel_are_counted_and_not_those_that_ended_by_themselves(told: Told) -> None:
    submissions = [(f.waits, {"number": 1}), (f.waits, {"number": 2}), (f.quick, {"number": 3})]
    service = await drained(f.waits, f.quick, submissions=submissions, told=told, drain_seconds=60.0)
    assert service.runtime.cut_short == 2


async def test_a_run_is_counted_once_whatever_it_has_called(told: Told) -> None:
    service = await drained(calls_others, submissions=[(calls_others, {})], told=told)
    assert service.runtime.cut_short == 1


@task
async def part() -> None:
    await anyio.sleep_forever()


@flow
async def calls_others() -> None:
    parts = [part.submit() for _ in range(3)]
    f.note("body")
    await parts[0]


@pytest.mark.parametrize("drain_seconds", [0.0, 60.0])
async def test_a_kept_flow_is_not_counted_however_short_the_drain_is(drain_seconds: float, told: Told) -> None:
    kept = Served(f.waits, keep="permanent")
    service = await drained(kept, f.quick, submissions=[(f.quick, {})], told=told, drain_seconds=drain_seconds)
    assert service.runtime.cut_short == 0


async def test_one_that_somebody_has_cancelled_before_is_not_counted(told: Told) -> None:
    async with serving(f.waits, drain_seconds=0.0) as service:
        run = await submitted(service, f.waits, {})
        await until(lambda: told() == ["body 0"])
        await service.runtime.cancel(run.id)
    assert service.runtime.cut_short == 0


async def test_one_that_waits_for_its_next_attempt_is_counted(told: Told) -> None:
    service = await drained(tries_again, submissions=[(tries_again, {})], told=told)
    assert service.runtime.cut_short == 1


@flow(retries=1, retry_delay_seconds=100_000)
async def tries_again() -> None:
    f.note("body")
    raise ConnectionError("the database is away")


async def test_one_whose_hook_is_left_undone_past_every_grace_is_counted(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    service = await drained(never_told, submissions=[(never_told, {})], told=told)
    assert service.runtime.cut_short == 1
    assert "Hook 'tells_for_ever' is left undone" in caplog.text


async def tells_for_ever(*_: object) -> None:
    await anyio.sleep_forever()


@flow(on_completion=[hook(tells_for_ever, timeout_seconds=100_000, wait=False)])
async def never_told() -> None:
    f.note("body")


async def test_one_whose_end_cannot_be_written_in_time_is_counted(told: Told) -> None:
    async with serving(f.ends_when_told, journal_wait_seconds=0.1) as service:
        await submitted(service, f.ends_when_told, {})
        await until(lambda: told() == ["body"])
        path = journal_of(service).database.path
        away = path.rename(path.with_suffix(".away"))
        f.note("end")
    assert service.runtime.cut_short == 1
    away.rename(path)


async def test_serve_returns_how_many_runs_its_drain_cut_short(told: Told) -> None:
    found: list[int] = []

    async def live() -> None:
        found.append(await serve(f.waits, drain_seconds=0.1))

    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            await run_sync(processes.submitted, f.waits)
            group.start_soon(live)
            await until(lambda: told() == ["body 0"])
            signal.raise_signal(signal.SIGTERM)
    assert found == [1]
