"""In which order a supervisor starts and stops its children, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, open_system
from tests.actors.team import Busy, Team, child, crash, hold_up

from actwright_actors import (
    ActorRef,
    ChildSpec,
    Crashed,
    Killed,
    Normal,
    Shutdown,
    StartChild,
    StopChild,
    Strategy,
    Supervisor,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

each_strategy = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])


# -- at the beginning and at the end -----------------------------------------------------------------------------------


@each_strategy
async def test_children_start_in_order_and_stop_in_reverse_order(strategy: Strategy) -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab"), strategy=strategy))
        await supervisor.ask(StartChild(team.spec("c")))
        assert team.events == ["+a", "+b", "+c"]
    assert team.events == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_each_child_stops_only_once_the_one_before_it_is_gone() -> None:
    team = Team()
    hold = team.hold_stop("b")
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc")))
        supervisor.stop()
        await hold.entered.wait()
        await anyio.wait_all_tasks_blocked()
        assert team.events[3:] == ["-c", "-b"]
        hold.release.set()
        await supervisor.stopped()
        assert team.events[3:] == ["-c", "-b", "-a"]


async def interfere(team: Team, hold: Hold, cancel: Callable[[], object]) -> None:
    """Cancel twice while the child at `hold` holds up the stop, and see that this changes nothing."""
    await hold.entered.wait()
    for _ in range(2):
        cancel()
        await anyio.wait_all_tasks_blocked()
    assert team.events[3:] == ["-c", "-b"]
    hold.release.set()


@each_strategy
async def test_a_cancellation_of_who_leaves_the_system_does_not_change_the_order_of_stops(strategy: Strategy) -> None:
    team = Team()
    hold = team.hold_stop("b")
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(interfere, team, hold, scope.cancel)
        with scope:
            async with open_system() as system:
                await system.spawn(Supervisor(team.specs("abc"), strategy=strategy))
    assert team.events[3:] == ["-c", "-b", "-a"]
    assert [type(reason) for reason in team.ends] == [Shutdown] * 3


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_a_native_cancellation_of_who_leaves_the_system_does_not_change_the_order_of_stops() -> None:
    team = Team()
    hold = team.hold_stop("b")

    async def leave() -> None:
        async with open_system() as system:
            await system.spawn(Supervisor(team.specs("abc")))

    task = asyncio.create_task(leave())
    await interfere(team, hold, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert team.events[3:] == ["-c", "-b", "-a"]
    assert [type(reason) for reason in team.ends] == [Shutdown] * 3


# -- a restart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "events"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("one_for_all", ["-b", "-d", "-c", "-a", "+a", "+b", "+c", "+d"]),
        ("rest_for_one", ["-b", "-d", "-c", "+b", "+c", "+d"]),
    ],
)
async def test_who_goes_down_and_returns_with_a_child_and_in_which_order(strategy: Strategy, events: list[str]) -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("abcd"), strategy=strategy))
        await crash(child(system, "b"))
        assert team.events[4:] == events


async def test_in_a_restart_each_child_waits_for_the_stop_or_start_of_the_one_before_it() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("abc"), strategy="one_for_all"))
        stopping, starting = team.hold_stop("b"), team.hold_start("b", 2)
        await crash(child(system, "a"))
        assert team.events[3:] == ["-a", "-c", "-b"]
        stopping.release.set()
        await starting.entered.wait()
        await anyio.wait_all_tasks_blocked()
        assert team.events[6:] == ["+a"]
        starting.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.events[6:] == ["+a", "+b", "+c"]


async def test_a_temporary_sibling_goes_with_the_group_and_does_not_return() -> None:
    team = Team()
    children = [team.spec("a", restart="temporary"), team.spec("b")]
    async with open_system() as system:
        await system.spawn(Supervisor(children, strategy="one_for_all"))
        a = child(system, "a")
        await crash(child(system, "b"))
        assert team.events == ["+a", "+b", "-b", "-a", "+b"]
        assert a.exit_reason == Shutdown()


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_transient_child_that_ended_normally_is_gone_and_no_siblings_death_brings_it_back(
    strategy: Strategy,
) -> None:
    """OTP keeps its spec, and would start it again."""
    team = Team()
    specs = [team.spec("a"), team.spec("b", restart="transient"), team.spec("c")]
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(specs, strategy=strategy))
        done = child(system, "b")
        assert await done.stop_and_wait() == await done.stopped() == Normal()
        await crash(child(system, "a"))
        assert team.events[3:] == ["-b", "-a", "-c", "+a", "+c"]
        assert system.lookup("b") is None
        assert (await supervisor.ask(StartChild(team.spec("b")))).name == "b"  # the name is free


async def test_a_child_that_does_not_stop_in_time_is_killed_when_its_group_restarts() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        children = [team.spec("a"), team.spec("b", stop_timeout=3.0)]
        await system.spawn(Supervisor(children, strategy="one_for_all"))
        hold = await hold_up(child(system, "b"))
        await crash(child(system, "a"))
        assert team.events == ["+a", "+b", "-a"]
        clock.advance(3.0)
        await anyio.wait_all_tasks_blocked()
        assert hold.was_cancelled
        assert team.events == ["+a", "+b", "-a", "-b", "+a", "+b"]


# -- a second death in the middle of a restart -------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_death_among_those_that_are_up_begins_the_restart_anew(strategy: Strategy) -> None:
    """`b` died and is starting again, slowly, when `a` dies."""
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("abc"), strategy=strategy, intensity=2))
        hold = team.hold_start("b", 2)
        await crash(child(system, "b"))
        await hold.entered.wait()
        seen = len(team.events)
        await crash(child(system, "a"))
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.events[seen:] == ["-a", "+b", "-b", "+a", "+b", "+c"]


async def test_a_death_among_those_that_wait_to_be_stopped_is_no_further_one() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc"), strategy="one_for_all", intensity=1))
        hold = await hold_up(child(system, "c"))
        await crash(child(system, "a"))
        await crash(child(system, "b"))
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.events[3:] == ["-a", "-b", "-c", "+a", "+b", "+c"]
        assert supervisor.is_alive


async def test_a_child_that_dies_as_its_turn_to_stop_comes_is_started_once() -> None:
    """Its supervisor hears that the one before it has stopped, and only then of this death."""
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Busy(team.specs("abc"), strategy="one_for_all", intensity=1))
        stopping = await hold_up(child(system, "c"))
        await crash(child(system, "a"))
        listening = await hold_up(supervisor)
        stopping.release.set()
        await anyio.wait_all_tasks_blocked()
        await crash(child(system, "b"))
        listening.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.starts == {"a": 2, "b": 2, "c": 2}
        assert team.events[6:] == ["+a", "+b", "+c"]


async def test_a_failed_start_in_a_group_restart_begins_again_with_those_that_are_up() -> None:
    team = Team()
    team.fail_start("b", 2, ValueError("not yet"))
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("abc"), strategy="one_for_all", intensity=2))
        await crash(child(system, "b"))
        assert team.events[3:] == ["-b", "-c", "-a", "+a", "-a", "+a", "+b", "+c"]


async def test_a_child_that_was_added_in_the_middle_of_a_restart_does_not_disturb_its_order() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab"), strategy="rest_for_one", intensity=2))
        hold = team.hold_start("a", 2)
        await crash(child(system, "a"))
        await hold.entered.wait()
        await crash(await supervisor.ask(StartChild(team.spec("c"))))
        assert team.events[2:] == ["-a", "-b", "+c", "-c"]
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.events[6:] == ["+a", "+b", "+c"]


async def test_a_child_that_is_stopped_for_good_in_the_middle_of_a_restart_holds_up_nobody() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc"), strategy="one_for_all"))
        hold = await hold_up(child(system, "c"))
        await crash(child(system, "b"))
        b = await supervisor.ask(StopChild("b"))
        assert isinstance(await b.stopped(), Crashed)
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert team.events[3:] == ["-b", "-c", "-a", "+a", "+c"]


# -- the end of the supervisor -----------------------------------------------------------------------------------------


class Fragile(Supervisor):
    async def handle(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("the supervisor itself")
        return await super().handle(message)


async def test_a_supervisor_that_crashes_itself_stops_its_children_in_order() -> None:
    team = Team()
    async with open_system() as system:
        supervisor: ActorRef[Any] = await system.spawn(Fragile(team.specs("abc")))
        supervisor.tell("crash")
        assert isinstance(await supervisor.stopped(), Crashed)
        assert team.events[3:] == ["-c", "-b", "-a"]
        assert [type(reason) for reason in team.ends] == [Shutdown] * 3


async def test_a_supervisor_that_is_killed_stops_its_children_in_order() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("abc")))
        supervisor.kill()
        assert await supervisor.stopped() == Killed()
        assert team.events[3:] == ["-c", "-b", "-a"]
        assert [type(reason) for reason in team.ends] == [Shutdown] * 3


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_supervisor_that_ends_in_the_middle_of_a_restart_stops_those_that_are_up_in_order(end: str) -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("abcd"), strategy="rest_for_one"))
        hold = team.hold_start("c", 2)
        await crash(child(system, "b"))
        await hold.entered.wait()
        seen = len(team.events)
        getattr(supervisor, end)()
        hold.release.set()
        await supervisor.stopped()
        assert team.events[seen:] == ["+c", "-c", "-b", "-a"]
        assert system.actors() == []


async def test_nested_supervisors_stop_from_the_leaves_in_reverse_order() -> None:
    team = Team()
    inner = ChildSpec("inner", lambda: Supervisor(team.specs("bc")))
    async with open_system() as system:
        await system.spawn(Supervisor([team.spec("a"), inner, team.spec("d")]))
    assert team.events == ["+a", "+b", "+c", "+d", "-d", "-c", "-b", "-a"]
