"""How often a supervisor's children may die, and who steps in when they die more often."""

from __future__ import annotations

import math

import anyio
import pytest
from tests.actors.helpers import open_system
from tests.actors.team import Team, child, crash

from actwright_actors import (
    ActorRef,
    ChildSpec,
    Crashed,
    RestartIntensityExceeded,
    RestartType,
    Shutdown,
    StartChild,
    Strategy,
    Supervisor,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("intensity", [0, 1, 3])
async def test_as_many_restarts_as_the_intensity_are_allowed_and_one_more_is_not(intensity: int) -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), intensity=intensity, period=5.0))
        for _ in range(intensity):
            await crash(child(system, "a"))
        assert supervisor.is_alive
        await crash(child(system, "a"))
        assert not supervisor.is_alive
        assert team.starts["a"] == 1 + intensity


@pytest.mark.parametrize("is_inside", [True, False], ids=["at the end", "just after"])
async def test_the_window_ends_at_the_period_to_the_float(is_inside: bool) -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), intensity=1, period=0.2))
        clock.advance(0.1)
        first = clock.now()
        await crash(child(system, "a"))
        edge = first + 0.2
        target = edge if is_inside else math.nextafter(edge, math.inf)
        while clock.now() < target:  # a sum of floats need not hit it at once
            clock.advance(target - clock.now())
        assert clock.now() == target
        await crash(child(system, "a"))
        assert supervisor.is_alive == (not is_inside)


async def test_deaths_further_apart_than_the_period_do_not_add_up() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor(team.specs("a")))
        for _ in range(5):
            await crash(child(system, "a"))
            clock.advance(5.1)
        assert supervisor.is_alive
        assert team.starts["a"] == 6


async def test_the_intensity_is_of_all_children_together() -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc"), intensity=2))
        for name in "abc":
            await crash(child(system, name))
        assert not supervisor.is_alive
        assert team.starts == {"a": 2, "b": 2, "c": 1}


async def test_a_group_restart_counts_once_however_many_it_restarts() -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc"), strategy="one_for_all", intensity=1))
        await crash(child(system, "b"))
        assert team.starts == {"a": 2, "b": 2, "c": 2}
        assert supervisor.is_alive


async def test_a_child_that_is_not_restarted_does_not_count() -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc", restart="temporary"), intensity=0))
        for name in "abc":
            await crash(child(system, name))
        assert supervisor.is_alive


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_too_many_deaths_stop_all_in_order_and_crash_the_supervisor(strategy: Strategy) -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc"), strategy=strategy, intensity=0))
        a, b, c = (child(system, name) for name in "abc")
        await crash(b)
        reason = await supervisor.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RestartIntensityExceeded)
        assert "b crashed" in str(reason.error.__cause__)
        assert isinstance(b.exit_reason, Crashed)
        assert (a.exit_reason, c.exit_reason) == (Shutdown(), Shutdown())
        assert team.events[3:] == ["-b", "-c", "-a"]
        assert system.actors() == []


# -- the supervisor above ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_supervisor_that_gave_up_is_restarted_with_the_children_that_it_had_at_first(
    restart: RestartType,
) -> None:
    team = Team()
    inner = ChildSpec("inner", lambda: Supervisor(team.specs("ab"), intensity=0), restart)
    async with open_system() as system:
        await system.spawn(Supervisor([inner]))
        supervisor = child(system, "inner")
        before: ActorRef[object] = child(system, "a")
        added = await supervisor.ask(StartChild(team.spec("added")))
        await crash(before)
        assert child(system, "inner") is supervisor
        assert not before.is_alive
        assert await child(system, "a").ask("hello") == ["hello"]
        assert added.exit_reason == Shutdown()
        assert system.lookup("added") is None
        assert team.starts == {"a": 2, "b": 2, "added": 1}


async def test_a_supervisor_whose_children_keep_dying_takes_the_one_above_with_it() -> None:
    team = Team()
    inner = ChildSpec("inner", lambda: Supervisor(team.specs("a"), intensity=1))
    async with open_system(clock=ManualClock()) as system:
        outer = await system.spawn(Supervisor([inner], intensity=1))
        for _ in range(4):  # each of the inner supervisor's two lives allows one restart
            assert outer.is_alive
            await crash(child(system, "a"))
        reason = await outer.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RestartIntensityExceeded)
        assert isinstance(reason.error.__cause__, RestartIntensityExceeded)
        assert system.actors() == []


async def test_a_restarted_supervisor_takes_no_notice_of_deaths_before_its_restart() -> None:
    team = Team()
    inner = ChildSpec("inner", lambda: Supervisor(team.specs("ab"), intensity=0))
    async with open_system() as system:
        outer = await system.spawn(Supervisor([inner], intensity=1))
        child(system, "a").kill()
        child(system, "b").kill()  # that the inner supervisor gives up for the one, it hears before the other
        await anyio.wait_all_tasks_blocked()
        assert team.starts == {"a": 2, "b": 2}
        assert await child(system, "b").ask("b") == ["b"]
        assert outer.is_alive
