"""What a supervisor's children live through."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, open_system
from tests.actors.team import Member, Team, child, crash

from actwright_actors import (
    Actor,
    Backoff,
    ChildSpec,
    Crashed,
    RestartIntensityExceeded,
    Shutdown,
    StartChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


async def test_children_start_in_order_and_stop_in_reverse_order() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a"), team.spec("b"), team.spec("c")]))
        assert team.events == ["+a", "+b", "+c"]
    assert team.events == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_one_for_one_restarts_the_crashed_child_alone() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a"), team.spec("b")]))
        await crash(child(system, "a"))
        assert team.events == ["+a", "+b", "-a", "+a"]


async def test_one_for_all_restarts_everybody_in_order() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec(name) for name in "abc"], strategy="one_for_all"))
        await crash(child(system, "b"))
        assert team.events == ["+a", "+b", "+c", "-b", "-c", "-a", "+a", "+b", "+c"]


async def test_rest_for_one_restarts_those_that_came_later() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec(name) for name in "abc"], strategy="rest_for_one"))
        await crash(child(system, "b"))
        assert team.events == ["+a", "+b", "+c", "-b", "-c", "+b", "+c"]


async def test_a_temporary_sibling_goes_with_the_group_and_does_not_return() -> None:
    team = Team()
    children = [team.spec("a", restart="temporary"), team.spec("b")]
    async with open_system() as system:
        await system.spawn(Supervisor(children, strategy="one_for_all"))
        a = child(system, "a")
        await crash(child(system, "b"))
        assert team.events == ["+a", "+b", "-b", "-a", "+b"]
        assert a.exit_reason == Shutdown()


@pytest.mark.parametrize(
    ("restart", "how", "starts"),
    [
        ("permanent", "stop", 2),
        ("permanent", "kill", 2),
        ("permanent", "drain", 2),
        ("permanent", "crash", 2),
        ("transient", "stop", 1),
        ("transient", "kill", 2),
        ("transient", "crash", 2),
        ("temporary", "stop", 1),
        ("temporary", "kill", 1),
        ("temporary", "crash", 1),
    ],
)
async def test_who_is_restarted_after_which_end(restart: Any, how: str, starts: int) -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a", restart=restart)]))
        ref = child(system, "a")
        if how == "crash":
            await crash(ref)
        else:
            getattr(ref, how)()
            await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == starts
        assert ref.is_alive == (starts == 2)
        assert (system.lookup("a") is None) == (starts == 1)


async def test_a_restart_keeps_reference_name_and_mail_but_not_the_message_it_crashed_on() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a")]))
        ref, hold = child(system, "a"), Hold()

        async def crash_later() -> None:
            await hold()
            raise ValueError("boom")

        ref.tell(crash_later)
        await hold.entered.wait()
        ref.tell("kept")
        ref.signal("kept, and first")
        hold.release.set()
        assert await ref.ask("asked") == ["kept, and first", "kept", "asked"]
        assert child(system, "a") is ref
        assert system.dead_letters == 0


async def test_a_stop_meant_for_one_incarnation_does_not_end_the_next() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a")]))
        ref = child(system, "a")
        ref.stop()
        ref.stop()
        ref.drain()
        await anyio.wait_all_tasks_blocked()
        assert await ref.ask("accepts mail") == ["accepts mail"]
        assert team.starts == {"a": 2}


async def test_who_monitors_a_child_hears_down_only_when_it_is_gone_for_good() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([team.spec("a")]))
        probe, ref = await Probe.start(system), child(system, "a")
        ref.monitor(probe.ref)
        await crash(ref)
        await probe.expect_none()
        supervisor.stop()
        assert await probe.expect_down(ref) == Shutdown()
        await probe.expect_none()


async def test_too_many_deaths_stop_all_and_crash_the_supervisor() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a"), team.spec("b")], intensity=2, period=5.0))
        a, b = child(system, "a"), child(system, "b")
        for _ in range(3):
            await crash(a)
        reason = await supervisor.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RestartIntensityExceeded)
        assert "a crashed" in str(reason.error.__cause__)
        assert isinstance(a.exit_reason, Crashed)
        assert b.exit_reason == Shutdown()
        assert system.actors() == []


async def test_deaths_further_apart_than_the_period_do_not_add_up() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a")]))
        for _ in range(5):
            await crash(child(system, "a"))
            clock.advance(5.1)
        assert supervisor.is_alive
        assert team.starts["a"] == 6


async def test_a_supervisor_of_supervisors_restarts_the_one_that_gave_up() -> None:
    team = Team()
    async with open_system() as system:
        inner = ChildSpec("inner", lambda: Supervisor([team.spec("a")], intensity=0))
        await system.spawn(Supervisor([inner]))
        before = child(system, "a")
        await crash(before)
        assert not before.is_alive
        assert await child(system, "a").ask("hello") == ["hello"]
        assert team.starts["a"] == 2


async def test_a_back_off_delays_the_restart_and_mail_waits_for_it() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        backoff = Backoff(initial=1.0, factor=3.0, jitter=0.5)
        await system.spawn(Supervisor([team.spec("a")], intensity=5, period=100, backoff=backoff, chance=lambda: 0.2))
        ref = child(system, "a")
        await crash(ref)
        ref.tell("waits")
        assert ref.status == "restarting"
        clock.advance(1.09)
        await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == 1
        clock.advance(0.01)
        await anyio.wait_all_tasks_blocked()
        assert await ref.ask("now") == ["waits", "now"]
        await crash(ref)
        clock.advance(3.29)
        await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == 2
        clock.advance(0.02)
        await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == 3


async def test_a_back_off_of_one_child_holds_up_no_other() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        backoff = Backoff(initial=10.0, jitter=0.0)
        await system.spawn(Supervisor([team.spec("a"), team.spec("b")], intensity=9, period=1.0, backoff=backoff))
        await crash(child(system, "a"))
        clock.advance(5.0)
        await crash(child(system, "b"))
        clock.advance(5.0)
        await anyio.wait_all_tasks_blocked()
        assert team.starts == {"a": 2, "b": 1}
        clock.advance(5.0)
        await anyio.wait_all_tasks_blocked()
        assert team.starts == {"a": 2, "b": 2}


async def test_a_child_that_fails_at_first_fails_the_supervisors_start_and_leaves_none_behind() -> None:
    team = Team()

    async def fail(name: str, _: int) -> None:
        if name == "b":
            raise ValueError("cannot start")

    team.before_start = fail
    async with open_system() as system:
        with pytest.raises(ValueError, match="cannot start"):
            await system.spawn(Supervisor([team.spec("a"), team.spec("b"), team.spec("c")]))
        assert team.events == ["+a", "-a"]
        assert system.actors() == []


async def test_a_child_that_fails_to_start_again_counts_as_one_more_death() -> None:
    team = Team()

    async def fail_second(_: str, nth: int) -> None:
        if nth == 2:
            raise ValueError("not yet")

    team.before_start = fail_second
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([team.spec("a")], intensity=2))
        await crash(child(system, "a"))
        assert team.starts["a"] == 3
        assert supervisor.is_alive
        await crash(child(system, "a"))
        assert not supervisor.is_alive


async def test_a_factory_that_raises_counts_as_a_failed_start() -> None:
    made = 0

    def make() -> Actor[Any]:
        nonlocal made
        made += 1
        if made > 1:
            raise ValueError("out of actors")
        return Member(Team(), "a")

    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([ChildSpec("a", make)]))
        await crash(child(system, "a"))
        reason = await supervisor.stopped()
        assert isinstance(reason, Crashed)
        assert "out of actors" in str(reason.error.__cause__)


async def test_a_child_that_does_not_stop_in_time_is_killed_when_its_group_restarts() -> None:
    team, clock, hold = Team(), ManualClock(), Hold()
    async with open_system(clock=clock) as system:
        children = [team.spec("a"), team.spec("b", stop_timeout=3.0)]
        await system.spawn(Supervisor(children, strategy="one_for_all"))
        child(system, "b").tell(hold)
        await hold.entered.wait()
        await crash(child(system, "a"))
        assert team.events == ["+a", "+b", "-a"]
        clock.advance(3.0)
        await anyio.wait_all_tasks_blocked()
        assert hold.was_cancelled
        assert team.events == ["+a", "+b", "-a", "-b", "+a", "+b"]


async def test_a_supervisor_answers_while_a_child_takes_long_to_stop_or_start() -> None:
    team, hold = Team(), Hold()

    async def slow_second(name: str, nth: int) -> None:
        if name == "a" and nth == 2:
            await hold()

    team.before_start = slow_second
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([team.spec("a")]))
        await crash(child(system, "a"))
        await hold.entered.wait()
        added = await supervisor.ask(StartChild(team.spec("b")))
        assert await added.ask("b lives") == ["b lives"]
        hold.release.set()
        assert await child(system, "a").ask("a lives") == ["a lives"]


async def test_a_death_in_the_middle_of_a_group_restart_restarts_the_group_once_more() -> None:
    team, hold = Team(), Hold()

    async def slow(name: str, nth: int) -> None:
        if name == "b" and nth == 2:
            await hold()

    team.before_start = slow
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a"), team.spec("b")], strategy="one_for_all", intensity=5))
        await crash(child(system, "b"))
        await hold.entered.wait()
        await crash(child(system, "a"))
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert await child(system, "a").ask("a") == ["a"]
        assert await child(system, "b").ask("b") == ["b"]
        assert team.starts == {"a": 3, "b": 3}
        assert team.events[-2:] == ["+a", "+b"]
