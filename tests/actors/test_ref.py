"""Asking and watching."""

from __future__ import annotations

import gc
import math
import traceback
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    Ask,
    AskTimeout,
    ChildSpec,
    Crashed,
    Down,
    ExitReason,
    Killed,
    MailboxOptions,
    Normal,
    Refusal,
    Supervisor,
)
from actwright_actors._cell import cell_of
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


async def test_an_ask_is_answered_with_what_handle_returns() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker())
        assert await ref.ask("echo") == "echo"
        assert await ref.ask(None) is None


@dataclass(frozen=True)
class Length(Ask[int]):
    text: str


class Measurer(Actor[Length]):
    async def handle(self, message: Length) -> int:
        return len(message.text)


async def test_the_answer_to_a_request_has_its_type() -> None:
    async with open_system() as system:
        ref: ActorRef[Length] = await system.spawn(Measurer())
        length: int = await ref.ask(Length("four"))
        assert length == 4


async def test_an_ask_that_is_not_answered_in_time_raises_and_the_actor_goes_on() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        hold, ref = Hold(), await system.spawn(Worker())
        async with anyio.create_task_group() as tg:

            async def ask() -> None:
                with pytest.raises(AskTimeout, match="within 3"):
                    await ref.ask(hold, timeout=3)

            tg.start_soon(ask)
            await hold.entered.wait()
            clock.advance(3)
        hold.release.set()
        assert await ref.ask("next") == "next"


async def test_an_ask_whose_own_asker_waits_no_longer_has_no_time_left_and_never_less() -> None:
    clock, errors = ManualClock(), list[AskTimeout]()
    async with open_system(clock=clock) as system:
        hold, other = Hold(), await system.spawn(Worker())
        other.tell(hold)
        await hold.entered.wait()

        async def ask_too_late() -> None:
            clock.advance(5)
            try:
                await other.ask("too late")
            except AskTimeout as error:
                errors.append(error)

        with pytest.raises(AskTimeout, match="within 3 s"):
            await (await system.spawn(Worker())).ask(ask_too_late, timeout=3)
        await anyio.wait_all_tasks_blocked()
        assert [error.timeout for error in errors] == [0.0]
        assert "within 0 s" in str(errors[0])
        hold.release.set()


async def test_the_deadline_of_an_ask_covers_the_wait_for_room() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        hold, worker = Hold(), Worker()
        ref = await system.spawn(worker, mailbox=MailboxOptions(capacity=1))
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("fills it")
        async with anyio.create_task_group() as tg:

            async def ask() -> None:
                with pytest.raises(AskTimeout):
                    await ref.ask("no room", timeout=3)

            tg.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            clock.advance(3)
        hold.release.set()
        assert await ref.ask("room", timeout=math.inf) == "room"
        assert "no room" not in worker.seen


async def test_asking_a_dead_actor_fails_at_once_with_its_reason() -> None:
    async with open_system(clock=ManualClock()) as system:
        ref = await system.spawn(Worker())
        ref.stop()
        await ref.stopped()
        with pytest.raises(ActorDead) as caught:
            await ref.ask("anyone?")
        assert caught.value.ref is ref
        assert caught.value.reason == Normal()


async def test_an_exception_in_the_handler_crashes_the_actor_and_is_the_askers_cause() -> None:
    async with open_system() as system:
        error = ValueError("boom")
        ref = await system.spawn(Worker())
        with pytest.raises(ActorDead) as caught:
            await ref.ask(raising(error))
        assert caught.value.__cause__ is error
        assert await ref.stopped() == Crashed(error)


async def test_asks_still_in_the_mailbox_fail_when_the_actor_dies() -> None:
    async with open_system() as system:
        hold, ref = Hold(), await system.spawn(Worker())
        ref.tell(hold)
        await hold.entered.wait()
        async with anyio.create_task_group() as tg:

            async def ask() -> None:
                with pytest.raises(ActorDead) as caught:
                    await ref.ask("queued")
                assert caught.value.reason == Killed()

            tg.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            ref.kill()


async def test_a_refusal_raises_at_the_asker_and_the_actor_lives() -> None:
    async with open_system() as system:
        error = ValueError("not like this")

        async def refuse() -> Refusal:
            return Refusal(error)

        ref = await system.spawn(Worker())
        with pytest.raises(ValueError, match="not like this"):
            await ref.ask(refuse)
        assert ref.is_alive


async def test_a_cancelled_asker_leaves_the_actor_undisturbed() -> None:
    async with open_system() as system:
        hold, ref = Hold(), await system.spawn(Worker())
        async with anyio.create_task_group() as tg:
            tg.start_soon(ref.ask, hold)
            await hold.entered.wait()
            tg.cancel_scope.cancel()
        assert not hold.was_cancelled
        hold.release.set()
        assert await ref.ask("next") == "next"


async def test_ten_thousand_asks_leave_no_timer_behind() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker())
        for number in range(10_000):
            assert await ref.ask(number) == number
        assert len(system.timers) == 0


async def test_a_watcher_hears_down_exactly_once_however_often_it_watches() -> None:
    async with open_system() as system:
        probe, ref = await Probe.start(system), await system.spawn(Worker())
        ref.monitor(probe.ref)
        ref.monitor(probe.ref)
        ref.kill()
        ref.stop()
        assert await probe.expect_down(ref) == Killed()
        await probe.expect_none()


async def test_watching_the_dead_is_answered_at_once() -> None:
    async with open_system() as system:
        probe, ref = await Probe.start(system), await system.spawn(Worker())
        ref.stop()
        await ref.stopped()
        ref.monitor(probe.ref)
        assert await probe.expect_down(ref) == Normal()


async def test_down_overtakes_the_watchers_user_messages() -> None:
    async with open_system() as system:
        watcher, hold = Worker(), Hold()
        watching, ref = await system.spawn(watcher), await system.spawn(Worker())
        watching.tell(hold)
        await hold.entered.wait()
        watching.tell("user")
        ref.monitor(watching)
        ref.stop()
        await ref.stopped()
        hold.release.set()
        await watching.ask("last")
        assert watcher.seen == [hold, Down(ref, Normal()), "user", "last"]


async def test_who_stopped_watching_hears_nothing() -> None:
    async with open_system() as system:
        probe, ref = await Probe.start(system), await system.spawn(Worker())
        ref.monitor(probe.ref)
        ref.demonitor(probe.ref)
        ref.stop()
        await ref.stopped()
        await probe.expect_none()


async def test_down_for_a_dead_watcher_is_no_dead_letter() -> None:
    async with open_system() as system:
        watcher, ref = await system.spawn(Worker()), await system.spawn(Worker())
        ref.monitor(watcher)
        watcher.stop()
        await watcher.stopped()
        ref.stop()
        await ref.stopped()
        assert system.dead_letters == 0


async def test_the_name_is_free_when_down_arrives() -> None:
    async with open_system() as system:
        probe, ref = await Probe.start(system), await system.spawn(Worker(), name="taken")
        ref.monitor(probe.ref)
        ref.stop()
        await probe.expect_down(ref)
        assert (await system.spawn(Worker(), name="taken")).name == "taken"


async def test_waiting_for_an_end_that_does_not_come_times_out() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        ref = await system.spawn(Worker())
        async with anyio.create_task_group() as tg:

            async def wait() -> None:
                with pytest.raises(TimeoutError, match="has not stopped within 2"):
                    await ref.stopped(timeout=2)

            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            clock.advance(2)
        assert ref.is_alive


async def test_a_reference_is_a_key_and_shows_name_and_status() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker(), name="shown")
        known: dict[ActorRef[Any], str] = {ref: "x"}
        assert known[ref] == "x"
        assert repr(ref) == "<ActorRef 'shown' running>"
        ref.stop()
        await ref.stopped()
        assert repr(ref) == "<ActorRef 'shown' dead>"


# -- requests that wait ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "reason", "handled"),
    [("stop_and_wait", Normal(), []), ("drain_and_wait", Normal(), ["mail"]), ("kill_and_wait", Killed(), [])],
)
async def test_each_way_to_end_has_a_form_that_waits_and_says_why_it_ended(
    wait: str, reason: ExitReason, handled: list[str]
) -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker, name="taken")
        ref.tell("mail")
        assert await getattr(ref, wait)() == reason
        assert ref.exit_reason == reason
        assert worker.seen == handled
        assert system.lookup("taken") is None
        assert await getattr(ref, wait)() == reason  # of the dead: at once


async def test_a_supervised_actors_stop_waits_for_this_incarnations_end() -> None:
    async with open_system() as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)]))
        child = system.lookup("child")
        assert child is not None
        assert await child.stop_and_wait() == Normal()
        assert await child.ask("answer of the next") == "answer of the next"


@pytest.mark.parametrize("wait", ["stop_and_wait", "drain_and_wait"])
async def test_a_wait_for_an_end_times_out_and_the_request_stands(wait: str) -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system, anyio.create_task_group() as tg:
        ref, hold = await system.spawn(Worker()), Hold()
        ref.tell(hold)
        await hold.entered.wait()

        async def end() -> None:
            with pytest.raises(TimeoutError, match="has not ended within 2"):
                await getattr(ref, wait)(timeout=2)

        tg.start_soon(end)
        await anyio.wait_all_tasks_blocked()
        clock.advance(2)
        await anyio.wait_all_tasks_blocked()
        assert ref.is_alive
        hold.release.set()
        assert await ref.stopped() == Normal()


async def test_cancelling_who_waits_for_an_end_leaves_the_request_standing() -> None:
    async with open_system() as system:
        ref, hold = await system.spawn(Worker()), Hold()
        ref.tell(hold)
        await hold.entered.wait()
        with anyio.move_on_after(0):
            await ref.stop_and_wait()
        hold.release.set()
        assert await ref.stopped() == Normal()


async def test_taking_back_a_monitor_that_never_was_does_nothing() -> None:
    async with open_system() as system:
        probe, ref = await Probe.start(system), await system.spawn(Worker())
        ref.demonitor(probe.ref)
        await ref.stop_and_wait()
        ref.demonitor(probe.ref)
        await probe.expect_none()


async def test_any_number_may_wait_for_one_end() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        ref, reasons = await system.spawn(Worker()), list[ExitReason]()

        async def wait(how: Callable[[], Awaitable[ExitReason]]) -> None:
            reasons.append(await how())

        for how in (ref.stopped, ref.stop_and_wait, ref.stopped, ref.drain_and_wait):
            group.start_soon(wait, how)
        await anyio.wait_all_tasks_blocked()
        assert reasons == [Normal()] * 4


async def test_an_actor_that_many_watch_who_come_and_go_keeps_few_of_the_dead() -> None:
    async with open_system() as system:
        probe, server = await Probe.start(system), await system.spawn(Worker())
        server.monitor(probe.ref)
        for _ in range(200):
            client = await system.spawn(Worker())
            server.monitor(client)
            await client.stop_and_wait()
        assert len(cell_of(server)._watchers or ()) <= 20  # pyright: ignore[reportPrivateUsage]
        await server.stop_and_wait()
        assert await probe.expect_down(server) == Normal()


async def test_the_reference_of_a_dead_actor_keeps_nothing_of_the_users() -> None:
    async with open_system() as system:
        worker = Worker()
        actor = weakref.ref(worker)
        ref = await system.spawn(worker)
        await system.spawn(Supervisor([ChildSpec("child", Worker)]))
        child = system.lookup("child")
        assert child is not None
        await ref.stop_and_wait()
        await anyio.wait_all_tasks_blocked()
        del worker
        gc.collect()
        assert actor() is None
        assert ref.exit_reason == Normal()


async def test_the_error_of_a_crash_keeps_the_actor_until_its_frames_are_cleared() -> None:
    async with open_system() as system:
        worker = Worker()
        actor = weakref.ref(worker)
        ref = await system.spawn(worker)
        ref.tell(raising(ValueError("broken")))
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        await anyio.wait_all_tasks_blocked()
        del worker
        gc.collect()
        assert actor() is not None  # by the user's own handle, as anywhere in Python
        printed = traceback.format_exception(reason.error)
        traceback.clear_frames(reason.error.__traceback__)
        gc.collect()
        assert actor() is None
        assert traceback.format_exception(reason.error) == printed
