"""Supervisors that swallow a kill: they are given up, and none of their children is left behind or started again."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, wait_and_advance
from tests.actors.team import Busy, Deaf, Scripted, Team, child, crash

from actwright_actors import (
    ActorDead,
    ActorRef,
    Backoff,
    ChildSpec,
    Killed,
    NoSuchChild,
    RestartType,
    StartChild,
    StartFailed,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


async def test_a_supervisor_that_is_given_up_is_down_after_its_children_which_are_killed() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref: ActorRef[Any] = await system.spawn(Scripted(team.specs("ab")))
        probe = await Probe.start(system)
        a, b = child(system, "a"), child(system, "b")
        stop_b = team.hold_stop("b")
        for watched in (a, b, ref):
            watched.monitor(probe.ref)
        ref.tell(deaf)
        await deaf.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert await probe.expect_down(a) == Killed()
        await stop_b.entered.wait()
        await probe.expect_none()
        assert ref.is_alive
        stop_b.release.set()
        assert await probe.expect_down(b) == Killed()
        assert await probe.expect_down(ref) == Killed()
        assert system.actors() == [probe.ref]
        assert system.abandoned == 1
        deaf.release.set()
        await anyio.wait_all_tasks_blocked()
        await probe.expect_none()
        assert system.abandoned == 0


async def test_a_supervisor_without_children_that_is_given_up_is_down_at_once() -> None:
    clock, deaf = ManualClock(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        ref: ActorRef[Any] = await system.spawn(Scripted())
        a = await ref.ask(StartChild(Team().spec("a", restart="temporary")))
        await a.stop_and_wait()
        ref.tell(deaf)
        await deaf.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert ref.exit_reason == Killed()
        deaf.release.set()


async def test_the_next_incarnation_of_a_supervisor_that_was_given_up_finds_the_names_of_its_children_free() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        top = await system.spawn(Supervisor([ChildSpec("inner", lambda: Scripted(team.specs("ab")))]))
        inner = child(system, "inner")
        stop_a = team.hold_stop("a")
        inner.tell(deaf)
        await deaf.entered.wait()
        inner.kill()
        await wait_and_advance(clock, 2)
        await stop_a.entered.wait()
        del team.holds_stop["a"]
        stop_a.release.set()
        await anyio.wait_all_tasks_blocked()
        assert await child(system, "a").ask("again") == ["again"]
        assert inner.is_alive
        assert top.is_alive
        deaf.release.set()  # what the old incarnation still does concerns the new one in no way
        await anyio.wait_all_tasks_blocked()
        assert await child(system, "b").ask("again") == ["again"]
        assert sorted(team.events[2:4]) == ["-a", "-b"]
        assert team.events[4:] == ["+a", "+b"]


@pytest.mark.parametrize("late", ["starts a child", "stops a child", "hears of an end", "restarts"])
async def test_a_supervisor_that_was_given_up_and_goes_on_has_no_children_any_more(late: str) -> None:
    team, clock, raised = Team(), ManualClock(), list[BaseException]()

    def act() -> None:
        supervisor = supervisors[0]
        try:
            if late == "starts a child":
                supervisor.start_child(team.spec("c"))
            elif late == "stops a child":
                supervisor.stop_child("a")
        except Exception as error:
            raised.append(error)

    deaf = Deaf(act)
    async with open_system(clock=clock, stop_timeout=2) as system:
        supervisors = [Scripted(team.specs("ab"), strategy="one_for_all", backoff=Backoff(10.0), intensity=9)]
        ref: ActorRef[Any] = await system.spawn(supervisors[0])
        a = child(system, "a")
        if late == "restarts":
            await crash(a)
        ref.tell(deaf)
        await deaf.entered.wait()
        if late == "hears of an end":
            await crash(a)
        ref.kill()
        await wait_and_advance(clock, 2)
        assert ref.exit_reason == Killed()
        assert system.actors() == []
        deaf.release.set()
        await deaf.returned.wait()
        await wait_and_advance(clock, 20)
        assert system.actors() == []
        assert system.abandoned == 0
    expected = {"starts a child": ActorDead, "stops a child": NoSuchChild}.get(late)
    assert [type(error) for error in raised] == ([expected] if expected else [])


async def test_a_supervisor_that_is_given_up_while_it_hears_of_an_end_starts_nothing_again() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()

    class Sluggish(Supervisor):
        async def handle(self, message: Any) -> Any:
            await deaf()
            return await super().handle(message)

    async with open_system(clock=clock, stop_timeout=2) as system:
        ref = await system.spawn(Sluggish(team.specs("ab")))
        await crash(child(system, "a"))
        await deaf.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert ref.exit_reason == Killed()
        deaf.release.set()
        await deaf.returned.wait()
        await anyio.wait_all_tasks_blocked()
        assert system.actors() == []
        assert team.events == ["+a", "+b", "-a", "-b"]


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_supervisor_given_up_before_it_had_any_child_starts_none_afterwards(restarted: bool) -> None:
    team, clock, raised = Team(), ManualClock(), list[BaseException]()

    def start() -> None:
        try:
            made[0].start_child(team.spec("late"))
        except ActorDead as error:
            raised.append(error)

    def make() -> Supervisor:
        made.append(Scripted())
        return made[-1]

    deaf, made = Deaf(start), list[Supervisor]()
    async with open_system(clock=clock, stop_timeout=2) as system:
        restart: RestartType = "permanent" if restarted else "temporary"
        await system.spawn(Supervisor([ChildSpec("inner", make, restart)]), name="top")
        inner = child(system, "inner")
        inner.tell(deaf)
        await deaf.entered.wait()
        inner.kill()
        await wait_and_advance(clock, 2)
        deaf.release.set()
        await deaf.returned.wait()
        await anyio.wait_all_tasks_blocked()
        assert len(raised) == 1
        assert [ref.name for ref in system.actors()] == (["top", "inner"] if restarted else ["top"])


async def test_a_start_that_was_given_up_before_it_came_to_the_children_leaves_their_names_to_the_next_life() -> None:
    team, clock, deaf, lives = Team(), ManualClock(), Deaf(), list[Supervisor]()

    class SlowToLoad(Supervisor):
        async def on_start(self) -> None:
            lives.append(self)
            if len(lives) == 2:
                await deaf()
            await super().on_start()

    async with open_system(clock=clock, stop_timeout=2) as system:
        await system.spawn(Supervisor([ChildSpec("inner", lambda: SlowToLoad(team.specs("a")))], intensity=2))
        inner = child(system, "inner")
        inner.kill()
        await deaf.entered.wait()
        inner.kill()
        clock.advance(2)  # by when the second life is given up, and its task goes on
        deaf.release.set()
        await anyio.wait_all_tasks_blocked()
        assert len(lives) == 3
        assert inner.status == "running"
        assert await child(system, "a").ask(1) == [1]
        assert team.events == ["+a", "-a", "+a"]


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_a_first_start_that_was_given_up_has_failed_though_it_returns_before_that_is_noticed(
    restart: RestartType,
) -> None:
    clock, deaf, hold, made = ManualClock(), Deaf(), Hold(), list[Worker]()
    raised = list[BaseException]()

    def make() -> Worker:
        made.append(Worker(on_start=deaf))
        return made[-1]

    async with open_system(clock=clock, stop_timeout=2) as system, anyio.create_task_group() as group:
        top: ActorRef[Any] = await system.spawn(Busy())

        async def ask() -> None:
            try:
                await top.ask(StartChild(ChildSpec("a", make, restart)), timeout=60)
            except ActorDead as error:
                raised.append(error)

        group.start_soon(ask)
        await deaf.entered.wait()
        a = child(system, "a")
        top.tell(hold)
        await hold.entered.wait()
        a.kill()
        await wait_and_advance(clock, 2)
        deaf.release.set()
        await deaf.returned.wait()
        await anyio.wait_all_tasks_blocked()
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert len(raised) == 1
        assert (a.exit_reason, len(made), top.status) == (Killed(), 1, "running")


async def test_a_start_that_is_given_up_and_returns_while_its_children_are_killed_did_not_succeed() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    raised = list[BaseException]()
    async with open_system(clock=clock, stop_timeout=2) as system, anyio.create_task_group() as group:
        supervisor = Scripted(team.specs("a"))
        supervisor.after_start = deaf

        async def spawn() -> None:
            try:
                await system.spawn(supervisor, name="top")
            except ActorDead as error:
                raised.append(error)

        group.start_soon(spawn)
        await deaf.entered.wait()
        top, stop_a = child(system, "top"), team.hold_stop("a")
        top.kill()
        await wait_and_advance(clock, 2)
        await stop_a.entered.wait()
        deaf.release.set()
        await anyio.wait_all_tasks_blocked()
        assert top.status == "stopping"
        stop_a.release.set()
        assert await top.stopped() == Killed()
    assert len(raised) == 1


async def test_who_watches_a_child_late_hears_of_its_end_before_that_of_a_supervisor_that_was_given_up() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        top: ActorRef[Any] = await system.spawn(Scripted(team.specs("a")))
        probe = await Probe.start(system)
        a, stop_a = child(system, "a"), team.hold_stop("a")
        top.monitor(probe.ref)
        top.tell(deaf)
        await deaf.entered.wait()
        top.kill()
        await wait_and_advance(clock, 2)
        await stop_a.entered.wait()
        a.monitor(probe.ref)
        stop_a.release.set()
        assert await probe.expect_down(a) == Killed()
        assert await probe.expect_down(top) == Killed()
        deaf.release.set()


async def test_a_start_that_is_given_up_takes_the_children_that_had_started_with_it() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    async with open_system(clock=clock, stop_timeout=2) as system:
        supervisor = Scripted(team.specs("ab"))
        supervisor.after_start = deaf
        ref = system.spawn_soon(supervisor)
        await deaf.entered.wait()
        ref.kill()
        await wait_and_advance(clock, 2)
        assert isinstance(ref.exit_reason, Killed | StartFailed)
        assert team.ends == [Killed(), Killed()]
        assert system.actors() == []
        deaf.release.set()
