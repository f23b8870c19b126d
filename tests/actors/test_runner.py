"""What ends an actor, told apart: crashes of every kind, forged cancellations, and its child tasks."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system, raising

from actwright_actors import ActorDead, ChildTask, Crashed, Killed, Normal, StartFailed
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)


class OddBaseException(BaseException):
    """Neither an Exception nor known to any library."""


@pytest.mark.parametrize(
    "error",
    [
        SystemExit("out"),
        OddBaseException("odd"),
        asyncio.CancelledError(),
        BaseExceptionGroup("two", [ValueError("one"), SystemExit("two")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_escapes_from_a_handler_is_a_crash(error: BaseException) -> None:
    async with open_system() as system:
        other = await system.spawn(Worker())
        ref = await system.spawn(Worker())
        ref.tell(raising(error))
        assert await ref.stopped() == Crashed(error)
        assert await other.ask("alive") == "alive"


async def test_a_system_exit_in_on_start_is_a_failed_start() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        error = SystemExit("out")
        ref = system.spawn_soon(Worker(on_start=raising(error)))
        ref.monitor(probe.ref)
        assert await probe.expect_down(ref) == StartFailed(error)


@on_asyncio
async def test_awaiting_a_cancelled_future_is_a_crash_and_no_cancel() -> None:
    async def await_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with open_system() as system:
        ref = await system.spawn(Worker())
        ref.tell(await_cancelled)
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, asyncio.CancelledError)


@on_asyncio
async def test_a_task_that_cancels_itself_natively_crashes_its_actor() -> None:
    async def cancel_self() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.lowlevel.checkpoint()

    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        ref.tell(cancel_self)
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert worker.stops == [reason]


async def test_a_cancel_scope_of_the_handlers_own_is_no_crash() -> None:
    async def time_out() -> str:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        return "went on"

    async with open_system() as system:
        ref = await system.spawn(Worker())
        assert await ref.ask(time_out) == "went on"


async def test_a_child_task_runs_beside_the_actor() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        child = worker.context.start_soon(hold)
        await hold.entered.wait()
        assert await ref.ask("still handling") == "still handling"
        assert not child.done
        hold.release.set()
        await child.wait()
        assert child.done
        assert ref.is_alive


async def test_a_child_task_gets_its_arguments_and_its_context() -> None:
    variable = contextvars.ContextVar("variable", default="default")
    results: list[tuple[int, str]] = []

    async def note(number: int) -> None:
        results.append((number, variable.get()))

    async with open_system() as system:
        worker = Worker()
        await system.spawn(worker)
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        await worker.context.start_soon(note, 1, context=context).wait()
        await worker.context.start_soon(note, 2).wait()
    assert results == [(1, "given"), (2, "default")]


@pytest.mark.parametrize("how", ["stop", "kill", "drain", "crash"])
async def test_child_tasks_have_ended_before_on_stop_and_down(how: str) -> None:
    events: list[str] = []
    async with open_system() as system:

        async def child() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                events.append("child ended")

        async def on_stop(_: object) -> None:
            events.append("on_stop")

        worker, probe = Worker(on_stop=on_stop), await Probe.start(system)
        ref = await system.spawn(worker)
        ref.monitor(probe.ref)
        worker.context.start_soon(child)
        await anyio.wait_all_tasks_blocked()
        if how == "crash":
            ref.tell(raising(ValueError("boom")))
        else:
            getattr(ref, how)()
        await probe.expect_down(ref)
        assert events == ["child ended", "on_stop"]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(1), asyncio.CancelledError()], ids=repr)
async def test_an_exception_that_escapes_a_child_task_crashes_its_actor(error: BaseException) -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        ref.tell(hold)
        await hold.entered.wait()
        worker.context.start_soon(raising(error))
        assert await ref.stopped() == Crashed(error)
        assert hold.was_cancelled


async def test_a_child_task_that_crashes_during_on_start_fails_the_start() -> None:
    async with open_system() as system:
        worker = Worker()

        async def start() -> None:
            worker.context.start_soon(raising(ValueError("boom")))
            await anyio.sleep_forever()

        worker._start = start  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(ValueError, match="boom"):
            await system.spawn(worker)


async def test_a_cancelled_child_task_is_no_crash() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        child = worker.context.start_soon(hold)
        await hold.entered.wait()
        child.cancel()
        await child.wait()
        assert hold.was_cancelled
        assert await ref.ask("fine") == "fine"


async def test_a_child_task_that_raises_while_its_actor_ends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("too late")

    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        worker.context.start_soon(fail_when_cancelled)
        await anyio.wait_all_tasks_blocked()
        ref.stop()
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert "too late" in str(reason.error)
    assert "too late" in caplog.text


async def test_an_actor_that_is_ending_starts_no_child_task() -> None:
    async with open_system() as system:
        worker = Worker()

        async def on_stop(_: object) -> None:
            with pytest.raises(ActorDead):
                worker.context.start_soon(anyio.sleep_forever)

        worker._stop = on_stop  # pyright: ignore[reportPrivateUsage]
        ref = await system.spawn(worker)
        ref.stop()
        assert await ref.stopped() == Normal()


async def test_an_abandoned_child_task_outlives_its_actor_and_is_counted() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        child = worker.context.start_soon(hold)
        await hold.entered.wait()
        child.abandon()
        ref.stop()
        await ref.stopped()
        assert not child.done
        assert system.abandoned == 1
        hold.release.set()
        await child.wait()
        assert system.abandoned == 0
        assert not hold.was_cancelled


async def test_what_escapes_from_an_abandoned_child_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()

        async def fail_late() -> None:
            await hold()
            raise ValueError("nobody's business")

        ref = await system.spawn(worker)
        child = worker.context.start_soon(fail_late)
        await hold.entered.wait()
        child.abandon()
        hold.release.set()
        await child.wait()
        assert ref.is_alive
    assert "nobody's business" in caplog.text


async def test_a_child_task_that_will_not_end_is_abandoned_after_the_stop_timeout() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        worker, hold = Worker(), Hold()

        async def deaf() -> None:
            with anyio.CancelScope(shield=True):
                await hold()

        ref = await system.spawn(worker, stop_timeout=3.0)
        child: ChildTask = worker.context.start_soon(deaf)
        await hold.entered.wait()
        ref.kill()
        await anyio.wait_all_tasks_blocked()
        assert ref.is_alive
        clock.advance(3.0)
        assert await ref.stopped() == Killed()
        assert system.abandoned == 1
        hold.release.set()
        await child.wait()


async def test_a_handler_that_raises_while_its_childs_crash_ends_it_is_logged_and_the_crash_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hang_and_raise() -> None:
        try:
            entered.set()
            await anyio.sleep_forever()
        finally:
            raise ValueError("and this too")

    async def crash() -> None:
        await entered.wait()
        raise error

    entered, error = anyio.Event(), LookupError("first")
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        worker.context.start_soon(crash)
        ref.tell(hang_and_raise)
        assert await ref.stopped() == Crashed(error)
    assert "and this too" in caplog.text


@on_asyncio
async def test_a_native_cancel_of_an_actor_that_waits_for_its_child_tasks_is_waited_through() -> None:
    async def note_task() -> None:
        tasks.append(asyncio.current_task())

    async def hang_on() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await release.wait()

    tasks: list[asyncio.Task[Any] | None] = []
    release = anyio.Event()
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        await ref.ask(note_task)
        worker.context.start_soon(hang_on)
        await anyio.wait_all_tasks_blocked()
        ref.stop()
        await anyio.wait_all_tasks_blocked()
        assert tasks[0] is not None
        tasks[0].cancel()
        await anyio.wait_all_tasks_blocked()
        assert ref.status == "stopping"
        release.set()
        assert await ref.stopped() == Normal()


async def test_a_child_task_that_has_ended_cannot_be_abandoned() -> None:
    async with open_system() as system:
        worker = Worker()
        await system.spawn(worker)
        child = worker.context.start_soon(anyio.lowlevel.checkpoint)
        await child.wait()
        child.abandon()
        assert system.abandoned == 0
