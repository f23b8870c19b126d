"""How long a child waits before it is restarted, on a clock that moves when told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import open_system
from tests.actors.team import Team, child, crash

from actwright_actors import ActorSystem, Backoff, Crashed, Normal, StopChild, Strategy, Supervisor
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

OFTEN: dict[str, Any] = {"intensity": 100, "period": 1.0}
EVEN = Backoff(initial=1.0, factor=2.0, maximum=100.0, jitter=0.0, reset_after=10.0)


class Watch:
    """Says how long a child is down."""

    def __init__(self, team: Team, clock: ManualClock, system: ActorSystem) -> None:
        self.team, self.clock, self.system = team, clock, system

    async def crash(self, name: str = "a") -> float:
        """Crash it, and return after how many seconds it was started again, to the quarter."""
        starts, down = self.team.starts[name], 0.0
        await crash(child(self.system, name))
        while self.team.starts[name] == starts:
            self.clock.advance(0.25)
            down += 0.25
            await anyio.wait_all_tasks_blocked()
        return down


async def test_a_restart_waits_for_the_back_off_with_its_jitter_and_mail_waits_for_the_restart() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        backoff = Backoff(initial=1.0, jitter=0.5)
        await system.spawn(Supervisor(team.specs("a"), backoff=backoff, chance=lambda: 0.5))
        ref = child(system, "a")
        await crash(ref)
        ref.tell("waits")
        assert ref.status == "restarting"
        clock.advance(1.24)
        await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == 1
        clock.advance(0.01)
        assert await ref.ask("now") == ["waits", "now"]


async def test_the_wait_grows_with_each_restart_in_a_row_up_to_its_maximum() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        backoff = Backoff(initial=1.0, factor=2.0, maximum=5.0, jitter=0.0)
        await system.spawn(Supervisor(team.specs("a"), backoff=backoff, **OFTEN))
        watch = Watch(team, clock, system)
        assert [await watch.crash() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("stays_up", "then"), [(9.75, 4.0), (10.0, 1.0)])
async def test_the_wait_is_the_initial_one_again_once_the_child_has_stayed_up_for_long_enough(
    stays_up: float, then: float
) -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor(team.specs("a"), backoff=EVEN, **OFTEN))
        watch = Watch(team, clock, system)
        assert [await watch.crash() for _ in range(2)] == [1.0, 2.0]
        clock.advance(stays_up)
        assert [await watch.crash() for _ in range(2)] == [then, 2 * then]


async def test_neither_the_wait_nor_a_start_that_fails_counts_as_staying_up() -> None:
    team, clock = Team(), ManualClock()

    async def fail_until_seventh(_: str, nth: int) -> None:
        if 1 < nth < 7:
            raise ValueError("not yet")

    team.before_start = fail_until_seventh
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor(team.specs("a"), backoff=EVEN, **OFTEN))
        await crash(child(system, "a"))
        for seconds in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
            starts = team.starts["a"]
            clock.advance(seconds - 0.25)
            await anyio.wait_all_tasks_blocked()
            assert team.starts["a"] == starts
            clock.advance(0.25)
            await anyio.wait_all_tasks_blocked()
            assert team.starts["a"] == starts + 1


async def test_a_factory_that_fails_does_not_count_as_staying_up() -> None:
    team, clock = Team(), ManualClock()
    spec = team.spec("a")
    failures = iter([False, True, True, False, False])

    def make() -> Any:
        if next(failures):
            raise ValueError("not yet")
        return spec.factory()

    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor([type(spec)("a", make)], backoff=EVEN, **OFTEN))
        clock.advance(100.0)
        watch = Watch(team, clock, system)
        assert await watch.crash() == 1.0 + 2.0 + 4.0
        assert await watch.crash() == 8.0


async def test_a_child_that_keeps_dying_does_not_slow_the_restart_of_another() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor(team.specs("ab"), backoff=EVEN, **OFTEN))
        watch = Watch(team, clock, system)
        assert [await watch.crash("a") for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
        await crash(child(system, "a"))  # down for 16 s
        assert [await watch.crash("b") for _ in range(2)] == [1.0, 2.0]
        assert team.starts["a"] == 5


async def test_in_rest_for_one_the_wait_of_a_later_child_does_not_slow_the_restart_of_an_earlier_one() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor(team.specs("abc"), strategy="rest_for_one", backoff=EVEN, **OFTEN))
        watch = Watch(team, clock, system)
        assert [await watch.crash("b") for _ in range(3)] == [1.0, 2.0, 4.0]
        await crash(child(system, "b"))  # down for 8 s
        assert await watch.crash("a") == 1.0
        assert team.starts == {"a": 2, "b": 4, "c": 4}
        clock.advance(7.0)
        await anyio.wait_all_tasks_blocked()
        assert team.starts == {"a": 2, "b": 5, "c": 5}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_waits_for_the_back_off_of_the_child_that_died(strategy: Strategy) -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor(team.specs("ab"), strategy=strategy, backoff=EVEN, **OFTEN))
        await crash(child(system, "a"))
        assert team.events[2:] == ["-a", "-b"]
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        assert team.events[4:] == ["+a", "+b"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_child_waiting_for_its_back_off_can_be_stopped(strategy: Strategy) -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab"), strategy=strategy, backoff=EVEN))
        ref = child(system, "a")
        await crash(ref)
        await supervisor.ask(StopChild("a"))
        assert isinstance(await ref.stopped(), Crashed)
        clock.advance(1.0)
        assert await child(system, "b").ask("b goes on without it") == ["b goes on without it"]
        assert team.starts["a"] == 1


async def test_a_supervisor_that_ends_during_a_back_off_leaves_no_child_undead() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), backoff=EVEN))
        ref = child(system, "a")
        await crash(ref)
        supervisor.stop()
        assert await supervisor.stopped() == Normal()
        assert isinstance(ref.exit_reason, Crashed)
        assert system.actors() == []
