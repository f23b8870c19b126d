"""Supervisors whose own code hangs: they have a deadline like anybody, their children's time not counted, and whatever
becomes of them none of their children is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system, raising, wait_and_advance
from tests.actors.team import Busy, Deaf, Scripted, Team, child, crash, hold_up

from actwright_actors import (
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    DeadlockDetected,
    ExitReason,
    Killed,
    Normal,
    Shutdown,
    StartChild,
    StartFailed,
    Supervisor,
    SystemClosed,
)
from actwright_actors._kernel import Kernel
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)


async def test_a_system_closes_though_a_supervisor_hangs_in_a_message_and_its_children_stop_in_order() -> None:
    team, clock, hold = Team(), ManualClock(), Hold()
    refs = list[ActorRef[Any]]()
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(clock=clock, stop_timeout=2) as system:
                top: ActorRef[Any] = await system.spawn(Busy(team.specs("abc")), name="top")
                refs.append(top)
                top.tell(hold)
                await hold.entered.wait()

        group.start_soon(run)
        await hold.entered.wait()
        await anyio.wait_all_tasks_blocked()
        await wait_and_advance(clock, 1)
        assert refs[0].is_alive
        clock.advance(1)
    assert refs[0].exit_reason == Killed()
    assert team.events[3:] == ["-c", "-b", "-a"]
    assert team.ends == [Shutdown()] * 3


@pytest.mark.parametrize("place", ["before_stop", "after_stop"])
async def test_an_on_stop_that_hangs_is_cut_at_its_deadline_and_the_children_stop_in_order(place: str) -> None:
    team, clock, hold = Team(), ManualClock(), Hold()
    async with open_system(clock=clock, stop_timeout=2) as system:
        supervisor = Scripted(team.specs("abc"))
        setattr(supervisor, place, hold)
        ref = await system.spawn(supervisor)
        ref.stop()
        await hold.entered.wait()
        await wait_and_advance(clock, 1)
        assert ref.is_alive
        clock.advance(1)
        assert await ref.stopped() == Killed()
        assert hold.was_cancelled
        assert team.events[3:] == ["-c", "-b", "-a"]
        assert team.ends == [Shutdown()] * 3


async def test_the_time_that_the_children_take_to_stop_does_not_count_against_their_supervisor() -> None:
    team, clock, before, after = Team(), ManualClock(), Hold(), Hold()
    async with open_system(clock=clock, stop_timeout=2) as system:
        supervisor = Scripted([team.spec("a", stop_timeout=60)])
        supervisor.before_stop, supervisor.after_stop = before, after
        ref = await system.spawn(supervisor)
        stop_a = team.hold_stop("a")
        ref.stop()
        await before.entered.wait()
        await wait_and_advance(clock, 1.5)
        before.release.set()
        await stop_a.entered.wait()
        await wait_and_advance(clock, 50)
        stop_a.release.set()
        await after.entered.wait()
        await wait_and_advance(clock, 0.25)
        assert not after.was_cancelled
        clock.advance(0.25)
        assert await ref.stopped() == Killed()
        assert not stop_a.was_cancelled


async def test_an_inner_supervisor_has_its_stop_timeout_for_itself_and_its_children_theirs() -> None:
    team, clock, after = Team(), ManualClock(), Hold()

    def make() -> Supervisor:
        inner = Scripted([team.spec("a", stop_timeout=60)])
        inner.after_stop = after
        return inner

    async with open_system(clock=clock) as system:
        top = await system.spawn(Supervisor([ChildSpec("inner", make, stop_timeout=2)]))
        stop_a, inner = team.hold_stop("a"), child(system, "inner")
        top.stop()
        await stop_a.entered.wait()
        await wait_and_advance(clock, 50)
        stop_a.release.set()
        await after.entered.wait()
        await wait_and_advance(clock, 1)
        assert inner.is_alive
        clock.advance(1)
        assert await inner.stopped() == Killed()
        assert await top.stopped() == Normal()


@on_asyncio
@pytest.mark.parametrize("times", [1, 6])
async def test_however_often_its_task_is_cancelled_natively_a_supervisor_outlives_its_children(times: int) -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab")), name="supervisor")
        holds = [team.hold_stop("a"), team.hold_stop("b")]
        supervisor.stop()
        await holds[1].entered.wait()
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "supervisor"]
        for _ in range(times):
            task.cancel()
            await anyio.wait_all_tasks_blocked()
        assert supervisor.is_alive
        for hold in holds:
            hold.release.set()
        assert (await supervisor.stopped()).is_abnormal
        assert system.actors() == []


async def test_a_child_that_ended_in_time_is_not_said_to_have_been_killed(caplog: pytest.LogCaptureFixture) -> None:
    """Though its supervisor ends before it hears of that."""
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock, stop_timeout=2) as system:
        top: ActorRef[Any] = await system.spawn(Busy(team.specs("ab"), strategy="one_for_all"))
        stop_b = team.hold_stop("b")
        await crash(child(system, "a"))
        await stop_b.entered.wait()
        hold = await hold_up(top)
        stop_b.release.set()
        await anyio.wait_all_tasks_blocked()
        top.kill()
        await top.stopped()
        assert hold.was_cancelled
        await wait_and_advance(clock, 10)
    assert "it is killed" not in caplog.text


@pytest.mark.parametrize("while_starting", [True, False])
async def test_a_supervisor_killed_twice_waits_for_a_child_that_has_more_time_than_itself(while_starting: bool) -> None:
    team, clock = Team(), ManualClock()
    slow = Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        supervisor = Scripted([team.spec("a", stop_timeout=60)])
        starting = Hold()
        if while_starting:
            supervisor.after_start = starting
        ref = system.spawn_soon(supervisor)
        await anyio.wait_all_tasks_blocked()
        a = child(system, "a")
        a.tell(slow)
        await slow.entered.wait()
        ref.kill()
        await anyio.wait_all_tasks_blocked()
        ref.kill()
        await wait_and_advance(clock, 0, 59)
        assert (ref.status, a.is_alive) == ("stopping", True)
        clock.advance(1)
        assert await a.stopped() == Killed()
        assert await ref.stopped() == Killed()
        slow.release.set()


async def test_a_subclass_that_fails_after_its_children_have_started_leaves_none_behind() -> None:
    team, error = Team(), ValueError("no licence")

    class Unlicensed(Supervisor):
        async def on_start(self) -> None:
            await super().on_start()
            raise error

    async with open_system() as system:
        with pytest.raises(ValueError, match="no licence"):
            await system.spawn(Unlicensed(team.specs("ab")))
        assert team.events == ["+a", "+b", "-b", "-a"]
        assert system.actors() == []


async def test_a_subclass_whose_on_stop_forgets_the_supervisors_leaves_no_child_behind() -> None:
    team = Team()

    class Forgetful(Supervisor):
        async def on_stop(self, reason: ExitReason) -> None:
            team.events.append("on_stop")

    async with open_system() as system:
        ref = await system.spawn(Forgetful(team.specs("ab")))
        ref.stop()
        assert await ref.stopped() == Normal()
        assert team.events == ["+a", "+b", "on_stop", "-b", "-a"]


async def test_no_child_can_be_started_once_the_others_have_been_stopped() -> None:
    team = Team()

    class Restless(Supervisor):
        async def on_stop(self, reason: ExitReason) -> None:
            await super().on_stop(reason)
            self.start_child(team.spec("late"))

    async with open_system() as system:
        ref = await system.spawn(Restless(team.specs("a")))
        ref.stop()
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, ActorDead)
        assert team.events == ["+a", "-a"]


async def test_a_supervisor_restarts_its_children_also_while_the_system_waits_for_another_actor_to_stop() -> None:
    team = Team()
    inner = ChildSpec("inner", lambda: Busy(team.specs("a"), intensity=0))
    systems, tops, holds = list[ActorSystem](), list[ActorRef[Any]](), list[Hold]()
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem() as system:
                systems.append(system)
                tops.append(await system.spawn(Supervisor([inner])))
                await system.spawn(Supervisor([team.spec("z")]))
                holds.append(await hold_up(child(system, "z")))

        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        await crash(child(systems[0], "a"))  # beyond the intensity of `inner`, which ends, and is started again
        await anyio.wait_all_tasks_blocked()
        assert child(systems[0], "a").status == "running"
        holds[0].release.set()
    assert tops[0].exit_reason == Shutdown()
    assert team.starts["a"] == 2


async def test_a_system_that_stops_takes_no_new_children() -> None:
    team, hold = Team(), Hold()
    supervisors, asked = list[ActorRef[Any]](), list[BaseException]()

    async def ask() -> None:
        await hold()
        try:
            await supervisors[0].ask(StartChild(team.spec("late")))
        except SystemClosed as error:
            asked.append(error)

    async with open_system() as system:
        supervisors.append(await system.spawn(Supervisor(team.specs("a"))))
        last = await system.spawn(Worker())
        last.tell(ask)
        await hold.entered.wait()
        system.timers.call_later(0, hold.release.set)  # once it has begun to stop
    assert len(asked) == 1
    assert team.events == ["+a", "-a"]


async def test_a_supervisor_that_waits_in_its_own_task_for_a_child_to_be_gone_is_told_of_the_deadlock() -> None:
    found = list[ActorRef[Any]]()

    async with open_system() as system:
        supervisor = Scripted(Team().specs("a"))
        ref: ActorRef[Any] = await system.spawn(supervisor)
        a = child(system, "a")

        async def stop_and_wait() -> None:
            with pytest.raises(DeadlockDetected) as caught:
                await supervisor.stop_child("a").stopped()
            found.extend(caught.value.cycle)

        async def look() -> object:
            return await a.stopped()

        await ref.ask(stop_and_wait)
        assert found == [ref, a, ref]
        assert await a.stopped() == Shutdown()
        assert await ref.ask(look) == Shutdown()  # of the dead anybody may ask


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("ends", ["before it hears of it", "before it fails"])
async def test_why_a_child_did_not_start_is_logged_where_its_supervisor_ends_first(
    asked: bool, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    error, hold = ValueError("no licence"), Hold()

    async def fail() -> None:
        with anyio.CancelScope(shield=True):
            await hold()
        raise error

    spec = ChildSpec("a", lambda: Worker(on_start=fail))
    async with open_system() as system, anyio.create_task_group() as group:
        refs = [system.spawn_soon(Supervisor([] if asked else [spec]))]

        async def ask() -> None:
            with pytest.raises(ActorDead):
                await refs[0].ask(StartChild(spec))

        if asked:
            group.start_soon(ask)
        await hold.entered.wait()
        if ends == "before it fails":
            refs[0].kill()
            await anyio.wait_all_tasks_blocked()
            hold.release.set()
        else:
            system.post(hold.release.set)
            system.post(refs[0].kill)
        assert await refs[0].stopped() == Killed()
    told = [record for record in caplog.records if record.exc_info and record.exc_info[1] is error]
    assert [record.getMessage() for record in told] == ["Child 'a' did not start."]


async def test_why_a_first_child_did_not_start_is_said_by_its_supervisors_end_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_system() as system:
        ref = system.spawn_soon(Supervisor([ChildSpec("a", lambda: Worker(on_start=raising(ValueError("boom"))))]))
        assert isinstance(await ref.stopped(), StartFailed)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "Actor 'Supervisor-1' ended: StartFailed"
    ]


async def test_a_restart_whose_task_cannot_be_started_is_one_more_death(monkeypatch: pytest.MonkeyPatch) -> None:
    team, error = Team(), MemoryError()

    def fail(*_: object, **__: object) -> None:
        raise error

    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), intensity=1))
        a = child(system, "a")
        with monkeypatch.context() as patch:
            patch.setattr(Kernel, "start_task", fail)
            await crash(a)
            assert (await supervisor.stopped()).is_abnormal
        assert a.exit_reason == StartFailed(error)
        assert system.actors() == []
