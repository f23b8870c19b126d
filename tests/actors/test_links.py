"""Actors whose lives are tied together."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    Down,
    Killed,
    LinkBroken,
    Normal,
    Shutdown,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import Probe

pytestmark = pytest.mark.anyio


async def linked(system: ActorSystem) -> tuple[Worker, ActorRef[Any], Worker, ActorRef[Any]]:
    one, two = Worker(), Worker()
    refs = await system.spawn(one, name="one"), await system.spawn(two, name="two")
    one.context.link(refs[1])
    return one, refs[0], two, refs[1]


@pytest.mark.parametrize("side", [0, 1])
async def test_a_crash_on_either_side_ends_the_other_with_a_broken_link_that_names_it(side: int) -> None:
    async with open_system() as system:
        one, first, two, second = await linked(system)
        dying, other = ((first, second), (second, first))[side]
        error = ValueError("boom")
        dying.tell(raising(error))
        reason = await other.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, LinkBroken)
        assert reason.error.ref is dying
        assert reason.error.reason == Crashed(error)
        assert reason.error.__cause__ is error
        assert dying.name in str(reason.error)
        assert [len(one.stops), len(two.stops)] == [1, 1]


async def test_a_kill_breaks_a_link_and_a_busy_partner_is_cancelled() -> None:
    async with open_system() as system:
        _, first, _, second = await linked(system)
        hold = Hold()
        second.tell(hold)
        await hold.entered.wait()
        first.kill()
        reason = await second.stopped()
        assert isinstance(reason, Crashed)
        assert hold.was_cancelled


async def test_a_normal_end_harms_nobody() -> None:
    async with open_system() as system:
        _, first, _, second = await linked(system)
        await first.stop_and_wait()
        assert await second.ask("still here") == "still here"


async def test_a_shutdown_shuts_the_partner_down_in_order() -> None:
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([ChildSpec("child", Worker)]))
        partner = Worker()
        ref = await system.spawn(partner)
        child = system.lookup("child")
        assert child is not None
        partner.context.link(child)
        await supervisor.ask(StopChild("child"))
        assert await ref.stopped() == Shutdown()
        assert partner.stops == [Shutdown()]


@pytest.mark.parametrize("side", [0, 1])
async def test_an_unlinked_partner_lives_on_whichever_side_unlinks(side: int) -> None:
    async with open_system() as system:
        one, first, two, second = await linked(system)
        if side == 0:
            one.context.unlink(second)
        else:
            two.context.unlink(first)
        first.kill()
        await first.stopped()
        await anyio.wait_all_tasks_blocked()
        assert second.is_alive


@pytest.mark.parametrize(("end", "is_alive"), [("kill_and_wait", False), ("stop_and_wait", True)])
async def test_linking_to_the_dead_is_as_if_it_died_just_now(end: str, is_alive: bool) -> None:
    async with open_system() as system:
        dead, living = Worker(), Worker()
        dead_ref, living_ref = await system.spawn(dead), await system.spawn(living)
        await getattr(dead_ref, end)()
        living.context.link(dead_ref)
        await anyio.wait_all_tasks_blocked()
        assert living_ref.is_alive == is_alive


async def test_a_link_ties_incarnations_so_a_restart_breaks_it_and_the_next_one_is_free() -> None:
    async with open_system() as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)], intensity=5))
        child = system.lookup("child")
        assert child is not None
        partner = Worker()
        ref = await system.spawn(partner)
        partner.context.link(child)
        child.kill()
        assert isinstance(await ref.stopped(), Crashed)
        await anyio.wait_all_tasks_blocked()
        assert child.is_alive
        next_partner = Worker()
        await system.spawn(next_partner)
        child.kill()
        await anyio.wait_all_tasks_blocked()
        assert next_partner.context.ref.is_alive


async def test_partners_that_are_supervised_both_restart() -> None:
    class Pair(Worker):
        async def on_start(self) -> None:
            starts.append(self.context.name)
            other = self.context.system.lookup("two")
            if self.context.name == "one" and other is not None:
                self.context.link(other)

    starts: list[str] = []
    async with open_system() as system:
        specs = [ChildSpec("two", Pair), ChildSpec("one", Pair)]
        await system.spawn(Supervisor(specs, intensity=5))
        two = system.lookup("two")
        assert two is not None
        two.kill()
        await anyio.wait_all_tasks_blocked()
        assert sorted(starts) == ["one", "one", "two", "two"]
        assert await two.ask("alive") == "alive"


async def test_a_broken_link_does_not_cut_short_an_on_stop_that_is_running() -> None:
    async with open_system() as system:
        hold = Hold()
        stopping = Worker(on_stop=hold)
        ref = await system.spawn(stopping)
        other = await system.spawn(Worker())
        stopping.context.link(other)
        ref.stop()
        await hold.entered.wait()
        await other.kill_and_wait()
        hold.release.set()
        assert await ref.stopped() == Normal()
        assert not hold.was_cancelled


async def test_a_chain_of_links_ends_as_a_whole_and_each_is_down_once() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        workers = [Worker() for _ in range(5)]
        refs = [await system.spawn(worker) for worker in workers]
        for worker, following in zip(workers, refs[1:], strict=False):
            worker.context.link(following)
        workers[-1].context.link(refs[0])  # and a circle
        for ref in refs:
            ref.monitor(probe.ref)
        refs[2].kill()
        downs = {down.ref: down.reason for down in [await probe.expect(Down) for _ in refs]}
        assert [downs[ref] == Killed() for ref in refs] == [False, False, True, False, False]
        await probe.expect_none()


async def test_linking_oneself_is_harmless() -> None:
    class Narcissus(Actor[str]):
        async def on_start(self) -> None:
            self.context.link(self.context.ref)

        async def handle(self, message: str) -> str:
            return message

    async with open_system() as system:
        ref = await system.spawn(Narcissus())
        assert await ref.ask("here") == "here"
        assert await ref.kill_and_wait() == Killed()


async def test_unlinking_what_never_was_linked_does_nothing() -> None:
    async with open_system() as system:
        one, two = Worker(), await system.spawn(Worker())
        ref = await system.spawn(one)
        one.context.unlink(two)
        await two.kill_and_wait()
        assert await ref.ask("alive") == "alive"
