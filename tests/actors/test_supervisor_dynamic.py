"""Many children that come and go, and are stopped at once."""

from __future__ import annotations

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
    Supervisor,
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


class Unseen(dict[str, Any]):
    """A supervisor's children, where going through all of them fails."""

    def _refuse(self) -> Any:
        raise AssertionError("looked at all children")
        yield

    __iter__ = items = keys = values = _refuse


@pytest.mark.parametrize("make", [DynamicSupervisor, Supervisor])
async def test_what_concerns_one_child_costs_no_look_at_the_others(
    make: type[Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_system() as system:
        actor = make(intensity=10)
        supervisor = await system.spawn(actor)
        for name in ("crashes", "ends", "is stopped"):
            await supervisor.ask(StartChild(ChildSpec(name, Worker, "transient")))
        crashes, ends, is_stopped = system.actors()[-3:]
        with monkeypatch.context() as patch:
            patch.setattr(actor, "_children", Unseen(vars(actor)["_children"]))
            crashes.kill()
            await ends.stop_and_wait()
            await supervisor.ask(StopChild("is stopped"))
            await is_stopped.stopped()
            new = await supervisor.ask(StartChild(ChildSpec("new", Worker)))
            assert await crashes.ask("restarted") == "restarted"
            await supervisor.ask(StopChild("crashes"))
            await supervisor.ask(StopChild("new"))
            await crashes.stopped()
            await new.stopped()
        vars(actor)["_children"].clear()  # the real one, which missed all that
