"""Where something else than the block's end ends a system: every task of the loop is cancelled, or its timers break."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system

from actwright_actors import Actor, ActorDead, ActorSystem, ExitReason, Killed, Normal
from actwright_actors.clock import SystemClock

pytestmark = pytest.mark.anyio


class Tidy(Actor[object]):
    """Takes its time to clean up."""

    def __init__(self) -> None:
        self.begins_to_tidy = anyio.Event()
        self.is_tidy = False

    async def on_stop(self, reason: ExitReason) -> None:
        self.begins_to_tidy.set()
        await anyio.sleep(0.05)
        self.is_tidy = True


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_who_cancels_all_tasks_of_the_loop_still_has_each_on_stop_run_to_its_end() -> None:
    actors = [Tidy(), Tidy()]
    before = asyncio.all_tasks()

    async def run() -> None:
        async with ActorSystem() as system:
            for actor in actors:
                await system.spawn(actor)
            await anyio.sleep_forever()

    running = asyncio.create_task(run())
    await asyncio.sleep(0.02)
    for each in asyncio.all_tasks() - before:
        each.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert [actor.is_tidy for actor in actors] == [True, True]


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_an_actor_that_is_cancelled_before_all_other_tasks_are_has_its_on_stop_run_to_its_end() -> None:
    actor, begins = Tidy(), asyncio.Event()
    before = asyncio.all_tasks()

    async def run() -> None:
        async with ActorSystem() as system:
            await system.spawn(actor, name="tidy")
            begins.set()
            await anyio.sleep_forever()

    running = asyncio.create_task(run())
    await begins.wait()
    tasks = asyncio.all_tasks() - before
    (its_own,) = (task for task in tasks if task.get_name() == "tidy")
    its_own.cancel()
    await actor.begins_to_tidy.wait()
    for each in tasks - {its_own}:
        each.cancel()
    await asyncio.wait([running])
    assert actor.is_tidy


class BrokenClock(SystemClock):
    is_broken = False

    async def wait_until(self, deadline: float | None, event: anyio.Event) -> None:
        if self.is_broken:
            raise RuntimeError("no time")
        await super().wait_until(deadline, event)


async def test_a_clock_that_raises_ends_the_actors_since_no_deadline_would(caplog: pytest.LogCaptureFixture) -> None:
    clock, hold = BrokenClock(), Hold()
    async with open_system(clock=clock) as system:
        ref = await system.spawn(Worker())
        clock.is_broken = True
        with pytest.raises(ActorDead):
            await ref.ask(hold, timeout=1)
        assert ref.exit_reason == Killed()
        assert hold.was_cancelled
    assert "no time" in caplog.text
    caplog.clear()


def test_a_dead_actor_can_be_asked_and_killed_when_its_loop_is_gone() -> None:
    async def main() -> Worker:
        async with ActorSystem() as system:
            worker = Worker()
            await (await system.spawn(worker)).stop_and_wait()
            return worker

    for backend in ("asyncio", "trio"):
        ref = anyio.run(main, backend=backend).context.ref
        ref.kill()
        assert (ref.status, ref.exit_reason) == ("dead", Normal())
