"""A service in this process: it claims what is submitted, keeps what is to run all the time, and drains."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from tests.engine.watched import until
from tests.serving import flows as f
from tests.serving.serving import Told, ended, journal_of, serving, states_of, submitted, time_passes_until

from actwright import FlowRun, Runtime, flow
from actwright.client import get_client
from actwright.exceptions import ServiceFailed
from actwright.journal.batch import Batch, Entry
from actwright.journal.database import Database
from actwright.journal.protocol import Transition
from actwright.journal.sql_journal import SqlJournal
from actwright.journal.statements import write
from actwright.models.states import AwaitingRetry, Running
from actwright.models.submissions import NOBODY
from actwright.nodes import rows
from actwright.serving import serve
from actwright.serving import service as services
from actwright.serving.scheduler import Look
from actwright.serving.schedules import Interval
from actwright.serving.service import Served, Service
from actwright_actors import Actor, Backoff, ChildSpec
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BACKOFF", Backoff())


# Submissions


async def test_a_submission_is_run_as_the_flow_that_it_is_with_its_arguments_as_their_types(told: Told) -> None:
    async with serving(f.takes) as service:
        run = await submitted(service, f.takes, {"order": f.Order(number=7), "more": [1]})
        assert (await ended(run.id)).state.is_completed()
        assert await states_of(service, run.id) == ["Scheduled", "Running", "Completed"]
    assert told() == ["body 7 Order [1]"]


async def test_a_client_submits_by_name_waits_and_finds_the_same_run_by_its_key(told: Told) -> None:
    async with serving(f.quick), get_client() as client:
        run = await client.submit_flow("tests.serving.flows:quick", {"number": 1}, idempotency_key="monday")
        await run.wait()
        again = await client.submit_flow(f.quick, {"number": 2}, idempotency_key="monday")
        assert again.id == run.id
        assert again.state.is_completed()
    assert told() == ["body 1"]


async def test_the_name_that_it_was_submitted_with_stands_above_the_one_that_its_flow_has_for_it(told: Told) -> None:
    async with serving(f.named) as service:
        given = await submitted(service, f.named, {"number": 1}, name="mine")
        made = await submitted(service, f.named, {"number": 2})
        assert [(await ended(run.id)).name for run in (given, made)] == ["mine", "number-2"]
    assert told() == []


async def test_no_more_are_at_work_than_the_services_limit_and_the_flows(told: Told) -> None:
    clock = ManualClock()
    async with serving(Served(f.waits, limit=2), f.quick, limit=3, clock=clock, on_exit="cancel") as service:
        now = clock.wall()
        for number in range(3):
            await submitted(service, f.waits, {"number": number}, at=now)
        quick = await submitted(service, f.quick, {"number": 9}, at=now)
        await time_passes_until(clock, lambda: len(told()) == 3)
        assert sorted(told()) == ["body 0", "body 1", "body 9"]
        await ended(quick.id)


async def test_what_is_submitted_for_later_is_begun_then_by_the_services_clock(told: Told) -> None:
    clock = ManualClock()
    async with serving(f.quick, clock=clock) as service:
        run = await submitted(service, f.quick, {}, at=clock.wall() + timedelta(hours=2))
        clock.advance(3600)
        await time_passes_until(clock, lambda: True)
        assert await states_of(service, run.id) == ["Scheduled"]
        clock.advance(3600)
        await time_passes_until(clock, lambda: told() == ["body 0"])
        await ended(run.id)


async def test_a_cancel_before_its_time_runs_the_hooks_of_a_cancel_and_nothing_else(told: Told) -> None:
    async with serving(f.hooked) as service, get_client() as client:
        run = await client.submit_flow(f.hooked, at=datetime.now(UTC) + timedelta(hours=1), name="later")
        await run.cancel("not needed")
        await run.wait()
        assert await states_of(service, run.id) == ["Scheduled", "Cancelling", "Cancelled"]
    assert told() == ["hook later Cancelling"]


async def test_arguments_that_do_not_fit_any_more_fail_the_run_and_its_hooks_run(told: Told) -> None:
    clock = ManualClock()
    async with serving(f.hooked, clock=clock) as service:
        run = await submitted(service, f.hooked, {"number": 1}, at=clock.wall() + timedelta(hours=1), name="old")
        service.served[str(run.entry)] = flow(needs_another, name="hooked", on_failure=[f.tell])
        clock.advance(3600)
        await time_passes_until(clock, lambda: told() == ["hook old Failed"])
        failed = await ended(run.id)
        assert "missing a required argument: 'other'" in str(failed.state.message)
        assert await states_of(service, run.id) == ["Scheduled", "Failed"]


def needs_another(other: int) -> None: ...


async def test_arguments_that_do_not_fit_the_next_attempt_fail_the_run_too(told: Told) -> None:
    clock = ManualClock()
    async with serving(f.hooked, clock=clock) as service:
        run = await submitted(service, f.hooked, {"number": 1}, at=clock.wall() + timedelta(hours=1), name="old")
        await run_sync(its_process_died, journal_of(service).database, run)
        service.served[str(run.entry)] = flow(needs_another, name="hooked", on_failure=[f.tell])
        clock.advance(3600)
        await time_passes_until(clock, lambda: told() == ["hook old Failed"])
        await ended(run.id)
        assert await states_of(service, run.id) == ["Scheduled", "Running", "AwaitingRetry", "Failed"]


def its_process_died(database: Database, run: FlowRun) -> None:
    steps = [run.entered(Running())]
    steps.append(steps[0].entered(AwaitingRetry()))
    with database.writing() as connection:
        write(connection, Batch.of([Entry(tuple(map(Transition, steps)), ("{}", "{}"))], NOBODY))


async def test_what_was_claimed_and_not_begun_is_put_back_when_the_service_ends(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the Runtime closes in that moment."""

    def refuse(*_: object) -> None:
        raise ConnectionError("it closes")

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "begin", refuse)
        async with serving(f.quick) as service:
            run = await submitted(service, f.quick, {"number": 1})
            await until(lambda: "it closes" in caplog.text)
    async with serving(f.quick):
        assert (await ended(run.id)).state.is_completed()
    assert told() == ["body 1"]


async def test_a_journal_that_cannot_be_used_for_a_while_is_said_once_and_claimed_from_again(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(f.quick) as service:
        run = await submitted(service, f.quick, {"number": 1}, at=datetime.now(UTC) + timedelta(seconds=0.3))
        path = journal_of(service).database.path
        away = path.rename(path.with_suffix(".away"))
        await until(lambda: "cannot be claimed now" in caplog.text)
        await anyio.sleep(0.3)
        away.rename(path)
        assert (await ended(run.id)).state.is_completed()
    assert caplog.text.count("cannot be claimed now") == 1
    assert told() == ["body 1"]


async def test_a_run_that_was_claimed_waits_for_a_journal_however_long_that_is_away_and_then_begins(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a call its caller is let go, and it is cancelled; here nobody would call again."""
    async with serving(f.unplugs, journal_wait_seconds=0.1) as service:
        path = journal_of(service).database.path
        run = await submitted(service, f.unplugs, {"path": path})
        await until(lambda: "The journal cannot write" in caplog.text)
        await anyio.sleep(0.5)
        path.with_suffix(".away").rename(path)
        assert (await ended(run.id)).state.is_completed()
        assert await states_of(service, run.id) == ["Scheduled", "Running", "Completed"]
    assert told() == ["body"]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("table", ["submissions", "schedules"])
async def test_a_journal_that_lacks_a_part_is_no_trouble_that_passes_and_ends_the_service(
    table: str, told: Told
) -> None:
    async with serving(Served(f.quick, schedules=[Interval(3600)])) as service:
        with journal_of(service).database.writing() as connection:
            connection.exec_driver_sql(f"DROP TABLE {table}")
        scheduler = service.system.lookup("schedule quick/every 1:00:00")
        assert scheduler is not None
        scheduler.tell(Look())
        with pytest.raises(ServiceFailed, match="lacks a part that a journal has"):
            await service.failed()


async def test_a_claimed_run_is_this_nodes_and_one_that_waits_nobodys(told: Told) -> None:
    async with serving(f.waits, on_exit="cancel") as service:
        run = await submitted(service, f.waits, {})
        later = await submitted(service, f.waits, {}, at=datetime.now(UTC) + timedelta(hours=1))
        await until(lambda: told() == ["body 0"])
        with journal_of(service).database.reading() as connection:
            found = connection.exec_driver_sql("SELECT id, node_id FROM runs").all()
        assert sorted(map(tuple, found)) == sorted(
            [(str(run.id), journal_of(service).node_id), (str(later.id), NOBODY)]
        )


async def test_a_service_that_was_taken_over_stops_its_bodies_and_fails_although_nothing_is_to_be_written(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(f.told_to_stop) as service:
        await submitted(service, f.told_to_stop, {})
        await until(lambda: told() == ["body"])
        await run_sync(take_over, journal_of(service))
        with pytest.raises(ServiceFailed, match="Another process has taken over"):
            await service.failed()
    assert told() == ["body", "stopped"]
    assert "'claims'" not in caplog.text  # no actor fell of it


def take_over(journal: SqlJournal) -> None:
    with journal.database.writing() as connection:
        rows.take_over(connection, journal.node_id)


# What is kept


@pytest.mark.usefixtures("no_pauses")
async def test_a_permanent_flow_is_run_again_whenever_it_ends_until_that_is_too_often(told: Told) -> None:
    with pytest.raises(ServiceFailed, match="fell too often"):
        async with serving(Served(f.ends, keep="permanent")) as service:
            await service.failed()
    assert told() == ["body"] * 6


@pytest.mark.usefixtures("no_pauses")
async def test_a_transient_flow_that_completes_is_not_run_again(told: Told) -> None:
    async with serving(Served(f.ends, keep="transient"), f.quick) as service:
        run = await submitted(service, f.quick, {"number": 1})
        await ended(run.id)
        await until(lambda: "body" in told())
        await anyio.wait_all_tasks_blocked()
    assert sorted(told()) == ["body", "body 1"]


@pytest.mark.usefixtures("no_pauses")
async def test_one_that_fails_for_ever_is_given_up_with_the_reason(told: Told) -> None:
    with pytest.raises(ServiceFailed, match="the database is away"):
        async with serving(Served(f.fails, keep="transient")) as service:
            await service.failed()
    assert told() == ["body"] * 6


async def test_pauses_grow_so_that_ten_seconds_of_trouble_take_no_service_down(told: Told) -> None:
    clock = ManualClock()
    async with serving(Served(f.fails, keep="permanent"), clock=clock, on_exit="cancel"):
        for falls in range(1, 5):
            await time_passes_until(clock, lambda falls=falls: len(told()) == falls)  # type: ignore[misc]
        assert clock.wall() - ManualClock().wall() > timedelta(seconds=6)


async def test_a_kept_flow_is_cancelled_when_its_service_ends_and_nobody_waits_for_the_drain(told: Told) -> None:
    async with serving(Served(f.waits, keep="permanent"), drain_seconds=1000) as service:
        await until(lambda: told() == ["body 0"])
    (run,) = await run_sync(service_runs, service)
    assert run.state.is_cancelled()
    assert run.state.message == "its service is stopping."


def service_runs(service: Service) -> list[Any]:
    from actwright.nodes.journal import journal_of_this_process

    return list(journal_of_this_process().runs())


class Consumer(Actor[str]):
    """A plain actor. It falls at the word "fall"."""

    heard: list[str]

    async def on_start(self) -> None:
        f.note("consumer began")

    async def handle(self, message: str) -> None:
        if message == "fall":
            raise ConnectionError("fell")
        f.note(message)


@pytest.mark.usefixtures("no_pauses")
async def test_a_plain_actor_is_restarted_when_it_falls(told: Told) -> None:
    async with serving(ChildSpec("consumer", Consumer)) as service:
        consumer = service.system.lookup("consumer")
        assert consumer is not None
        consumer.tell("fall")
        consumer.tell("a word")
        await until(lambda: "a word" in told())
    assert told() == ["consumer began", "consumer began", "a word"]


# What cannot be


@pytest.mark.parametrize(
    ("served", "error", "said"),
    [
        (["tests.serving.flows:quick"], TypeError, "serves flows"),
        ([f.quick, Served(f.quick)], ValueError, "served twice"),
    ],
)
async def test_what_cannot_be_served_is_refused(served: list[Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Service(*served)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"limit": -1}, ValueError, "limit"),
        ({"queues": "slow"}, TypeError, r"Write queues=\['slow'\]"),
        ({"queues": []}, ValueError, "one at least"),
        ({"queues": [""]}, ValueError, "queues must be names"),
        ({"keep": "always"}, ValueError, "'permanent' or 'transient'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Served(f.quick, **options)


def test_a_kept_flow_that_needs_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        Served(f.takes, keep="permanent")


def test_serve_in_another_thread_is_refused_with_what_to_do() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match=r"Elsewhere: async with Service"):
        pool.submit(serve, f.quick).result()


async def test_a_service_needs_a_journal_that_others_can_write_to() -> None:
    with pytest.raises(ValueError, match="its journal is a file"):
        async with serving(f.quick, journal="memory"):
            raise AssertionError("it opened")
