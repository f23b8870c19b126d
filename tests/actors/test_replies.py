"""Answers that are given later, too late, or never."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest
from tests.actors.helpers import open_system

from actwright_actors import Actor, ActorDead, ActorRef, ActorSystem, AskTimeout, Crashed, DeferredReply
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


class Deferring(Actor[str]):
    """Owes an answer for every "question"; answers all that it owes on "pay"; crashes on "crash"."""

    def __init__(self) -> None:
        self.owed: list[DeferredReply[Any]] = []

    async def handle(self, message: str) -> str:
        match message:
            case "pay":
                for number, reply in enumerate(self.owed):
                    reply.answer(number)
            case "refuse":
                for reply in self.owed:
                    reply.fail(LookupError("no"))
            case "crash":
                raise ValueError("boom")
            case "twice":
                self.context.defer_reply()
                self.context.defer_reply()
            case _:
                self.owed.append(self.context.defer_reply())
        return "what handle returns"


async def ask_in_background(
    group: anyio.abc.TaskGroup, ref: ActorRef[str], answers: list[Any], timeout: float = 5.0
) -> None:
    async def ask() -> None:
        try:
            answers.append(await ref.ask("question", timeout=timeout))
        except (ActorDead, AskTimeout, LookupError) as error:
            answers.append(error)

    group.start_soon(ask)
    await anyio.wait_all_tasks_blocked()


async def test_a_deferred_answer_reaches_its_asker_and_the_actor_serves_others_meanwhile() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        ref = await system.spawn(Deferring())
        answers: list[Any] = []
        await ask_in_background(group, ref, answers)
        await ask_in_background(group, ref, answers)
        assert answers == []
        assert await ref.ask("pay") == "what handle returns"
        await anyio.wait_all_tasks_blocked()
        assert sorted(answers) == [0, 1]
        assert system.late_replies == 0


async def test_a_deferred_refusal_is_raised_to_the_asker_and_the_actor_lives_on() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        ref = await system.spawn(Deferring())
        answers: list[Any] = []
        await ask_in_background(group, ref, answers)
        await ref.ask("refuse")
        await anyio.wait_all_tasks_blocked()
        assert [str(error) for error in answers] == ["no"]
        assert ref.is_alive


async def test_an_answer_still_owed_when_the_actor_crashes_is_actor_dead_with_the_cause() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        ref = await system.spawn(Deferring())
        answers: list[Any] = []
        await ask_in_background(group, ref, answers)
        ref.tell("crash")
        reason = await ref.stopped()
        await anyio.wait_all_tasks_blocked()
        assert isinstance(reason, Crashed)
        assert isinstance(answers[0], ActorDead)
        assert answers[0].__cause__ is reason.error


async def test_an_answer_after_the_deadline_is_counted_and_dropped() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system, anyio.create_task_group() as group:
        actor = Deferring()
        ref = await system.spawn(actor)
        answers: list[Any] = []
        await ask_in_background(group, ref, answers, timeout=1)
        assert actor.owed[0].is_wanted
        clock.advance(1)
        await anyio.wait_all_tasks_blocked()
        assert isinstance(answers[0], AskTimeout)
        assert "owes an answer" in str(answers[0])
        assert not actor.owed[0].is_wanted
        await ref.ask("pay")
        assert system.late_replies == 1
        assert len(answers) == 1


async def test_an_answer_to_an_asker_that_was_cancelled_is_late() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        actor = Deferring()
        ref = await system.spawn(actor)
        await ask_in_background(group, ref, [])
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()
            assert not actor.owed[0].is_wanted
            actor.owed[0].answer("too late")
            assert system.late_replies == 1


async def test_a_second_answer_is_late() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        actor = Deferring()
        ref = await system.spawn(actor)
        answers: list[Any] = []
        await ask_in_background(group, ref, answers)
        actor.owed[0].answer("first")
        actor.owed[0].answer("second")
        await anyio.wait_all_tasks_blocked()
        assert answers == ["first"]
        assert system.late_replies == 1


async def test_a_return_value_that_comes_too_late_counts_as_a_late_reply() -> None:
    clock, entered, release = ManualClock(), anyio.Event(), anyio.Event()

    class Slow(Actor[str]):
        async def handle(self, message: str) -> str:
            entered.set()
            await release.wait()
            return "late"

    async with open_system(clock=clock) as system:
        ref = await system.spawn(Slow())
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(AskTimeout, match="still handling it"):
                    await ref.ask("question", timeout=1)

            group.start_soon(ask)
            await entered.wait()
            clock.advance(1)
        assert system.late_replies == 0
        release.set()
        await anyio.wait_all_tasks_blocked()
        assert system.late_replies == 1


async def test_deferring_the_answer_to_a_told_message_is_harmless() -> None:
    async with open_system() as system:
        actor = Deferring()
        ref = await system.spawn(actor)
        ref.tell("question")
        await ref.ask("pay")
        assert not actor.owed[0].is_wanted
        actor.owed[0].fail(LookupError("nobody hears it"))
        assert ref.is_alive
        assert system.late_replies == 0


async def test_deferring_one_answer_twice_is_an_error() -> None:
    async with open_system() as system:
        ref = await system.spawn(Deferring())
        with pytest.raises(ActorDead) as caught:
            await ref.ask("twice")
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert "deferred" in str(caught.value.__cause__)


async def test_an_answer_may_come_from_another_thread() -> None:
    def answer_in_thread(reply: DeferredReply[int]) -> None:
        threads.append(threading.get_ident())
        reply.answer(7)

    class Threaded(Actor[str]):
        async def handle(self, message: str) -> None:
            self.context.start_soon(anyio.to_thread.run_sync, answer_in_thread, self.context.defer_reply())

    threads: list[int] = []
    async with open_system() as system:
        ref = await system.spawn(Threaded())
        assert await ref.ask("question") == 7
        assert threads != [system.thread_id]


async def test_an_answer_from_a_thread_after_the_system_closed_does_nothing() -> None:
    actor, answers = Deferring(), list[Any]()
    async with ActorSystem() as system:
        ref = await system.spawn(actor)
        async with anyio.create_task_group() as group:
            await ask_in_background(group, ref, answers)
            ref.stop()
    await anyio.to_thread.run_sync(actor.owed[0].answer, 1)
    assert isinstance(answers[0], ActorDead)
    assert system.late_replies == 0


async def test_an_answer_to_the_asker_of_a_dead_actor_is_late() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        actor, answers = Deferring(), list[Any]()
        ref = await system.spawn(actor)
        await ask_in_background(group, ref, answers)
        await ref.kill_and_wait()
        actor.owed[0].answer("from beyond")
        await anyio.wait_all_tasks_blocked()
        assert isinstance(answers[0], ActorDead)
        assert system.late_replies == 1
