"""What a service tells of itself: while it opens, serves, has trouble, drains, and when it has failed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.to_thread import run_sync
from tests.engine.watched import WATCHDOG_SECONDS, until
from tests.serving import flows as f
from tests.serving.serving import Told, ended, journal_of, serving, submitted, time_passes_until

from actwright import Runtime, flow
from actwright.exceptions import RuntimeClosed, ServiceFailed
from actwright.journal import services as noted
from actwright.journal.database import Database
from actwright.journal.services import KnownService
from actwright.models.health import Health, OfferedFlow, Phase, Takeover
from actwright.nodes import rows
from actwright.serving import service as service_module
from actwright.serving.heartbeat import BEAT_SECONDS
from actwright.serving.service import Served, Service
from actwright_actors import Actor, Backoff, ChildSpec
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "BACKOFF", Backoff())


async def asked(service: Service, page: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"{service.health_url}/{page}")


def phase_of(found: list[KnownService]) -> Phase | None:
    return found[0].health.phase if found and found[0].health else None


async def until_known(database: Database, holds: Callable[[list[KnownService]], bool]) -> None:
    """Wait for what is written down: nobody tells of that."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        while not holds(await run_sync(known, database)):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.001)


def known(database: Database) -> list[KnownService]:
    with database.reading() as connection:
        return noted.every(connection)


class Falls(Actor[str]):
    async def handle(self, message: str) -> None:
        raise ConnectionError(message)


async def test_it_tells_what_it_serves_and_offers() -> None:
    async with serving(Served(f.quick, queues=["b", "a"]), ChildSpec("mail room", Falls), limit=3) as service:
        health = service.health()
    assert health.serves == ("flow 'quick'", "actor 'mail room'")
    assert health.offers == (OfferedFlow(entry="tests.serving.flows:quick", queues=("a", "b")),)
    assert (health.phase, health.limit, health.trouble) == (Phase.SERVING, 3, ())
    assert health.takeover is Takeover.AT_NEXT_START  # no understudy stands by in tests


async def test_it_counts_what_it_has_claimed_and_what_waits_for_it_and_for_how_long(told: Told) -> None:
    clock = ManualClock()
    async with serving(f.waits, limit=2, clock=clock, on_exit="cancel") as service:
        due = clock.wall() - timedelta(seconds=7)
        for number in range(5):
            await submitted(service, f.waits, {"number": number}, at=due)
        await submitted(service, f.waits, {}, at=clock.wall() + timedelta(hours=1))
        await submitted(service, f.quick, {}, at=clock.wall())  # nobody serves that one
        await time_passes_until(clock, lambda: len(told()) == 2 and service.health().waiting == 3)
        health = service.health()
        assert (health.claimed, health.open_runs, health.waiting) == (2, 2, 3)
        assert health.waiting_seconds == (health.at - due).total_seconds()


async def test_what_it_has_claimed_goes_down_while_it_drains(told: Told) -> None:
    async with serving(f.ends_when_told) as service:
        await submitted(service, f.ends_when_told, {})
        await until(lambda: service.health().claimed == 1)
        f.note("end")
    assert service.health().claimed == 0


async def test_what_waits_for_an_earlier_run_waits_for_no_place(told: Told) -> None:
    clock = ManualClock()
    async with serving(f.waits, clock=clock, on_exit="cancel") as service:
        for _ in range(3):
            await submitted(service, f.waits, {}, at=clock.wall(), schedule="hourly", takes_turns=True)
        await time_passes_until(clock, lambda: len(told()) == 1)
        clock.advance(BEAT_SECONDS)
        await time_passes_until(clock, lambda: service.health().waiting == 0)


async def test_it_counts_what_has_ended_hooks_too(told: Told) -> None:
    async with serving(f.hooked) as service:
        run = await submitted(service, f.hooked, {}, name="one")
        await ended(run.id)
        await until(lambda: service.health().claimed == 0)
        health = service.health()
    assert (health.open_runs, health.due_hooks) == (0, 0)
    assert health.ended_runs == {"flow COMPLETED": 1}
    assert health.ended_hooks == {"on_running SUCCEEDED": 1, "on_completion SUCCEEDED": 1}


@pytest.mark.usefixtures("no_pauses")
async def test_it_counts_how_often_what_is_served_was_restarted() -> None:
    async with serving(ChildSpec("mail room", Falls)) as service:
        for falls in range(1, 4):
            room = service.system.lookup("mail room")
            assert room is not None
            room.tell("fall")
            await until(lambda falls=falls: service.health().restarts == falls)  # type: ignore[misc]
    assert service.health().restarts == 3  # also when they are gone


async def test_what_holds_its_loop_shows_as_loop_lag_and_is_forgotten_a_minute_later() -> None:
    clock = ManualClock()
    async with serving(f.quick, clock=clock) as service:
        await time_passes_until(clock, lambda: service.health().waiting is not None)
        clock.advance(10)  # at once, before its timer's message is handled: as if the loop had been held
        await until(lambda: service.health().loop_lag_seconds > 9)
        for _ in range(130):
            clock.advance(0.5)
            await anyio.wait_all_tasks_blocked()
        assert service.health().loop_lag_seconds < 1


async def test_a_blocking_call_in_a_body_shows_as_loop_lag() -> None:
    async with serving(f.quick) as service:
        time.sleep(0.9)  # longer than the pause between two looks  # noqa: ASYNC251
        await until(lambda: service.health().loop_lag_seconds > 0.3)


async def test_a_journal_that_is_away_is_trouble_and_lag_and_it_is_ready_again_when_that_is_back(told: Told) -> None:
    async with serving(f.quick, health_address=0) as service:
        path = journal_of(service).database.path
        away = path.rename(path.with_suffix(".away"))
        await until(lambda: service.health().trouble != ())
        found = await asked(service, "readyz")
        assert found.status_code == 503
        assert "The journal has been unable to write" in found.json()["trouble"][0]
        assert (await asked(service, "livez")).status_code == 200
        await until(lambda: service.health().journal_lag_seconds > 0.2)
        away.rename(path)
        await until(lambda: service.health().trouble == ())
        assert (await asked(service, "readyz")).status_code == 200
        assert service.health().journal_lag_seconds > 0.2


async def test_probes_are_answered_while_it_drains_and_others_see_at_once_that_it_takes_nothing_more(
    told: Told,
) -> None:
    released = anyio.Event()

    @flow
    async def stays() -> None:
        await released.wait()

    phases: list[tuple[int, str]] = []
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as tasks:

            async def look_while_it_drains() -> None:
                await until(lambda: service.health().phase is Phase.DRAINING)
                for page in ("livez", "readyz"):
                    found = await asked(service, page)
                    phases.append((found.status_code, found.json()["status"]))
                database = journal_of(service).database
                await until_known(database, lambda found: phase_of(found) is Phase.DRAINING)
                released.set()

            async with Service(f.quick, health_address=0, clock=ManualClock()) as service:
                handle = service.runtime.submit(stays)
                await until(lambda: handle.state.is_running())
                tasks.start_soon(look_while_it_drains)
    assert phases == [(200, "draining"), (503, "draining")]


async def test_probes_are_answered_before_the_journal_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(f.quick, health_address=0)
    opened, found = service.runtime.__aenter__, list[httpx.Response]()

    async def open_later(_: Runtime) -> Any:
        found.extend([await asked(service, "livez"), await asked(service, "readyz")])
        return await opened()

    monkeypatch.setattr(type(service.runtime), "__aenter__", open_later)
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with service:
            assert [each.status_code for each in found] == [200, 503]
            assert found[0].json() == {"status": "starting", "trouble": ["Its journal is not open yet."]}


@pytest.mark.usefixtures("no_pauses")
async def test_a_service_that_gave_up_tells_why_and_is_not_ready(told: Told) -> None:
    async with serving(Served(f.fails, keep="permanent"), health_address=0) as service:
        with pytest.raises(ServiceFailed, match="fell too often"):
            await service.failed()
        found = await asked(service, "readyz")
        assert found.status_code == 503
        assert found.json()["status"] == "failed"
        assert "the database is away" in found.json()["trouble"][0]


async def test_an_address_in_use_ends_it_before_it_has_begun(actwright_home: Path) -> None:
    async with serving(f.quick, health_address=0) as service:
        with pytest.raises(ServiceFailed, match="Another program listens there"):
            async with Service(f.quick, health_address=str(service.health_url).removeprefix("http://")):
                pytest.fail("it was opened")


async def test_it_is_used_once_and_tells_how_it_is_only_once_it_was_opened() -> None:
    service = Service(f.quick)
    with pytest.raises(RuntimeClosed, match="is not open"):
        service.health()
    async with service:
        pass
    with pytest.raises(RuntimeClosed, match="a Service is used once"):
        async with service:
            pytest.fail("it was opened")


async def test_without_an_address_it_listens_nowhere() -> None:
    async with serving(f.quick) as service:
        assert service.health_url is None


# What others see


async def beats_until(clock: ManualClock, database: Database, holds: Callable[[list[KnownService]], bool]) -> None:
    """Let it write down how it is, again and again, until that holds."""

    def holds_later(found: list[KnownService]) -> bool:
        clock.advance(BEAT_SECONDS)
        return holds(found)

    await until_known(database, holds_later)


@asynccontextmanager
async def beating(clock: ManualClock) -> AsyncGenerator[tuple[Service, Database]]:
    """A service that has written down how it is, by a clock that does not move by itself."""
    async with serving(f.quick, clock=clock) as service:
        database = journal_of(service).database
        await until_known(database, bool)
        yield service, database


async def test_it_writes_down_how_it_is_and_takes_that_away_when_it_ends() -> None:
    clock = ManualClock()
    async with beating(clock) as (service, database):
        began = clock.wall()
        (first,) = await run_sync(known, database)
        assert (first.node_id, first.said_at) == (journal_of(service).node_id, began)
        await beats_until(clock, database, lambda found: found[0].said_at != began)
        assert phase_of(await run_sync(known, database)) is Phase.SERVING
        path = database.path
    other = Database.open(path)
    assert known(other) == []
    other.close()


async def test_two_services_of_one_process_are_two() -> None:
    async with serving(f.quick), serving(f.hooked) as service:
        database = journal_of(service).database
        await until_known(database, lambda found: len(found) == 2)
        told = [each.health and each.health.serves for each in await run_sync(known, database)]
        assert sorted(map(str, told)) == ["(\"flow 'hooked'\",)", "(\"flow 'quick'\",)"]


def of_dead(database: Database, node_id: str) -> int:
    """A service was on a node that is dead, and has nothing left to do; how many services are known then."""
    from actwright.nodes.program import Program

    now = datetime.now(UTC)
    with database.writing() as connection:
        rows.add(connection, node_id, 1, "here", Program.of_this_process())
        noted.note(connection, f"on {node_id}", node_id, Health(phase=Phase.SERVING, at=now, since=now))
        rows.settle(connection, node_id)
        return len(noted.every(connection))


async def test_it_forgets_services_whose_processes_are_dead_and_settled() -> None:
    clock = ManualClock()
    async with beating(clock) as (_, database):
        assert await run_sync(of_dead, database, "a node") == 2
        await beats_until(clock, database, lambda found: len(found) == 1)
