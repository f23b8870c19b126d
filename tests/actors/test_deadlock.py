"""Actors that wait for each other in a circle are told so at once, and no others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from tests.actors.helpers import open_system

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    AskTimeout,
    ChildSpec,
    Crashed,
    DeadLetter,
    DeadLetterReason,
    DeadlockDetected,
    DeferredReply,
    DynamicSupervisor,
    ExitReason,
    MailboxOptions,
    StartChild,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class AskNext:
    """Ask the first of `route` to do the same with the rest; the end of the route answers "end"."""

    route: tuple[ActorRef[Any], ...]
    timeout: float = 5.0


class Link(Actor[AskNext]):
    async def handle(self, message: AskNext) -> Any:
        if not message.route:
            return "end"
        first, *rest = message.route
        return await first.ask(AskNext(tuple(rest), message.timeout), message.timeout)


def cycle_in(error: BaseException | None) -> list[str]:
    """The names in the DeadlockDetected at the root of a chain of ActorDead."""
    while error is not None and not isinstance(error, DeadlockDetected):
        error = error.__cause__
    assert error is not None
    return [ref.name for ref in error.cycle]


async def test_an_actor_that_asks_itself_is_told_so_at_once() -> None:
    async with open_system(clock=ManualClock()) as system:
        one = await system.spawn(Link(), name="one")
        with pytest.raises(ActorDead) as caught:
            await one.ask(AskNext((one,)))
        assert cycle_in(caught.value) == ["one", "one"]
        assert "'one' -> 'one'" in str(caught.value.__cause__)


async def test_a_circle_of_three_is_named_by_the_one_that_closes_it() -> None:
    async with open_system(clock=ManualClock()) as system:
        one, two, three = [await system.spawn(Link(), name=name) for name in ("one", "two", "three")]
        with pytest.raises(ActorDead) as caught:
            await one.ask(AskNext((two, three, one)))
        assert cycle_in(caught.value) == ["three", "one", "two", "three"]


async def test_two_that_ask_each_other_at_the_same_time_are_found() -> None:
    class Mutual(Actor[str]):
        other: ActorRef[str]

        async def handle(self, message: str) -> None:
            if message == "go":
                ready.append(self)
                await both_handle.wait()
                await self.other.ask("question")

    ready: list[Actor[str]] = []
    both_handle = anyio.Event()
    async with open_system(clock=ManualClock()) as system:
        one, two = Mutual(), Mutual()
        refs = [await system.spawn(actor) for actor in (one, two)]
        one.other, two.other = refs[1], refs[0]
        for ref in refs:
            ref.tell("go")
        while len(ready) < 2:
            await anyio.lowlevel.checkpoint()
        both_handle.set()
        reasons = [await ref.stopped() for ref in refs]
        roots = [getattr(reason, "error", None) for reason in reasons]
        assert any(isinstance(error, DeadlockDetected) for error in roots)
        assert all(isinstance(error, DeadlockDetected | ActorDead) for error in roots)


async def test_a_chain_without_a_circle_is_answered() -> None:
    async with open_system() as system:
        refs = [await system.spawn(Link()) for _ in range(5)]
        assert await refs[0].ask(AskNext(tuple(refs[1:]))) == "end"


async def test_a_circle_through_a_deferred_answer_is_none() -> None:
    class Patient(Actor[str]):
        """Owes the answer to "outer" to a child task, and asks whoever waits for it meanwhile."""

        async def handle(self, message: str) -> Any:
            if message == "outer":
                reply = self.context.defer_reply()
                self.context.start_soon(self.answer_later, reply)
                return None
            return await caller.ask("inner", timeout=60)

        async def answer_later(self, reply: DeferredReply[str]) -> None:
            await may_answer.wait()
            reply.answer("outer answer")

    class Caller(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await patient.ask("outer") if message == "go" else "inner answer"

    may_answer = anyio.Event()
    async with open_system() as system, anyio.create_task_group() as group:
        patient, caller = await system.spawn(Patient()), await system.spawn(Caller())
        answers: list[Any] = []

        async def ask(ref: ActorRef[str], message: str) -> None:
            answers.append(await ref.ask(message))

        group.start_soon(ask, caller, "go")
        await anyio.wait_all_tasks_blocked()  # the caller waits for an answer that a child task will give
        group.start_soon(ask, patient, "ask the caller")
        await anyio.wait_all_tasks_blocked()  # the patient waits for the caller's next turn
        assert answers == []
        may_answer.set()
        await anyio.wait_all_tasks_blocked()
        assert sorted(answers) == ["inner answer", "outer answer"]


async def test_an_ask_in_a_child_task_blocks_nobody_so_it_closes_no_circle() -> None:
    class Asking(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "question":
                return "answer"
            reply = self.context.defer_reply()

            async def ask_and_answer() -> None:
                reply.answer(await self.context.ref.ask("question"))

            self.context.start_soon(ask_and_answer)
            return None

    async with open_system() as system:
        ref = await system.spawn(Asking())
        assert await ref.ask("go") == "answer"


async def test_a_start_that_asks_its_spawner_is_told_so_at_once() -> None:
    class Spawning(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await self.context.system.spawn(AskingInStart(self.context.ref), name="child")

    class AskingInStart(Actor[str]):
        def __init__(self, spawner: ActorRef[str]) -> None:
            self.spawner = spawner

        async def on_start(self) -> None:
            await self.spawner.ask("question")

    async with open_system(clock=ManualClock()) as system:
        ref = await system.spawn(Spawning(), name="spawner")
        with pytest.raises(ActorDead) as caught:
            await ref.ask("spawn")
        assert cycle_in(caught.value) == ["child", "spawner", "child"]


async def test_a_child_that_asks_whoever_asked_for_it_is_told_so_at_once() -> None:
    class Spawning(Actor[str]):
        async def handle(self, message: str) -> Any:
            spec = ChildSpec("child", lambda: AskingInStart(self.context.ref))
            return await supervisor.ask(StartChild(spec))

    class AskingInStart(Actor[str]):
        def __init__(self, spawner: ActorRef[str]) -> None:
            self.spawner = spawner

        async def on_start(self) -> None:
            await self.spawner.ask("question")

    async with open_system(clock=ManualClock()) as system:
        supervisor = await system.spawn(DynamicSupervisor(), name="supervisor")
        ref = await system.spawn(Spawning(), name="spawner")
        with pytest.raises(ActorDead) as caught:
            await ref.ask("spawn")
        assert cycle_in(caught.value) == ["child", "spawner", "child"]


@pytest.mark.parametrize("wait", ["stopped", "stop_and_wait", "kill_and_wait", "drain_and_wait"])
async def test_an_actor_that_waits_for_its_own_end_is_told_so(wait: str) -> None:
    class SelfWaiting(Actor[str]):
        async def handle(self, message: str) -> None:
            await getattr(self.context.ref, message)()

    async with open_system() as system:
        ref = await system.spawn(SelfWaiting(), name="one")
        with pytest.raises(ActorDead) as caught:
            await ref.ask(wait)
        assert cycle_in(caught.value) == ["one", "one"]


async def test_an_asker_is_free_again_after_its_ask_was_cancelled() -> None:
    class Impatient(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "question":
                return "answer"
            with anyio.move_on_after(0):
                await busy.ask("hang")
            return "free"

    class Busy(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "hang":
                await release.wait()
                return None
            return await impatient.ask("question")

    release = anyio.Event()
    async with open_system() as system:
        impatient, busy = await system.spawn(Impatient()), await system.spawn(Busy())
        assert await impatient.ask("go") == "free"
        release.set()
        assert await busy.ask("go") == "answer"


@pytest.mark.parametrize("second", ["send", "ask"])
async def test_two_that_wait_for_room_in_each_others_mailboxes_are_told_so(second: str) -> None:
    class Sender(Actor[str]):
        other: ActorRef[str]

        async def handle(self, message: str) -> None:
            if message == "hold":
                entered.append(message)
                await full.wait()
                how = self.other.send if self.context.name == "one" else getattr(self.other, second)
                await how("more")

    entered, full = list[str](), anyio.Event()
    room = MailboxOptions(capacity=1)
    async with open_system(clock=ManualClock()) as system:
        one, two = Sender(), Sender()
        first = await system.spawn(one, name="one", mailbox=room)
        last = await system.spawn(two, name="two", mailbox=room)
        one.other, two.other = last, first
        for ref in (first, last):
            ref.tell("hold")
        await anyio.wait_all_tasks_blocked()
        assert len(entered) == 2
        for ref in (first, last):
            ref.tell("fills the mailbox")
        full.set()
        await anyio.wait_all_tasks_blocked()
        errors = [ref.exit_reason.error for ref in (first, last) if isinstance(ref.exit_reason, Crashed)]
        assert [type(error) for error in errors if not isinstance(error, ActorDead)] == [DeadlockDetected]
        assert len(errors) == 1 or second == "ask"  # whoever asked the one that crashed hears of it


async def test_who_sends_into_a_full_mailbox_of_an_actor_that_goes_on_is_served() -> None:
    class Sender(Actor[ActorRef[str]]):
        async def handle(self, message: ActorRef[str]) -> str:
            await message.send("sent")
            return "done"

    class Slow(Actor[str]):
        async def handle(self, message: str) -> None:
            await release.wait()

    release = anyio.Event()
    async with open_system() as system, anyio.create_task_group() as group:
        slow = await system.spawn(Slow(), mailbox=MailboxOptions(capacity=1))
        sender = await system.spawn(Sender())
        slow.tell("handled")
        await anyio.wait_all_tasks_blocked()
        slow.tell("waits")
        group.start_soon(sender.ask, slow)
        await anyio.wait_all_tasks_blocked()
        assert system.tree().actors[1].waits_for == slow.name
        release.set()
        await anyio.wait_all_tasks_blocked()
        assert system.tree().actors[1].waits_for is None


# -- deadlines ---------------------------------------------------------------------------------------------------------


async def test_an_ask_inside_an_ask_waits_no_longer_than_the_outer_one() -> None:
    clock = ManualClock()

    class Middle(Actor[str]):
        async def handle(self, message: str) -> None:
            try:
                await silent.ask("question", timeout=100)
            except AskTimeout as error:
                timeouts.append(error.timeout)

    class Silent(Actor[str]):
        async def handle(self, message: str) -> None:
            await anyio.Event().wait()

    timeouts: list[float] = []
    async with open_system(clock=clock) as system, anyio.create_task_group() as group:
        middle, silent = await system.spawn(Middle()), await system.spawn(Silent())

        async def ask() -> None:
            with pytest.raises(AskTimeout):
                await middle.ask("question", timeout=3)

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        clock.advance(3)
        await anyio.wait_all_tasks_blocked()
        assert timeouts == [3.0]
        silent.kill()


@pytest.mark.parametrize("place", ["on_stop", "a message that expires"])
async def test_an_ask_that_serves_nobody_else_has_its_own_timeout(place: str) -> None:
    clock = ManualClock()

    class Asking(Actor[str]):
        async def handle(self, message: str) -> None:
            if message == "expiring":
                await self.ask_the_silent()
            entered.set()
            await anyio.sleep_forever()

        async def on_stop(self, reason: ExitReason) -> None:
            await self.ask_the_silent()

        async def ask_the_silent(self) -> None:
            entered.set()
            try:
                await silent.ask("question", timeout=3)
            except AskTimeout as error:
                timeouts.append(error.timeout)

    class Silent(Actor[str]):
        async def handle(self, message: str) -> None:
            await anyio.sleep_forever()

    timeouts, entered = list[float](), anyio.Event()
    async with open_system(clock=clock, stop_timeout=60) as system, anyio.create_task_group() as group:
        asking, silent = await system.spawn(Asking()), await system.spawn(Silent())
        if place == "on_stop":

            async def ask() -> None:
                with pytest.raises(AskTimeout):
                    await asking.ask("question", timeout=1)

            group.start_soon(ask)
            await entered.wait()
            asking.kill()
        else:
            asking.tell("expiring", expires_in=1)
            await entered.wait()
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            clock.advance(1)
        await anyio.wait_all_tasks_blocked()
        assert timeouts == [3.0]
        asking.kill()
        silent.kill()


async def test_a_question_whose_deadline_passed_before_its_turn_is_never_handled() -> None:
    clock, letters = ManualClock(), list[DeadLetter]()
    async with open_system(clock=clock, on_dead_letter=letters.append) as system, anyio.create_task_group() as group:
        handled: list[Any] = []
        release = anyio.Event()

        class Busy(Actor[str]):
            async def handle(self, message: str) -> None:
                handled.append(message)
                if message == "first":
                    await release.wait()

        ref = await system.spawn(Busy())
        ref.tell("first")

        async def ask() -> None:
            with pytest.raises(AskTimeout, match="handling str"):
                await ref.ask("too late", timeout=1)

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        clock.advance(1)
        await anyio.wait_all_tasks_blocked()
        release.set()
        await ref.ask("last")
        assert handled == ["first", "last"]
        assert [(letter.message, letter.reason) for letter in letters] == [("too late", DeadLetterReason.EXPIRED)]
        assert system.late_replies == 0


@pytest.mark.parametrize("passed", [0.5, 1.0, 2.0])
async def test_a_message_with_a_deadline_is_handled_before_it_and_a_dead_letter_from_then_on(passed: float) -> None:
    clock, letters, handled = ManualClock(), list[DeadLetter](), list[Any]()
    release = anyio.Event()

    class Busy(Actor[Any]):
        async def handle(self, message: Any) -> None:
            handled.append(message)
            if message == "hold":
                await release.wait()

    async with open_system(clock=clock, on_dead_letter=letters.append) as system:
        ref = await system.spawn(Busy())
        ref.tell("hold")
        ref.tell("told", expires_in=1.0)
        await ref.send("sent", expires_in=1.0)
        await anyio.to_thread.run_sync(lambda: ref.tell("from a thread", expires_in=1.0))
        await anyio.wait_all_tasks_blocked()
        clock.advance(passed)
        release.set()
        await ref.ask("last", timeout=60)
        in_time, late = (
            (["told", "sent", "from a thread"], []) if passed < 1 else ([], ["told", "sent", "from a thread"])
        )
        assert handled == ["hold", *in_time, "last"]
        assert [letter.message for letter in letters] == late
        assert {letter.reason for letter in letters} <= {DeadLetterReason.EXPIRED}


async def test_an_ask_that_could_not_begin_leaves_no_trace_of_a_wait() -> None:
    class Asking(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "question":
                return "answer"
            with pytest.raises(ValueError, match="NaN"):
                await other.ask("question", timeout=float("nan"))
            return None

    class Other(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await asking.ask("question")

    async with open_system() as system:
        asking, other = await system.spawn(Asking()), await system.spawn(Other())
        await asking.ask("go")
        assert await other.ask("go") == "answer"


# -- a wait that is over, though the task that waited has yet to run ---------------------------------------------------


async def test_whoever_was_answered_waits_no_more_though_its_task_has_not_run_yet() -> None:
    class Asking(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await other.ask("question") if message == "go" else "pong"

    class Other(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "question":
                self.context.ref.signal("next")  # handled before the asker can run
                return "answer"
            answers.append(await asking.ask("ping"))
            return None

    answers: list[str] = []
    async with open_system() as system:
        asking, other = await system.spawn(Asking()), await system.spawn(Other())
        assert await asking.ask("go") == "answer"
        await anyio.wait_all_tasks_blocked()
        assert answers == ["pong"]


async def test_a_child_that_has_started_may_ask_its_spawner_whose_task_has_not_run_yet() -> None:
    class Spawning(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "ping":
                return "pong"
            return await self.context.system.spawn(Child(self.context.ref))

    class Child(Actor[str]):
        def __init__(self, spawner: ActorRef[str]) -> None:
            self.spawner = spawner

        async def on_start(self) -> None:
            self.context.ref.tell("go")

        async def handle(self, message: str) -> None:
            answers.append(await self.spawner.ask("ping"))

    answers: list[str] = []
    async with open_system() as system:
        spawner = await system.spawn(Spawning())
        await spawner.ask("spawn")
        await anyio.wait_all_tasks_blocked()
        assert answers == ["pong"]


async def test_a_sender_that_has_been_given_room_may_be_asked_though_its_task_has_not_run_yet() -> None:
    class Sender(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "ping":
                return "pong"
            return await full.send("sent")

    class Full(Actor[str]):
        async def handle(self, message: str) -> None:
            if message == "hold":
                await release.wait()
            elif message == "queued":
                answers.append(await sender.ask("ping"))

    answers: list[str] = []
    release = anyio.Event()
    async with open_system() as system:
        full = await system.spawn(Full(), mailbox=MailboxOptions(capacity=1))
        sender = await system.spawn(Sender())
        full.tell("hold")
        await anyio.wait_all_tasks_blocked()
        full.tell("queued")
        sender.tell("go")
        await anyio.wait_all_tasks_blocked()  # the sender waits for room, which taking "queued" makes
        release.set()
        await anyio.wait_all_tasks_blocked()
        assert answers == ["pong"]
        assert full.is_alive


@pytest.mark.parametrize("expires_in", [float("nan"), -1.0])
async def test_a_deadline_that_cannot_be_is_refused(expires_in: float) -> None:
    async with open_system() as system:
        ref = await system.spawn(Link())
        for send in (ref.tell, ref.send):
            with pytest.raises(ValueError, match="expires_in of a message is a number of at least 0"):
                await (send(AskNext(()), expires_in=expires_in) or anyio.lowlevel.checkpoint())
        assert system.dead_letters == 0
