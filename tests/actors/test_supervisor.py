"""What a supervisor's children live through: who returns after which end, and what of it a restart keeps."""

from __future__ import annotations

from typing import Any, Literal, get_args

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising
from tests.actors.team import Team, child, crash, hold_up

from actwright_actors import (
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    ExitReason,
    Killed,
    Normal,
    RestartType,
    Shutdown,
    StartChild,
    StartFailed,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio

# -- who returns -------------------------------------------------------------------------------------------------------

REASONS: tuple[type[ExitReason], ...] = (Normal, Shutdown, Killed, Crashed, StartFailed)
RETURNS: dict[RestartType, set[type[ExitReason]]] = {
    "permanent": set(REASONS),
    "transient": {Killed, Crashed, StartFailed},
    "temporary": set(),
}


async def bring_about(reason: type[ExitReason], team: Team, system: ActorSystem, ref: ActorRef[Any]) -> None:
    """End the child in that way; it is a member of the team."""
    if reason is Normal:
        ref.stop()
    elif reason is Killed:
        ref.kill()
    elif reason is Shutdown:  # by itself: it goes with a partner whom another supervisor stops
        other = await system.spawn(Supervisor())
        partner = await other.ask(StartChild(ChildSpec("partner", Worker)))
        team.members[ref.name].context.link(partner)
        await other.ask(StopChild("partner"))
    else:
        await crash(ref)
    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
@pytest.mark.parametrize("restart", get_args(RestartType))
async def test_who_is_restarted_after_which_end(restart: RestartType, reason: type[ExitReason]) -> None:
    team = Team()
    returns = reason in RETURNS[restart]
    fails_at = 0
    if reason is StartFailed:  # one that is never started again can only fail at first
        fails_at = 2 if returns else 1
        team.fail_start("a", fails_at, ValueError("no start"))
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(intensity=2))
        supervisor.tell(StartChild(team.spec("a", restart=restart)))
        await anyio.wait_all_tasks_blocked()
        if fails_at != 1:
            ref = child(system, "a")
            await bring_about(reason, team, system, ref)
            assert isinstance(team.ends[0], Crashed if reason is StartFailed else reason)
            assert ref.is_alive == returns
        assert (system.lookup("a") is not None) == returns
        assert team.starts["a"] == max(fails_at, 1) + returns
        assert supervisor.is_alive


# -- what a restart keeps ----------------------------------------------------------------------------------------------


async def test_a_restart_keeps_reference_name_and_mail_but_not_the_message_it_crashed_on() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("a")))
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


async def test_what_was_stashed_comes_first_after_a_restart() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("a")))
        ref = child(system, "a")

        async def stash_at_first() -> None:
            if team.starts["a"] == 1:
                team.members["a"].context.stash()

        ref.tell(stash_at_first)
        ref.tell(raising(ValueError("boom")))
        ref.tell("later")
        assert await ref.ask("asked") == [stash_at_first, "later", "asked"]


async def test_a_stop_meant_for_one_incarnation_does_not_end_the_next() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("a")))
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
        supervisor = await system.spawn(Supervisor(team.specs("a")))
        probe, ref = await Probe.start(system), child(system, "a")
        ref.monitor(probe.ref)
        await crash(ref)
        await probe.expect_none()
        supervisor.stop()
        assert await probe.expect_down(ref) == Shutdown()
        await probe.expect_none()


# -- children that do not end ------------------------------------------------------------------------------------------


class Deaf(Hold):
    """Waits under a shield, so that no cancellation reaches it."""

    async def __call__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await super().__call__()


async def test_a_stubborn_child_is_killed_at_its_timeout_and_given_up_at_the_next() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor([team.spec("a", stop_timeout=3.0)]))
        ref = child(system, "a")
        ref.tell(deaf)
        await deaf.entered.wait()
        await supervisor.ask(StopChild("a"))
        await anyio.wait_all_tasks_blocked()
        clock.advance(5.9)
        await anyio.wait_all_tasks_blocked()
        assert (ref.is_alive, system.abandoned) == (True, 0)
        clock.advance(0.1)
        assert await ref.stopped() == Killed()
        assert (system.lookup("a"), system.abandoned) == (None, 1)
        deaf.release.set()


async def test_a_child_that_was_given_up_is_restarted_and_what_is_left_of_it_touches_nothing() -> None:
    team, clock, deaf = Team(), ManualClock(), Deaf()
    outcomes: list[Any] = []
    async with open_system(clock=clock) as system, anyio.create_task_group() as group:
        await system.spawn(Supervisor([team.spec("a", stop_timeout=3.0)]))
        ref = child(system, "a")

        async def ask() -> None:
            try:
                outcomes.append(await ref.ask(deaf, timeout=100.0))
            except ActorDead as error:
                outcomes.append(error.reason)

        group.start_soon(ask)
        await deaf.entered.wait()
        zombie = team.members["a"]
        ref.tell("waits")
        ref.kill()
        clock.advance(3.0)
        assert await ref.ask("answered by the next") == ["waits", "answered by the next"]
        assert child(system, "a") is ref
        assert outcomes == [Killed()]
        ref.tell("not for the zombie")
        deaf.release.set()
        await anyio.wait_all_tasks_blocked()
        assert zombie.seen == [deaf]
        assert await ref.ask("still there") == ["waits", "answered by the next", "not for the zombie", "still there"]
        assert (team.starts, system.abandoned, len(outcomes)) == ({"a": 2}, 0, 1)


# -- while the supervisor goes on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["start", "stop"])
async def test_a_supervisor_answers_while_a_child_takes_long(slow: Literal["start", "stop"]) -> None:
    team = Team()
    hold = team.hold_start("a", 2) if slow == "start" else team.hold_stop("a")
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("a")))
        await crash(child(system, "a"))
        await hold.entered.wait()
        added = await supervisor.ask(StartChild(team.spec("b")))
        assert await added.ask("b lives") == ["b lives"]
        hold.release.set()
        assert await child(system, "a").ask("a lives") == ["a lives"]


async def test_one_for_one_restarts_a_child_while_another_takes_long_to_stop() -> None:
    team = Team()
    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(Supervisor(team.specs("ab")))
        slow = child(system, "b")
        hold = await hold_up(slow)
        await supervisor.ask(StopChild("b"))
        await crash(child(system, "a"))
        assert await child(system, "a").ask("back") == ["back"]
        assert slow.is_alive
        hold.release.set()
        assert await slow.stopped() == Shutdown()


async def test_mail_for_a_child_that_drained_waits_for_the_next_incarnation() -> None:
    team = Team()
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("a")))
        hold = team.hold_start("a", 2)
        ref = child(system, "a")
        ref.drain()
        await hold.entered.wait()
        ref.tell("waits")
        hold.release.set()
        assert await ref.ask("now") == ["waits", "now"]
