"""Many children that come and go, and are stopped at once."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Worker, open_system
from tests.actors.team import Team, child, crash, hold_up

from actwright_actors import (
    ActorRef,
    Backoff,
    ChildSpec,
    Crashed,
    DynamicSupervisor,
    Killed,
    Normal,
    RestartIntensityExceeded,
    Shutdown,
    StartChild,
    StopChild,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_its_children_are_added_restarted_and_taken_away_one_by_one() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(DynamicSupervisor())
        for name in "ab":
            await supervisor.ask(StartChild(team.spec(name)))
        await crash(child(system, "a"))
        assert team.events == ["+a", "+b", "-a", "+a"]
        b = await supervisor.ask(StopChild("b"))
        assert await b.stopped() == Shutdown()
        assert await child(system, "a").ask("a goes on") == ["a goes on"]


async def test_it_stops_all_children_at_once() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(DynamicSupervisor())
        holds = [team.hold_stop(name) for name in "abc"]
        for name in "abc":
            await supervisor.ask(StartChild(team.spec(name)))
        supervisor.stop()
        for hold in holds:
            await hold.entered.wait()
        assert supervisor.status == "stopping"
        for hold in holds:
            hold.release.set()
        assert await supervisor.stopped() == Normal()
        assert [type(reason) for reason in team.ends] == [Shutdown] * 3


async def test_each_child_has_its_own_time_to_stop_and_is_then_killed() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(DynamicSupervisor())
        refs: dict[str, ActorRef[Any]] = {}
        for name, seconds in {"a": 3.0, "b": 9.0, "c": 6.0}.items():
            refs[name] = await supervisor.ask(StartChild(team.spec(name, stop_timeout=seconds)))
            await hold_up(refs[name])
        supervisor.stop()
        for gone in ("a", "c", "b"):
            await anyio.wait_all_tasks_blocked()
            assert supervisor.is_alive
            clock.advance(3.0)
            assert await refs.pop(gone).stopped() == Killed()
            assert all(ref.is_alive for ref in refs.values())
        assert await supervisor.stopped() == Normal()


async def test_a_child_that_waits_for_its_restart_holds_up_no_stop() -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(DynamicSupervisor(backoff=Backoff(initial=60.0)))
        ref = await supervisor.ask(StartChild(team.spec("a")))
        await crash(ref)
        supervisor.stop()
        assert await supervisor.stopped() == Normal()
        assert isinstance(ref.exit_reason, Crashed)


async def test_too_many_deaths_end_it_as_they_end_any_supervisor() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(DynamicSupervisor(intensity=0))
        other = await supervisor.ask(StartChild(team.spec("b")))
        await crash(await supervisor.ask(StartChild(team.spec("a"))))
        reason = await supervisor.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RestartIntensityExceeded)
        assert other.exit_reason == Shutdown()


async def seconds_of_one_end(children: int) -> float:
    """How long it takes for each of 500 temporary children to end by itself and be forgotten, when there are so many.

    The others are there all the time."""
    spec = ChildSpec(None, Worker, "temporary")
    async with open_system() as system:
        supervisor = await system.spawn(DynamicSupervisor())
        refs = [await supervisor.ask(StartChild(spec), timeout=60.0) for _ in range(children)]
        began = perf_counter()
        for ref in refs[-500:]:
            ref.stop()
        for ref in refs[-500:]:
            await ref.stopped()
        return (perf_counter() - began) / 500


async def test_the_end_of_a_child_does_not_take_longer_for_there_being_many() -> None:
    few = min([await seconds_of_one_end(500) for _ in range(3)])
    assert min([await seconds_of_one_end(10_000) for _ in range(2)]) < 3 * few
