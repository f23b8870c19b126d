"""An actor's callbacks: when each runs, and what its failure means."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system, raising

from actwright_actors import Actor, ActorDead, ActorRef, Crashed, ExitReason, Killed, Normal, Shutdown, StartFailed
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


async def test_a_stopped_actor_ends_as_normal_after_on_stop() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        ref.stop()
        assert await ref.stopped() == Normal()
        assert worker.stops == [Normal()]
        assert not ref.is_alive


async def test_a_stop_waits_for_the_running_handler_and_leaves_later_mail_unhandled() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("late")
        ref.stop()
        hold.release.set()
        assert await ref.stopped() == Normal()
        assert worker.seen == [hold]
        assert not hold.was_cancelled
        assert system.dead_letters == 1


async def test_a_stop_during_on_start_waits_until_it_has_started() -> None:
    async with open_system() as system:
        hold = Hold()
        worker = Worker(on_start=hold)
        ref = system.spawn_soon(worker)
        await hold.entered.wait()
        ref.stop()
        hold.release.set()
        assert await ref.stopped() == Normal()
        assert worker.stops == [Normal()]


async def test_a_kill_during_on_start_cancels_it_and_on_stop_is_not_called() -> None:
    async with open_system() as system:
        hold = Hold()
        worker = Worker(on_start=hold)
        ref = system.spawn_soon(worker)
        await hold.entered.wait()
        ref.kill()
        assert await ref.stopped() == Killed()
        assert hold.was_cancelled
        assert worker.stops == []


async def test_an_actor_killed_before_its_first_step_never_starts() -> None:
    async with open_system() as system:
        hold = Hold()
        ref = system.spawn_soon(Worker(on_start=hold))
        ref.kill()
        assert await ref.stopped() == Killed()
        assert not hold.entered.is_set()


async def test_a_kill_during_a_handler_cancels_it_and_on_stop_still_runs() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        ref.tell(hold)
        await hold.entered.wait()
        ref.kill()
        assert await ref.stopped() == Killed()
        assert hold.was_cancelled
        assert worker.stops == [Killed()]


async def test_a_handler_that_swallows_its_cancellation_gets_no_further_message() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()

        async def stubborn() -> None:
            try:
                await hold()
            except anyio.get_cancelled_exc_class():
                pass

        ref = await system.spawn(worker)
        ref.tell(stubborn)
        await hold.entered.wait()
        ref.tell("late")
        ref.kill()
        assert await ref.stopped() == Killed()
        assert worker.seen == [stubborn]


async def test_on_stop_is_shielded_and_finishes_though_the_actor_was_killed() -> None:
    async with open_system() as system:
        finished: list[ExitReason] = []

        async def tidy_up(reason: ExitReason) -> None:
            await anyio.lowlevel.checkpoint()
            finished.append(reason)

        ref = await system.spawn(Worker(on_stop=tidy_up))
        ref.kill()
        await ref.stopped()
        assert finished == [Killed()]


async def test_a_second_kill_cuts_on_stop() -> None:
    async with open_system() as system:
        hold = Hold()
        ref = await system.spawn(Worker(on_stop=hold))
        ref.stop()
        await hold.entered.wait()
        ref.kill()
        assert await ref.stopped() == Killed()
        assert hold.was_cancelled


@pytest.mark.parametrize("how", ["stop", "drain"])
async def test_a_stop_or_a_drain_during_on_stop_changes_nothing(how: str) -> None:
    hold = Hold()
    async with open_system() as system:
        worker = Worker(on_stop=hold)
        ref = await system.spawn(worker)
        ref.stop()
        await hold.entered.wait()
        getattr(ref, how)()
        await anyio.wait_all_tasks_blocked()
        assert ref.status == "stopping"
        hold.release.set()
        assert await ref.stopped() == Normal()
        assert not hold.was_cancelled
        assert worker.stops == [Normal()]


async def test_on_stop_past_its_deadline_is_cut_and_counts_as_killed() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        hold = Hold()
        ref = await system.spawn(Worker(on_stop=hold), stop_timeout=7.0)
        ref.stop()
        await hold.entered.wait()
        clock.advance(6.9)
        await anyio.wait_all_tasks_blocked()
        assert ref.is_alive
        clock.advance(0.2)
        assert await ref.stopped() == Killed()


async def test_an_exception_in_a_handler_crashes_the_actor_and_nobody_else() -> None:
    async with open_system() as system:
        error = ValueError("boom")
        worker, other = Worker(), await system.spawn(Worker())
        ref = await system.spawn(worker)
        ref.tell(raising(error))
        assert await ref.stopped() == Crashed(error)
        assert worker.stops == [Crashed(error)]
        assert await other.ask("still here") == "still here"


async def test_an_exception_in_on_stop_makes_a_normal_end_a_crash() -> None:
    async with open_system() as system:
        error = ValueError("boom")
        ref = await system.spawn(Worker(on_stop=raising(error)))
        ref.stop()
        assert await ref.stopped() == Crashed(error)


async def test_an_exception_in_on_stop_does_not_hide_the_crash_before_it(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system() as system:
        first = ValueError("first")
        ref = await system.spawn(Worker(on_stop=raising(ValueError("second"))))
        ref.tell(raising(first))
        assert await ref.stopped() == Crashed(first)
    assert "second" in caplog.text


async def test_spawn_raises_the_error_of_on_start_as_it_is() -> None:
    async with open_system() as system:
        error = ValueError("boom")
        worker = Worker(on_start=raising(error))
        with pytest.raises(ValueError, match="boom") as caught:
            await system.spawn(worker, name="frail")
        assert caught.value is error
        assert worker.stops == []
        assert system.lookup("frail") is None


async def test_spawn_soon_reports_a_failed_start_to_who_watches() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        error = ValueError("boom")
        ref = system.spawn_soon(Worker(on_start=raising(error)))
        ref.monitor(probe.ref)
        assert await probe.expect_down(ref) == StartFailed(error)


async def test_a_cancelled_spawner_kills_the_actor_that_it_was_starting() -> None:
    async with open_system() as system:
        hold = Hold()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tg:

                async def cancel_when_starting() -> None:
                    await hold.entered.wait()
                    scope.cancel()

                tg.start_soon(cancel_when_starting)
                await system.spawn(Worker(on_start=hold), name="slow")
        assert scope.cancelled_caught
        assert hold.was_cancelled
        assert system.lookup("slow") is None


async def test_what_on_start_raises_is_logged_if_its_spawner_was_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system() as system:
        hold = Hold()

        async def start() -> None:
            try:
                await hold()
            finally:
                raise ValueError("could not undo it")

        async with anyio.create_task_group() as tg:
            tg.start_soon(partial(system.spawn, Worker(on_start=start), name="slow"))
            await hold.entered.wait()
            assert system.lookup("slow") is not None
            tg.cancel_scope.cancel()
        assert system.lookup("slow") is None
        assert caplog.text.count("ValueError: could not undo it") == 1


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_what_on_start_raised_is_logged_if_a_native_cancel_comes_before_its_spawner_hears_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_system() as system:

        async def cancel_and_fail() -> None:
            spawner.cancel()
            raise ValueError("at the same time")

        spawner = asyncio.ensure_future(system.spawn(Worker(on_start=cancel_and_fail)))
        with pytest.raises(asyncio.CancelledError):
            await spawner
        assert caplog.text.count("ValueError: at the same time") == 1


@pytest.mark.parametrize("when", ["in on_start", "later"])
async def test_the_handle_that_there_is_after_on_start_gets_all_messages_told_and_asked_and_of_timers(
    when: str,
) -> None:
    async with open_system() as system:
        others: list[Any] = []

        async def other(message: Any) -> Any:
            others.append(message)
            return message

        async def replace() -> None:
            if when == "in on_start":
                worker.__dict__["handle"] = other

        worker = Worker(on_start=replace)
        ref = await system.spawn(worker)
        worker.__dict__["handle"] = other
        ref.tell("told")
        worker.context.timers.start("key", "reminded", 0)
        while len(worker.seen) + len(others) < 2:
            await anyio.lowlevel.checkpoint()
        assert await ref.ask("asked") == "asked"
        seen, unseen = (others, worker.seen) if when == "in on_start" else (worker.seen, others)
        assert ({*seen}, unseen) == ({"told", "reminded", "asked"}, [])


async def test_spawn_says_so_when_somebody_else_killed_the_actor_meanwhile() -> None:
    async with open_system() as system:
        hold = Hold()

        async def kill_it() -> None:
            await hold.entered.wait()
            ref = system.lookup("victim")
            assert ref is not None
            ref.kill()

        async with anyio.create_task_group() as tg:
            tg.start_soon(kill_it)
            with pytest.raises(ActorDead):
                await system.spawn(Worker(on_start=hold), name="victim")


async def test_mail_sent_before_the_start_is_handled_after_it() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = system.spawn_soon(worker)
        ref.tell(1)
        ref.tell(2)
        assert worker.seen == []
        assert await ref.ask(3) == 3
        assert worker.seen == [1, 2, 3]


async def test_an_actor_without_handle_says_what_to_do() -> None:
    async with open_system() as system:
        ref = await system.spawn(Actor[Any]())
        ref.tell("hello")
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert "Override `async def handle`" in str(reason.error)


async def test_an_actor_runs_in_the_context_it_was_given() -> None:
    variable = contextvars.ContextVar("variable", default="default")

    async def read() -> str:
        return variable.get()

    async with open_system() as system:
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        given = await system.spawn(Worker(), context=context)
        token = variable.set("callers")
        inherited = await system.spawn(Worker())
        variable.reset(token)
        assert await given.ask(read) == "given"
        assert await inherited.ask(read) == "callers"


async def test_an_actor_may_be_spawned_in_the_context_that_is_current() -> None:
    variable = contextvars.ContextVar("variable", default="default")

    async def read() -> str:
        return variable.get()

    async with open_system() as system:
        current = contextvars.copy_context()

        def spawn() -> ActorRef[Any]:
            variable.set("mine")
            return system.spawn_soon(Worker(), context=current)

        ref = current.run(spawn)
        assert await ref.ask(read) == "mine"


async def test_leaving_the_system_ends_actors_as_shutdown() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
    assert ref.exit_reason == Shutdown()
    assert worker.stops == [Shutdown()]
