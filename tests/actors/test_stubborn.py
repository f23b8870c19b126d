"""Actors that will not end: what swallows its cancellation is given up, so that everybody else goes on."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Stubborn, open_system, swallow, wait_and_advance

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    ExitReason,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


async def test_a_killed_handler_that_swallows_its_cancellation_is_given_up_after_stop_timeout() -> None:
    clock = ManualClock()
    async with open_system(clock=clock, stop_timeout=2) as system:
        probe, stubborn = await Probe.start(system), Stubborn()
        ref = await system.spawn(stubborn, name="stubborn")
        ref.monitor(probe.ref)
        ref.tell("handle")
        ref.tell("never")
        await stubborn.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 1.9)
        assert ref.is_alive
        await wait_and_advance(clock, 0.1)
        assert await probe.expect_down(ref) == Killed()
        assert system.lookup("stubborn") is None
        assert system.abandoned == 1
        assert system.dead_letters == 1
        stubborn.release.set()
        await anyio.wait_all_tasks_blocked()
        assert system.abandoned == 0
        assert stubborn.handled == ["handle"]
        assert stubborn.stops == [Killed()]  # late, but it ran
        await probe.expect_none()


async def test_an_asker_is_told_at_once_when_the_handler_is_given_up() -> None:
    clock = ManualClock()
    async with open_system(clock=clock, stop_timeout=2) as system, anyio.create_task_group() as group:
        stubborn = Stubborn()
        ref = await system.spawn(stubborn)
        errors: list[BaseException] = []

        async def ask() -> None:
            with pytest.raises(ActorDead) as caught:
                await ref.ask("handle", timeout=60)
            errors.append(caught.value)

        group.start_soon(ask)
        await stubborn.entered.wait()
        ref.kill()
        await anyio.wait_all_tasks_blocked()
        assert errors == []
        await wait_and_advance(clock, 2)
        assert len(errors) == 1
        stubborn.release.set()


async def test_a_start_that_swallows_its_cancellation_is_given_up_and_its_spawner_is_told() -> None:
    clock, stubborn = ManualClock(), Stubborn("on_start")
    async with open_system(clock=clock, stop_timeout=2) as system, anyio.create_task_group() as group:

        async def spawn() -> None:
            with pytest.raises(ActorDead):
                await system.spawn(stubborn, name="stubborn")

        group.start_soon(spawn)
        await stubborn.entered.wait()
        ref = system.lookup("stubborn")
        assert ref is not None
        ref.kill()
        await wait_and_advance(clock, 2)
        assert ref.exit_reason == Killed()
        stubborn.release.set()
        await anyio.wait_all_tasks_blocked()
        assert stubborn.handled == []
        assert stubborn.stops == [Killed()]  # it did start, so what it took is given back
        assert ref.status == "dead"
        assert system.abandoned == 0


async def test_an_on_stop_that_swallows_its_cut_is_given_up_after_another_stop_timeout() -> None:
    clock, stubborn = ManualClock(), Stubborn("on_stop")
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref = await system.spawn(stubborn)
        ref.stop()
        await stubborn.entered.wait()
        await wait_and_advance(clock, 2, 1.9)
        assert ref.status == "stopping"
        await wait_and_advance(clock, 0.1)
        assert ref.exit_reason == Killed()
        assert system.abandoned == 1
        stubborn.release.set()


async def test_one_that_was_given_up_and_whose_on_stop_is_cut_later_is_gone_when_its_task_is() -> None:
    clock, stopping = ManualClock(), Hold()

    class Slow(Stubborn):
        async def on_stop(self, reason: ExitReason) -> None:
            await stopping()

    async with open_system(clock=clock, stop_timeout=2) as system:
        stubborn = Slow()
        ref = await system.spawn(stubborn)
        ref.tell("handle")
        await stubborn.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert system.abandoned == 1
        stubborn.release.set()
        await stopping.entered.wait()
        await wait_and_advance(clock, 2)
        assert stopping.was_cancelled
        assert system.abandoned == 0
        await wait_and_advance(clock, 2)  # by when it would have been given up, had it swallowed that
        assert system.abandoned == 0


async def test_one_that_is_given_up_in_its_handler_and_again_in_its_on_stop_is_down_once() -> None:
    clock = ManualClock()

    class Deaf(Stubborn):
        async def on_stop(self, reason: ExitReason) -> None:
            stopping.set()
            await swallow(done)

    stopping, done, actor = anyio.Event(), anyio.Event(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        probe = await Probe.start(system)
        ref = await system.spawn(actor)
        ref.monitor(probe.ref)
        ref.tell("handle")
        await actor.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert await probe.expect_down(ref) == Killed()
        other = await system.spawn(Stubborn("nowhere"), name=ref.name)
        actor.release.set()
        await stopping.wait()
        await wait_and_advance(clock, 2, 2)
        assert system.abandoned == 1
        await probe.expect_none()
        assert system.lookup(ref.name) is other  # whose name it is by now
        done.set()


async def test_an_ordered_stop_takes_stop_timeout_then_kills_then_gives_up() -> None:
    clock, stubborn = ManualClock(), Stubborn()
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(clock=clock, stop_timeout=2) as system:
                systems.append(system)
                ref = await system.spawn(stubborn)
                refs.append(ref)
                ref.tell("handle")
                await stubborn.entered.wait()

        systems: list[ActorSystem] = []
        refs: list[Any] = []
        group.start_soon(run)
        await stubborn.entered.wait()
        await anyio.wait_all_tasks_blocked()
        await wait_and_advance(clock, 2, 1.9)
        assert refs[0].status == "running"
        await wait_and_advance(clock, 0.1)
        assert refs[0].exit_reason == Killed()
        # The system now waits a last while for the abandoned task, which it cancelled once more.
        await wait_and_advance(clock, 2)
        assert systems[0].abandoned == 1
        stubborn.release.set()


async def test_a_closing_system_cancels_what_was_abandoned_and_waits_for_its_end() -> None:
    async def tidy_up_slowly() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
            ended.append("tidied up")

    started, ended = anyio.Event(), list[str]()
    async with open_system() as system:
        actor = Stubborn("nowhere")
        ref = await system.spawn(actor)
        child = actor.context.start_soon(tidy_up_slowly)
        await started.wait()
        child.abandon()
        await ref.stop_and_wait()
        assert system.abandoned == 1
    assert ended == ["tidied up"]
    assert system.abandoned == 0


async def test_the_next_incarnation_is_out_of_reach_of_one_that_was_given_up() -> None:
    clock, lives = ManualClock(), list[Stubborn]()

    def make() -> Stubborn:
        lives.append(Stubborn("handle" if not lives else "nowhere"))
        return lives[-1]

    async with open_system(clock=clock, stop_timeout=2) as system:
        await system.spawn(Supervisor([ChildSpec("child", make)]))
        ref = system.lookup("child")
        assert ref is not None
        ref.tell("handle")
        await lives[0].entered.wait()
        ref.tell("for the next life")
        ref.kill()
        await wait_and_advance(clock, 2)
        assert await ref.ask("question", timeout=60) == "question"
        zombie = lives[0]
        zombie.context.timers.start("key", "from the dead", 1)
        zombie.context.link(ref)
        with pytest.raises(ActorDead):
            zombie.context.start_soon(anyio.sleep_forever)
        zombie.release.set()
        await wait_and_advance(clock, 5)
        assert zombie.handled == ["handle"]
        assert zombie.stops == [Killed()]
        assert lives[1].handled == ["for the next life", "question"]
        assert ref.status == "running"


async def test_the_child_tasks_of_an_actor_that_was_given_up_are_cancelled_and_abandoned() -> None:
    clock, stubborn = ManualClock(), Stubborn()
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref = await system.spawn(stubborn)
        child = stubborn.context.start_soon(anyio.sleep_forever)
        ref.tell("handle")
        await stubborn.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert child.done
        assert system.abandoned == 1  # the actor's own task
        stubborn.release.set()


async def test_a_second_kill_cuts_on_stop_and_the_actor_still_ends_once() -> None:
    clock = ManualClock()

    class Slow(Stubborn):
        async def hang_in(self, place: str) -> None:
            if place == "on_stop":
                self.entered.set()
                await anyio.sleep_forever()

    slow = Slow()
    async with open_system(clock=clock, stop_timeout=2) as system:
        probe = await Probe.start(system)
        ref = await system.spawn(slow)
        ref.monitor(probe.ref)
        ref.stop()
        await slow.entered.wait()
        ref.kill()
        assert await probe.expect_down(ref) == Killed()
        assert slow.stops == [Normal()]
        await wait_and_advance(clock, 10)
        await probe.expect_none()
        assert len(system.timers) == 0


async def test_a_block_left_with_a_hanging_actor_ends_although_nobody_moves_its_clock() -> None:
    class Hanging(Actor[str]):
        async def handle(self, message: str) -> None:
            entered.set()
            await anyio.sleep_forever()

    entered = anyio.Event()
    with anyio.fail_after(20):
        async with ActorSystem(clock=ManualClock(), stop_timeout=0.01) as system:
            ref = await system.spawn(Hanging())
            ref.tell("hang")
            await entered.wait()
    assert ref.exit_reason == Killed()


async def test_a_start_killed_by_a_stop_that_took_too_long_is_killed_not_failed() -> None:
    clock, started = ManualClock(), anyio.Event()

    class SlowStart(Actor[str]):
        async def on_start(self) -> None:
            started.set()
            await anyio.sleep_forever()

    async with open_system(clock=clock) as system:
        ref = system.spawn_soon(SlowStart(), stop_timeout=1)
        await started.wait()
        ref.kill()
        reason = await ref.stopped()
        assert reason == Killed()
        assert not isinstance(reason, StartFailed | Shutdown)


async def test_killing_twice_gives_up_once() -> None:
    clock, stubborn = ManualClock(), Stubborn()
    async with open_system(clock=clock, stop_timeout=2) as system:
        probe = await Probe.start(system)
        ref = await system.spawn(stubborn)
        ref.monitor(probe.ref)
        ref.tell("handle")
        await stubborn.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 1)
        ref.kill()
        await wait_and_advance(clock, 1)  # counted from the first
        assert await probe.expect_down(ref) == Killed()
        ref.kill()
        await wait_and_advance(clock, 5)
        await probe.expect_none()
        stubborn.release.set()


async def test_a_closing_system_on_a_clock_without_timers_waits_for_what_hangs_in_a_thread() -> None:
    """Moving the clock has nothing to hasten there, and does no harm."""
    with anyio.fail_after(20):
        async with ActorSystem(clock=ManualClock(), stop_timeout=0.01) as system:
            stubborn = Stubborn()
            ref = await system.spawn(stubborn, stop_timeout=float("inf"))
            ref.tell("handle")
            await stubborn.entered.wait()
            system.timers.call_later(0, stubborn.release.set)
    assert ref.exit_reason == Shutdown()


async def test_a_system_closes_though_a_supervisor_waits_for_a_start_that_never_comes() -> None:
    clock, entered = ManualClock(), anyio.Event()

    class NeverStarts(Actor[str]):
        async def on_start(self) -> None:
            entered.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(clock=clock, stop_timeout=2) as system:
                specs = [ChildSpec("fine", lambda: Stubborn("nowhere")), ChildSpec("never", NeverStarts)]
                refs.append(system.spawn_soon(Supervisor(specs), name="top"))
                await entered.wait()
            closed.append(True)

        refs: list[ActorRef[Any]] = []
        closed: list[bool] = []
        group.start_soon(run)
        await entered.wait()
        await anyio.wait_all_tasks_blocked()
        await wait_and_advance(clock, 1.9)
        assert refs[0].status == "starting"
        await wait_and_advance(clock, 0.1, 2)
        assert refs[0].exit_reason == Killed()
        assert closed == [True]


async def test_a_kill_while_child_tasks_end_leaves_on_stop_all_its_time() -> None:
    clock, ending, release = ManualClock(), anyio.Event(), anyio.Event()

    async def end_slowly() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ending.set()
            await swallow(release)

    stubborn = Stubborn("on_stop")
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref = await system.spawn(stubborn)
        stubborn.context.start_soon(end_slowly)
        await anyio.wait_all_tasks_blocked()
        ref.stop()
        await ending.wait()
        ref.kill()
        await wait_and_advance(clock, 1.5)
        release.set()
        await stubborn.entered.wait()
        await wait_and_advance(clock, 1.5)  # since the kill 3 s, since on_stop began 1.5 s
        assert ref.status == "stopping"
        stubborn.release.set()
        assert await ref.stopped() == Killed()
        assert system.abandoned == 0


async def test_a_crash_is_what_an_actor_ended_with_though_it_is_given_up_in_on_stop() -> None:
    clock, error = ManualClock(), ValueError("boom")

    class Crashing(Stubborn):
        async def handle(self, message: str) -> str:
            raise error

    crashing = Crashing("on_stop")
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref = await system.spawn(crashing)
        ref.tell("crash")
        await crashing.entered.wait()
        await wait_and_advance(clock, 2, 2)
        assert ref.exit_reason == Crashed(error)
        crashing.release.set()
