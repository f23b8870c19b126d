"""What goes on of an actor that was abandoned when its system has closed: it too comes to an end."""

from __future__ import annotations

import anyio
import pytest
from tests.actors.helpers import Stubborn, open_system, wait_and_advance

from actwright_actors import ActorSystem, ExitReason, Killed
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


class StubbornThenSlow(Stubborn):
    """And then it would stay in its on_stop for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping, self.was_cut = anyio.Event(), anyio.Event()

    async def on_stop(self, reason: ExitReason) -> None:
        self.stopping.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.was_cut.set()


async def test_an_on_stop_that_begins_after_the_system_has_closed_is_cut_at_its_deadline_all_the_same() -> None:
    actor = StubbornThenSlow()
    async with open_system(stop_timeout=0.05) as system:
        ref = await system.spawn(actor)
        ref.tell("handle")
        await actor.entered.wait()
    assert ref.exit_reason == Killed()
    assert not actor.stopping.is_set()
    actor.release.set()
    with anyio.fail_after(20):
        await actor.was_cut.wait()


async def test_an_on_stop_that_begins_while_the_system_waits_for_the_abandoned_is_cut_when_it_closes() -> None:
    clock, actor = ManualClock(), StubbornThenSlow()
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(clock=clock, stop_timeout=50) as system:
                ref = await system.spawn(actor, stop_timeout=60)
                ref.tell("handle")
                await actor.entered.wait()
                ref.kill()
                await wait_and_advance(clock, 60)
                leaving.set()
            closed.set()

        leaving, closed = anyio.Event(), anyio.Event()
        group.start_soon(run)
        await leaving.wait()
        await anyio.wait_all_tasks_blocked()
        actor.release.set()
        await actor.stopping.wait()
        await wait_and_advance(clock, 49)
        assert not closed.is_set()
        assert not actor.was_cut.is_set()
        clock.advance(1)
        with anyio.fail_after(20):
            await closed.wait()
            await actor.was_cut.wait()
