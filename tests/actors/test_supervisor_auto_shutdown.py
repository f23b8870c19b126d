"""When a supervisor ends by itself because significant children have."""

from __future__ import annotations

from typing import Any, Literal

import anyio
import pytest
from tests.actors.helpers import open_system
from tests.actors.team import Busy, Team, child, crash, hold_up

from actwright_actors import Backoff, ChildSpec, RestartType, Shutdown, StartChild, StopChild, Supervisor
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

TRANSIENT: dict[str, Any] = {"restart": "transient", "significant": True}
TEMPORARY: dict[str, Any] = {"restart": "temporary", "significant": True}


@pytest.mark.parametrize(
    ("restart", "end", "ends"),
    [
        ("transient", "stop", True),
        ("transient", "kill", False),
        ("temporary", "stop", True),
        ("temporary", "kill", True),
    ],
)
async def test_any_significant_child_that_ends_and_is_not_restarted_ends_its_supervisor(
    restart: RestartType, end: Literal["stop", "kill"], ends: bool
) -> None:
    team = Team()
    specs = [team.spec("a"), team.spec("b", restart=restart, significant=True), team.spec("c")]
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(specs, auto_shutdown="any_significant"))
        getattr(child(system, "b"), end)()
        await anyio.wait_all_tasks_blocked()
        assert supervisor.exit_reason == (Shutdown() if ends else None)
        assert team.events[3:] == (["-b", "-c", "-a"] if ends else ["-b", "+b"])


async def test_the_end_of_a_child_that_is_not_significant_ends_nobody_else() -> None:
    team = Team()
    specs = [team.spec("a", **TRANSIENT), team.spec("b", restart="transient")]
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(specs, auto_shutdown="any_significant"))
        child(system, "b").stop()
        await anyio.wait_all_tasks_blocked()
        assert system.lookup("b") is None
        assert supervisor.is_alive


async def test_with_all_significant_the_last_one_to_end_ends_the_supervisor() -> None:
    team = Team()
    specs = [team.spec("a"), team.spec("b", **TRANSIENT), team.spec("c", **TEMPORARY)]
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(specs, auto_shutdown="all_significant"))
        await supervisor.ask(StartChild(team.spec("d", **TEMPORARY)))
        await crash(child(system, "c"))
        child(system, "b").stop()
        await anyio.wait_all_tasks_blocked()
        assert supervisor.is_alive
        child(system, "d").stop()
        assert await supervisor.stopped() == Shutdown()
        assert team.events[4:] == ["-c", "-b", "-d", "-a"]


async def test_a_significant_child_that_waits_for_its_restart_has_not_ended() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(
            Supervisor(team.specs("ab", **TRANSIENT), auto_shutdown="all_significant", backoff=Backoff(initial=1.0))
        )
        await crash(child(system, "a"))
        child(system, "b").stop()
        await anyio.wait_all_tasks_blocked()
        assert supervisor.is_alive


async def test_stopping_a_significant_child_for_good_ends_nobody_but_then_it_is_not_waited_for() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab", **TRANSIENT), auto_shutdown="all_significant"))
        hold = await hold_up(child(system, "a"))
        a = await supervisor.ask(StopChild("a"))
        hold.release.set()
        await a.stopped()
        await anyio.wait_all_tasks_blocked()
        assert supervisor.is_alive
        child(system, "b").stop()
        assert await supervisor.stopped() == Shutdown()


async def test_a_significant_child_that_is_being_stopped_for_good_is_not_waited_for() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab", **TRANSIENT), auto_shutdown="all_significant"))
        hold = await hold_up(child(system, "a"))
        await supervisor.ask(StopChild("a"))
        child(system, "b").stop()
        await anyio.wait_all_tasks_blocked()
        assert supervisor.status == "stopping"
        hold.release.set()
        assert await supervisor.stopped() == Shutdown()


@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
async def test_a_temporary_sibling_that_a_restart_took_down_has_not_ended_by_itself(mode: Any) -> None:
    team = Team()
    specs = [team.spec("a", **TEMPORARY), team.spec("b"), team.spec("c", **TRANSIENT)]
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(specs, strategy="one_for_all", auto_shutdown=mode))
        await crash(child(system, "b"))
        assert team.events[3:] == ["-b", "-c", "-a", "+b", "+c"]
        assert supervisor.is_alive
        child(system, "c").stop()
        assert await supervisor.stopped() == Shutdown()


async def test_an_added_significant_child_that_does_not_start_ends_nobody() -> None:
    team = Team()
    team.fail_start("a", 1, ValueError("no start"))
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(auto_shutdown="any_significant"))
        with pytest.raises(ValueError, match="no start"):
            await supervisor.ask(StartChild(team.spec("a", **TEMPORARY)))
        assert supervisor.is_alive


async def test_a_supervisor_that_never_shuts_down_by_itself_refuses_a_significant_child() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor())
        with pytest.raises(ValueError, match="Child 'a' is significant, and its supervisor never shuts down by itself"):
            await supervisor.ask(StartChild(team.spec("a", **TEMPORARY)))
        assert supervisor.is_alive
        assert team.starts == {}


async def test_a_supervisor_that_ends_by_itself_restarts_nobody_any_more() -> None:
    team = Team()
    specs = [team.spec("a", **TRANSIENT), team.spec("b")]
    async with open_system() as system:
        supervisor = await system.spawn(Busy(specs, auto_shutdown="any_significant", intensity=0))
        hold = await hold_up(supervisor)
        for name in "ab":
            child(system, name).stop()
            await anyio.wait_all_tasks_blocked()
        hold.release.set()
        assert await supervisor.stopped() == Shutdown()  # and has not given up for the death of `b`
        assert team.starts == {"a": 1, "b": 1}


@pytest.mark.parametrize(("restart", "starts"), [("transient", 1), ("permanent", 2)])
async def test_a_supervisor_that_ended_by_itself_is_restarted_as_any_child_that_was_shut_down(
    restart: RestartType, starts: int
) -> None:
    team = Team()
    inner = ChildSpec(
        "inner", lambda: Supervisor(team.specs("a", **TRANSIENT), auto_shutdown="any_significant"), restart
    )
    async with open_system() as system:
        await system.spawn(Supervisor([inner]))
        child(system, "a").stop()
        await anyio.wait_all_tasks_blocked()
        assert team.starts["a"] == starts
        assert (system.lookup("inner") is not None) == (starts == 2)
