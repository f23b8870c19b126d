"""Children that come and go while their supervisor lives, and what becomes of them when it ends."""

from __future__ import annotations

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system
from tests.actors.team import Team, child, crash

from actwright_actors import (
    ActorSystem,
    ChildSpec,
    ExitReason,
    Killed,
    MailboxOptions,
    NameTaken,
    Normal,
    NoSuchChild,
    Shutdown,
    StartChild,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock, assert_no_dead_letters

pytestmark = pytest.mark.anyio


async def test_a_child_can_be_added_and_is_supervised() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor())
        ref = await supervisor.ask(StartChild(team.spec("a", mailbox=MailboxOptions(capacity=3))))
        assert await ref.ask(1) == [1]
        await crash(ref)
        assert await ref.ask(2) == [2]
        with pytest.raises(NameTaken):
            await supervisor.ask(StartChild(team.spec("a")))
        assert supervisor.is_alive
    assert team.events == ["+a", "-a", "+a", "-a"]


async def test_a_stopped_child_is_gone_for_good() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([team.spec("a"), team.spec("b")], strategy="one_for_all"))
        ref = await supervisor.ask(StopChild("a"))
        assert await ref.stopped() == Shutdown()
        await anyio.wait_all_tasks_blocked()
        assert team.events == ["+a", "+b", "-a"]
        with pytest.raises(NoSuchChild, match="no child 'a'"):
            await supervisor.ask(StopChild("a"))
        assert supervisor.is_alive


async def test_a_supervisor_killed_twice_kills_its_children_and_leaves_no_orphan() -> None:
    team, hold = Team(), Hold()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a"), team.spec("b")]))
        a, b = child(system, "a"), child(system, "b")
        b.tell(hold)
        await hold.entered.wait()
        supervisor.kill()
        await anyio.wait_all_tasks_blocked()
        assert a.is_alive
        supervisor.kill()
        assert await b.stopped() == Killed()
        assert await a.stopped() == Killed()
        await supervisor.stopped()


async def test_a_killed_supervisor_gives_up_starting_and_stops_what_it_started() -> None:
    team, hold = Team(), Hold()

    async def slow(name: str, _: int) -> None:
        if name == "b":
            await hold()

    team.before_start = slow
    async with open_system() as system:
        supervisor = system.spawn_soon(Supervisor([team.spec("a"), team.spec("b", stop_timeout=0.0)]))
        await hold.entered.wait()
        supervisor.kill()
        assert await supervisor.stopped() == Killed()
        assert team.events == ["+a", "-a"]
        assert system.actors() == []


async def test_what_a_supervisor_did_not_hear_before_its_end_is_no_dead_letter() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([team.spec("a"), team.spec("b")]))
        supervisor.stop()
        for name in ("a", "b"):
            child(system, name).kill()
        await supervisor.stopped()
        assert_no_dead_letters(system)


async def test_a_supervisor_has_no_deadline_of_its_own_while_a_child_uses_its_time() -> None:
    team, clock, hold = Team(), ManualClock(), Hold()
    async with open_system(clock=clock, stop_timeout=5.0) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a", stop_timeout=60.0)]))
        child(system, "a").tell(hold)
        await hold.entered.wait()
        supervisor.stop()
        await anyio.wait_all_tasks_blocked()
        clock.advance(59.0)
        await anyio.wait_all_tasks_blocked()
        assert not hold.was_cancelled
        hold.release.set()
        assert await supervisor.stopped() == Normal()
        assert team.events == ["+a", "-a"]


async def test_a_supervisor_killed_twice_ends_only_once_its_children_are_gone() -> None:
    team = Team()
    order: list[str] = []

    class Slow(Worker):
        async def on_stop(self, reason: object) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                order.append("child")

    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a"), ChildSpec("slow", Slow)]))
        supervisor.kill()
        await anyio.wait_all_tasks_blocked()
        supervisor.kill()
        await supervisor.stopped()
        order.append("supervisor")
        assert order == ["child", "supervisor"]
        assert system.actors() == []


async def test_a_supervisor_told_to_stop_while_it_starts_gives_its_children_all_their_time_once_it_has() -> None:
    clock, hold = ManualClock(), Hold()
    flushed: list[str] = []

    class Flushing(Worker):
        async def on_stop(self, reason: ExitReason) -> None:
            await hold()
            flushed.append("flushed")

    slow_start = Hold()
    specs = [
        ChildSpec("flushing", Flushing, stop_timeout=60),
        ChildSpec("slow", lambda: Worker(on_start=slow_start), stop_timeout=60),
    ]
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(clock=clock, stop_timeout=2) as system:
                system.spawn_soon(Supervisor(specs))
                await slow_start.entered.wait()

        group.start_soon(run)
        await slow_start.entered.wait()
        await anyio.wait_all_tasks_blocked()
        clock.advance(1)
        slow_start.release.set()  # it has started, in time
        await hold.entered.wait()
        clock.advance(50)
        await anyio.wait_all_tasks_blocked()
        hold.release.set()
    assert flushed == ["flushed"]
    assert not hold.was_cancelled
