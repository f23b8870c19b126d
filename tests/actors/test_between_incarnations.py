"""What is asked of an actor while its supervisor has yet to start it again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import anyio
import pytest
from tests.actors.helpers import open_system
from tests.actors.team import Member, Team, child, crash, hold_up

from actwright_actors import (
    ActorRef,
    Backoff,
    ChildSpec,
    Crashed,
    DeadlockDetected,
    ExitReason,
    Killed,
    Normal,
    RestartIntensityExceeded,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

Wait = Callable[[], Coroutine[Any, Any, object]]
How = Literal["stop_and_wait", "drain_and_wait", "kill_and_wait"]
HOWS: list[How] = ["stop_and_wait", "drain_and_wait", "kill_and_wait"]
ENDS: list[tuple[How, ExitReason]] = [
    ("stop_and_wait", Normal()), ("drain_and_wait", Normal()), ("kill_and_wait", Killed()),
]  # fmt: skip
SECOND = Backoff(initial=1.0, factor=1.0, jitter=0.0)


class Obliging(Supervisor):
    """Calls what it is told."""

    async def handle(self, message: Any) -> Any:
        return await (cast("Wait", message)() if callable(message) else super().handle(message))


class Pause:
    """A child that has crashed, and is not to be started again before the clock moves."""

    def __init__(self, **options: Any) -> None:
        self.team, self.clock = Team(), ManualClock()
        self.top: ActorRef[Any]
        self.child: ActorRef[Any]
        self.reasons: list[ExitReason] = []
        self._options = options

    @asynccontextmanager
    async def opened(self, *, is_gone: bool = False) -> AsyncGenerator[Pause]:
        async with open_system(clock=self.clock) as system:
            top = Obliging(self.team.specs("a", **self._options), backoff=SECOND, intensity=2)
            self.top = await system.spawn(top, name="top")
            self.child = child(system, "a")
            await crash(self.child)
            assert self.child.status == ("dead" if is_gone else "restarting")
            async with anyio.create_task_group() as self.group:
                yield self

    async def request(self, how: How) -> None:
        """Wait for its end in a task of its own."""

        async def wait() -> None:
            self.reasons.append(await getattr(self.child, how)())

        self.group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()

    async def back_off_is_over(self) -> None:
        self.clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize(("how", "reason"), ENDS)
async def test_a_request_between_two_incarnations_is_for_the_next_and_its_end_is_waited_for(
    how: How, reason: ExitReason
) -> None:
    async with Pause().opened() as pause:
        await pause.request(how)
        assert pause.reasons == []  # why it ended before is no answer
        await pause.back_off_is_over()
        assert pause.reasons == [reason]
        assert pause.child.status == "restarting"  # a permanent child, and one more death
        await pause.back_off_is_over()
        assert await pause.child.ask("are you back?") == ["are you back?"]


async def test_what_was_killed_between_two_incarnations_never_comes_to_its_on_start() -> None:
    async with Pause().opened() as pause:
        await pause.request("kill_and_wait")
        pause.child.kill()  # twice is as good as once
        await pause.back_off_is_over()
        assert (pause.team.starts["a"], pause.team.events) == (1, ["+a", "-a"])
        await pause.back_off_is_over()
        assert (pause.team.starts["a"], pause.child.status) == (2, "running")


async def test_a_kill_between_two_incarnations_counts_for_the_intensity() -> None:
    async with Pause().opened() as pause:
        for _ in range(2):
            await pause.request("kill_and_wait")
            await pause.back_off_is_over()
        assert pause.reasons == [Killed(), Killed()]
        match await pause.top.stopped():
            case Crashed(RestartIntensityExceeded()):
                pass
            case reason:
                pytest.fail(f"{reason}")


@pytest.mark.parametrize("how", HOWS)
async def test_who_waits_for_a_life_that_never_comes_is_told_the_reason_of_the_death(how: How) -> None:
    async with Pause().opened() as pause:
        await pause.request(how)
        assert await pause.top.ask(StopChild("a")) is pause.child
        await pause.child.stopped()
        await anyio.wait_all_tasks_blocked()
        assert pause.reasons == [pause.child.exit_reason]
        assert isinstance(pause.reasons[0], Crashed)


@pytest.mark.parametrize("how", HOWS)
async def test_the_end_of_the_supervisor_ends_the_wait(how: How) -> None:
    async with Pause().opened() as pause:
        await pause.request(how)
        assert await pause.top.stop_and_wait() == Normal()
        await anyio.wait_all_tasks_blocked()
        assert pause.reasons == [pause.child.exit_reason]


@pytest.mark.parametrize("how", HOWS)
async def test_a_request_before_its_end_is_decided_upon_is_for_the_next_life_too(
    how: How,
) -> None:
    async with Pause().opened() as pause:
        await pause.back_off_is_over()
        hold = await hold_up(pause.top)
        pause.child.stop()
        await anyio.wait_all_tasks_blocked()
        assert pause.child.status == "restarting"  # the supervisor has not heard of it
        await pause.request(how)
        assert pause.reasons == []
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        await pause.back_off_is_over()
        assert pause.reasons == [Killed() if how == "kill_and_wait" else Normal()]


@pytest.mark.parametrize("how", HOWS)
async def test_a_temporary_child_whose_end_is_not_decided_upon_yet_answers_with_that_end(how: How) -> None:
    team = Team()
    async with open_system() as system:
        top = await system.spawn(Obliging(team.specs("a", restart="temporary")))
        ref = child(system, "a")
        hold = await hold_up(top)
        await crash(ref)
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                assert await getattr(ref, how)() == ref.exit_reason

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert ref.is_alive
            hold.release.set()
        assert isinstance(await getattr(ref, how)(), Crashed)  # and so does the dead


async def test_a_factory_that_fails_ends_no_wait_and_takes_no_request_back() -> None:
    team, clock, failures = Team(), ManualClock(), [ValueError("no connection")]

    def make() -> Member:
        if team.starts and failures:
            raise failures.pop()
        return Member(team, "a")

    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor([ChildSpec("a", make)], backoff=SECOND, intensity=3))
        ref = child(system, "a")
        await crash(ref)
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                assert await ref.kill_and_wait() == Killed()

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            for start in ("fails", "is killed"):
                assert ref.status == "restarting", start
                clock.advance(1.0)
                await anyio.wait_all_tasks_blocked()
        assert (failures, team.starts["a"]) == ([], 1)


@pytest.mark.parametrize("leaves_by", ["cancellation", "timeout"])
async def test_the_request_stands_though_whoever_made_it_waits_no_longer(leaves_by: str) -> None:
    async with Pause().opened() as pause, anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(TimeoutError, match=r"within 0\.5 s; it is restarting"):
                await pause.child.kill_and_wait(timeout=0.5)

        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        if leaves_by == "timeout":
            pause.clock.advance(0.5)
            await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await pause.back_off_is_over()
        assert (pause.team.starts["a"], pause.child.status) == (1, "restarting")


async def test_a_drain_between_two_incarnations_has_the_next_handle_what_waits() -> None:
    async with Pause(restart="transient").opened() as pause:
        pause.child.tell("waits")
        await pause.request("drain_and_wait")
        await pause.back_off_is_over()
        assert pause.reasons == [pause.child.exit_reason] == [Normal()]
        assert pause.team.members["a"].seen == ["waits"]


# -- what only the supervisor can end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [*HOWS, "ask"])
async def test_a_supervisor_that_waits_for_the_child_that_it_must_start_is_told_so(call: str) -> None:
    async with Pause().opened() as pause:
        wait = getattr(pause.child, call)

        async def try_it() -> None:
            with pytest.raises(DeadlockDetected) as caught:
                await (wait("a question") if call == "ask" else wait())
            assert [*caught.value.cycle] == [pause.top, pause.child, pause.top]

        await pause.top.ask(try_it)
        assert pause.top.is_alive
        await pause.back_off_is_over()
        assert pause.child.status == "running"  # what was refused was not asked for


async def test_a_start_that_waits_for_a_sibling_that_crashed_before_is_told_so() -> None:
    team, caught = Team(), list[DeadlockDetected]()

    async def wait_for_sibling(name: str, nth: int) -> None:
        if name == "b":
            sibling = team.members["a"].context.ref
            await crash(sibling)
            try:
                await sibling.stop_and_wait()
            except DeadlockDetected as error:
                caught.append(error)

    team.before_start = wait_for_sibling
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("ab")), name="top")
        assert [ref.name for ref in caught[0].cycle] == ["b", "a", "top", "b"]
        assert await child(system, "a").ask("are you back?") == ["are you back?"]


async def test_the_tree_says_for_whom_a_child_waits_that_is_down() -> None:
    async with Pause().opened() as pause:
        (top,) = pause.team.members["a"].context.system.tree().actors
        assert [(one.status, one.waits_for) for one in top.children] == [("restarting", "top")]


# -- after the last one ------------------------------------------------------------------------------------------------


async def test_what_is_asked_of_the_dead_changes_nothing_and_their_reason_is_the_answer() -> None:
    async with Pause(restart="temporary").opened(is_gone=True) as pause:
        for ask in (pause.child.stop, pause.child.drain, pause.child.kill):
            ask()
        for how in HOWS:
            assert await getattr(pause.child, how)() is pause.child.exit_reason
        assert pause.team.starts["a"] == 1
