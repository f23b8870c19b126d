"""An actor that a test drives by hand does as it would in a system, one callback at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    Actor,
    ActorDead,
    AlreadySpawned,
    Ask,
    Crashed,
    DeadLetterReason,
    DeadlockDetected,
    DeferredReply,
    Down,
    Killed,
    LinkBroken,
    Normal,
    Refusal,
    Shutdown,
    StartFailed,
    StateMachine,
)
from actwright_actors.testing import ActorHarness, ManualClock, Probe

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class HowMany(Ask[int]):
    pass


class Counter(Actor[HowMany | int]):
    total = 0

    async def handle(self, message: HowMany | int) -> int:
        self.total += message if isinstance(message, int) else 0
        return self.total


class Keeper(Worker):
    """A Worker that gives what it is told to a function, with itself."""

    async def handle(self, message: Any) -> Any:
        self.seen.append(message)
        return message(self) if callable(message) else message


async def keeper() -> tuple[ActorHarness[Any], Keeper]:
    actor = Keeper()
    return await ActorHarness(actor).start(), actor


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_the_test_calls_each_callback_itself_and_gets_typed_answers() -> None:
    harness = await ActorHarness(Counter()).start()
    await harness.tell(1)
    count: int = await harness.ask(HowMany())
    assert count == 1
    assert await harness.ask(2) == 3
    assert harness.ref.status == "running"
    await harness.stop()
    assert harness.exit_reason == Normal()


async def test_no_task_runs_for_it() -> None:
    worker, hold = Worker(), Hold()
    harness = await ActorHarness(worker).start()
    harness.ref.tell(hold)
    await anyio.wait_all_tasks_blocked()
    assert worker.seen == []
    assert harness.waiting == [hold]


async def test_what_it_tells_itself_waits_until_the_test_has_it_handled_signals_first() -> None:
    harness, actor = await keeper()

    def write(actor: Keeper) -> None:
        actor.context.ref.tell("user")
        actor.context.ref.tell("later")
        actor.context.ref.signal("system")

    await harness.tell(write)
    assert harness.waiting == ["system", "user", "later"]
    await harness.handle_next()
    assert actor.seen == [write, "system"]
    await harness.handle_all()
    assert actor.seen == [write, "system", "user", "later"]
    assert harness.waiting == []
    with pytest.raises(AssertionError, match="Nothing waits"):
        await harness.handle_next()


async def test_an_answer_may_be_deferred() -> None:
    harness, _ = await keeper()
    owed: list[DeferredReply[Any]] = []

    def defer(actor: Keeper) -> None:
        owed.append(actor.context.defer_reply())

    answer = await harness.ask_deferred(defer)
    assert not answer.done
    with pytest.raises(AssertionError, match="has not answered"):
        answer.result()
    owed[0].answer("at last")
    assert answer.done
    assert answer.result() == "at last"
    with pytest.raises(AssertionError, match="has not answered"):
        await harness.ask(defer)


async def test_a_refusal_is_raised_and_the_actor_lives_on() -> None:
    harness, _ = await keeper()
    with pytest.raises(ValueError, match="no"):
        await harness.ask(lambda _: Refusal(ValueError("no")))  # pyright: ignore[reportUnknownLambdaType]
    assert await harness.ask("still here") == "still here"


async def test_a_stashed_ask_is_answered_once_it_is_unstashed_and_handled() -> None:
    harness, _ = await keeper()
    first = True

    def stash_first(actor: Keeper) -> str | None:
        nonlocal first
        if first:
            first = False
            actor.context.stash()
            return None
        return "answer"

    def unstash(actor: Keeper) -> None:
        actor.context.unstash_all()

    answer = await harness.ask_deferred(stash_first)
    assert harness.stashed == [stash_first]
    await harness.tell(unstash)
    assert (harness.stashed, harness.waiting) == ([], [stash_first])
    await harness.handle_all()
    assert answer.result() == "answer"


async def test_several_messages_can_be_stashed_and_none_between_two_calls() -> None:
    harness, actor = await keeper()

    def stash(actor: Keeper) -> None:
        actor.context.stash()

    await harness.tell(stash)
    await harness.tell(stash)
    assert harness.stashed == [stash, stash]
    with pytest.raises(RuntimeError, match="it handles none"):
        actor.context.stash()


async def test_an_actor_that_asks_itself_is_told_of_the_deadlock() -> None:
    class Narcissus(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await self.context.ref.ask(message)

    harness = await ActorHarness(Narcissus()).start()
    with anyio.fail_after(5), pytest.raises(DeadlockDetected):
        await harness.tell("me")


async def test_an_actor_that_tells_itself_for_ever_can_be_timed_out() -> None:
    harness, _ = await keeper()

    def again(actor: Keeper) -> None:
        actor.context.ref.tell(again)

    harness.ref.tell(again)
    with anyio.move_on_after(0.01) as scope:
        await harness.handle_all()
    assert scope.cancelled_caught
    assert harness.exit_reason is None


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_timer_fires_when_the_test_moves_the_clock_and_is_handled_when_the_test_says_so() -> None:
    harness, actor = await keeper()
    actor.context.timers.start("key", "ring", 10.0)
    harness.clock.advance(9.0)
    assert harness.waiting == []
    harness.clock.advance(1.0)
    assert (actor.seen, harness.waiting) == ([], ["ring"])
    await harness.handle_all()
    assert actor.seen == ["ring"]


async def test_a_timer_cancelled_after_it_has_fired_delivers_nothing() -> None:
    harness, actor = await keeper()
    actor.context.timers.start("key", "ring", 1.0)
    harness.clock.advance(1.0)
    actor.context.timers.cancel("key")
    await harness.handle_all()
    assert actor.seen == []


async def test_two_actors_may_share_a_clock() -> None:
    clock = ManualClock(now=5.0)
    one, two = ActorHarness(Keeper(), clock=clock), ActorHarness(Keeper(), name="two", clock=clock)
    assert one.clock is two.clock is clock
    assert (one.ref.name, two.ref.name) == ("Keeper", "two")


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_an_exception_ends_the_actor_and_is_raised_as_it_is() -> None:
    error = ValueError("boom")
    worker = Worker()
    harness = await ActorHarness(worker).start()
    harness.ref.tell("unread")
    with pytest.raises(ValueError, match="boom") as caught:
        await harness.tell(raising(error))
    assert caught.value is error
    assert harness.exit_reason == Crashed(error)
    assert worker.stops == [Crashed(error)]
    assert [(letter.message, letter.reason) for letter in harness.dead_letters] == [
        ("unread", DeadLetterReason.UNHANDLED)
    ]
    with pytest.raises(ActorDead):
        await harness.tell("too late")
    assert worker.seen[1:] == []


async def test_what_on_start_raises_is_raised_and_on_stop_is_not_called() -> None:
    error = ValueError("boom")
    worker = Worker(on_start=raising(error))
    harness = ActorHarness(worker)
    with pytest.raises(ValueError, match="boom"):
        await harness.start()
    assert harness.exit_reason == StartFailed(error)
    assert worker.stops == []


async def test_what_on_stop_raises_is_raised() -> None:
    error = ValueError("boom")
    harness = await ActorHarness(Worker(on_stop=raising(error))).start()
    with pytest.raises(ValueError, match="boom"):
        await harness.stop(Shutdown())
    assert harness.exit_reason == Crashed(error)


async def test_an_actor_can_be_ended_with_any_reason() -> None:
    worker, reason = Worker(), Crashed(ValueError("made up"))
    harness = await ActorHarness(worker).start()
    await harness.stop(reason)
    assert worker.stops == [reason]
    with pytest.raises(ActorDead):
        await harness.stop()


@pytest.mark.parametrize(("request_end", "handles"), [("stop", []), ("drain", ["waits"])])
async def test_a_stop_or_a_drain_ends_it_when_the_test_has_it_handled(request_end: str, handles: list[str]) -> None:
    worker = Worker()
    harness = await ActorHarness(worker).start()
    harness.ref.tell("waits")
    getattr(harness.ref, request_end)()
    assert harness.waiting == ["waits"]
    assert harness.exit_reason is None
    await harness.handle_all()
    assert worker.seen == handles
    assert worker.stops == [Normal()]
    assert harness.exit_reason == Normal()


async def test_a_kill_takes_effect_at_the_next_call() -> None:
    class Brisk(Worker):
        stop_timeout = 1.0

    worker = Brisk()
    harness = await ActorHarness(worker).start()
    harness.ref.kill()
    harness.clock.advance(1_000)  # it is not taken for one that swallows its cancellation
    assert worker.stops == []
    with pytest.raises(ActorDead):
        await harness.tell("too late")
    assert worker.stops == [Killed()]
    assert worker.seen == []


async def test_a_kill_during_a_handler_cancels_it() -> None:
    worker, hold = Worker(), Hold()
    harness = await ActorHarness(worker).start()
    async with anyio.create_task_group() as tg:
        tg.start_soon(harness.tell, hold)
        await hold.entered.wait()
        harness.ref.kill()
    assert hold.was_cancelled
    assert harness.exit_reason == Killed()


async def test_who_waits_for_an_answer_gets_actor_dead_when_the_actor_ends() -> None:
    harness, _ = await keeper()

    def defer(actor: Keeper) -> None:
        actor.context.defer_reply()

    answer = await harness.ask_deferred(defer)
    await harness.stop()
    with pytest.raises(ActorDead):
        answer.result()


async def test_a_cancelled_test_ends_the_actor_and_stays_cancelled() -> None:
    worker, hold = Worker(), Hold()
    harness = await ActorHarness(worker).start()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tg:
            tg.start_soon(harness.tell, hold)
            await hold.entered.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert worker.stops == [Killed()]


async def test_an_actor_is_started_once_and_before_anything_else() -> None:
    harness = ActorHarness(Worker())
    calls: list[Callable[[], Any]] = [lambda: harness.tell(1), lambda: harness.ask(1), harness.handle_next]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"start\(\) first"):
            await call()
    await harness.start()
    with pytest.raises(AlreadySpawned):
        await harness.start()


# -- others ------------------------------------------------------------------------------------------------------------


async def test_links_are_seen_and_a_crash_of_the_partner_is_raised_at_the_next_call() -> None:
    harness, actor = await keeper()
    other = await ActorHarness(Worker(), name="other").start()
    actor.context.link(other.ref)
    assert (harness.links, other.links) == ([other.ref], [harness.ref])
    with pytest.raises(ValueError, match="boom"):
        await other.tell(raising(ValueError("boom")))
    with pytest.raises(LinkBroken):
        await harness.handle_all()
    assert harness.links == []
    assert isinstance(harness.exit_reason, Crashed)


async def test_it_may_watch_and_be_watched_by_actors_of_a_system() -> None:
    async with open_system() as system:
        probe, other = await Probe.start(system), await system.spawn(Worker())
        harness = await ActorHarness(Worker()).start()
        harness.ref.monitor(probe.ref)
        other.monitor(harness.ref)
        await other.stop_and_wait()
        assert harness.waiting == [Down(other, Normal())]
        await harness.stop()
        assert await probe.expect_down(harness.ref) == Normal()


async def test_it_sees_its_groups_and_its_own_name_but_cannot_spawn() -> None:
    harness, actor = await keeper()
    system = actor.context.system
    system.groups.join("g", harness.ref)
    assert system.groups.members("g") == [harness.ref] == system.actors()
    assert system.lookup("Keeper") is harness.ref
    with pytest.raises(RuntimeError, match="no system in which it could spawn this Worker"):
        await system.spawn(Worker())
    await harness.stop()
    assert system.groups.names() == []


# -- child tasks -------------------------------------------------------------------------------------------------------


async def with_child(*args: Any, **options: Any) -> tuple[ActorHarness[Any], Worker]:
    worker = Worker(**options)
    harness = await ActorHarness(worker).start()

    async def start() -> None:
        worker.context.start_soon(*args)

    await harness.tell(start)
    return harness, worker


async def test_a_child_task_is_recorded_and_runs_when_the_test_runs_it() -> None:
    ran: list[int] = []

    async def work(*numbers: int) -> None:
        ran.extend(numbers)

    harness, _ = await with_child(work, 1, 2)
    (child,) = harness.child_tasks
    assert (child.function, child.args, child.done, ran) == (work, (1, 2), False, [])
    await child.run()
    assert (child.done, ran) == (True, [1, 2])
    with pytest.raises(RuntimeError, match="has run before"):
        await child.run()


async def test_a_child_task_that_crashes_ends_the_actor_and_is_raised() -> None:
    error = ValueError("boom")
    harness, worker = await with_child(raising(error))
    with pytest.raises(ValueError, match="boom"):
        await harness.child_tasks[0].run()
    assert worker.stops == [Crashed(error)]


async def test_a_child_task_that_was_not_run_never_will_be_once_the_actor_has_ended() -> None:
    hold = Hold()
    harness, worker = await with_child(hold)
    with anyio.fail_after(5):
        await harness.stop()
    assert worker.stops == [Normal()]
    assert harness.child_tasks[0].done
    with pytest.raises(RuntimeError, match="cannot run"):
        await harness.child_tasks[0].run()
    assert not hold.entered.is_set()


async def test_a_child_task_that_the_test_runs_beside_it_is_cancelled_before_on_stop() -> None:
    hold = Hold()
    order: list[bool] = []

    async def on_stop(_: object) -> None:
        order.append(hold.was_cancelled)

    harness, _ = await with_child(hold, on_stop=on_stop)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(harness.child_tasks[0].run)
            await hold.entered.wait()
            await harness.stop()
    assert order == [True]


async def test_a_child_task_that_crashes_beside_a_handler_cancels_it_and_is_raised_there() -> None:
    hold = Hold()
    harness, worker = await with_child(raising(ValueError("boom")))

    async def tell() -> None:
        with pytest.raises(ValueError, match="boom"):
            await harness.tell(hold)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(tell)
            await hold.entered.wait()
            await harness.child_tasks[0].run()
    assert hold.was_cancelled
    assert len(worker.stops) == 1


async def test_a_test_cancelled_while_it_runs_a_child_task_stays_cancelled() -> None:
    hold = Hold()
    harness, _ = await with_child(hold)
    after = False
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tg:

            async def run() -> None:
                nonlocal after
                await harness.child_tasks[0].run()
                after = True

            tg.start_soon(run)
            await hold.entered.wait()
            scope.cancel()
    assert not after
    assert harness.exit_reason is None


# -- a state machine ---------------------------------------------------------------------------------------------------


class Latch(StateMachine[bool, str]):
    initial_state = False

    async def on_event(self, state: bool, message: str) -> str:
        if message == "flip":
            self.goto(not state)
        elif not state:
            self.postpone()
        return f"{message} in {state}"


async def test_a_state_machine_is_driven_event_by_event() -> None:
    machine = Latch()
    harness = await ActorHarness(machine).start()
    answer = await harness.ask_deferred("knock")
    assert harness.stashed == ["knock"]
    await harness.tell("flip")
    assert machine.state is True
    await harness.handle_all()
    assert answer.result() == "knock in True"
