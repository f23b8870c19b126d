"""The system: names, order, closing, and every cancellation that may reach its `async with`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system, raising

from actwright_actors import (
    ActorRef,
    ActorSystem,
    AlreadySpawned,
    ExitReason,
    Killed,
    NameTaken,
    Normal,
    Shutdown,
    StartFailed,
    SystemClosed,
)
from actwright_actors._kernel import Kernel
from actwright_actors.backends import BackendName, backend_options
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)


async def test_actors_stop_one_by_one_in_the_reverse_order_of_their_start() -> None:
    order: list[str] = []

    async def stop(name: str, _: ExitReason) -> None:
        order.append(f"{name} begins")
        await anyio.lowlevel.checkpoint()
        order.append(f"{name} ends")

    async with open_system() as system:
        for name in ("first", "second", "third"):
            await system.spawn(Worker(on_stop=partial(stop, name)), name=name)
    assert order == [f"{name} {what}" for name in ("third", "second", "first") for what in ("begins", "ends")]


async def test_an_actor_that_does_not_stop_in_time_is_killed() -> None:
    clock = ManualClock()
    hold, refs = Hold(), list[ActorRef[Any]]()

    async def run() -> None:
        async with ActorSystem(clock=clock, stop_timeout=4.0) as system:
            refs.append(await system.spawn(Worker()))
            refs[0].tell(hold)
            await hold.entered.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tg:
            tg.start_soon(run)
            await hold.entered.wait()
            await anyio.wait_all_tasks_blocked()
            clock.advance(3.9)
            await anyio.wait_all_tasks_blocked()
            assert not hold.was_cancelled
            clock.advance(0.1)
    assert refs[0].exit_reason == Killed()
    assert hold.was_cancelled


async def test_names_are_unique_among_the_living_and_can_be_looked_up() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker(), name="one")
        with pytest.raises(NameTaken, match="'one'"):
            await system.spawn(Worker(), name="one")
        other = await system.spawn(Worker())
        assert system.lookup("one") is ref
        assert system.lookup("none") is None
        assert system.actors() == [ref, other]
        assert other.name.startswith("Worker-")


async def test_a_system_that_is_not_open_starts_nothing_and_says_so() -> None:
    system = ActorSystem("mine")
    with pytest.raises(SystemClosed, match="'mine' is not open"):
        system.spawn_soon(Worker())
    with pytest.raises(SystemClosed):
        system.post(lambda: None)
    async with system:
        pass
    with pytest.raises(SystemClosed):
        await system.spawn(Worker())
    with pytest.raises(SystemClosed):
        system.post(lambda: None)
    with pytest.raises(SystemClosed):
        await system.__aenter__()


async def test_a_stopping_system_starts_nothing_new() -> None:
    async with open_system() as system:

        async def respawn(_: ExitReason) -> None:
            with pytest.raises(SystemClosed):
                system.spawn_soon(Worker())

        ref = await system.spawn(Worker(on_stop=respawn))
    assert ref.exit_reason == Shutdown()


async def test_an_exception_of_the_block_is_raised_bare_after_the_actors_have_stopped() -> None:
    error = ValueError("the block's")
    refs: list[ActorRef[Any]] = []

    async def run() -> None:
        async with ActorSystem() as system:
            refs.append(await system.spawn(Worker()))
            raise error

    with anyio.fail_after(5), pytest.raises(ValueError, match="the block's") as caught:
        await run()
    assert caught.value is error
    assert refs[0].exit_reason == Shutdown()


async def test_actors_that_were_never_awaited_are_stopped_too() -> None:
    async with open_system() as system:
        refs = [system.spawn_soon(Worker()) for _ in range(20)]
    assert [ref.exit_reason for ref in refs] == [Shutdown()] * 20


class Watched:
    """An actor whose orderly end takes until it is released, for a system that is cancelled meanwhile."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.hold = Hold()
        self.ref: ActorRef[Any] | None = None
        self.tidied_up = False

    async def run_system(self) -> None:
        async with ActorSystem() as system:
            self.ref = await system.spawn(Worker(on_stop=self._on_stop))
            self.ready.set()
            await anyio.sleep_forever()

    async def _on_stop(self, _: ExitReason) -> None:
        await self.hold()
        self.tidied_up = True

    def assert_ended_in_order(self) -> None:
        assert self.ref is not None
        assert self.ref.exit_reason == Shutdown()
        assert self.tidied_up


async def test_a_cancelled_scope_around_the_system_lets_actors_end_in_order() -> None:
    watched = Watched()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(watched.run_system)
            await watched.ready.wait()
            tg.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await watched.hold.entered.wait()
                await anyio.wait_all_tasks_blocked()
                watched.hold.release.set()
    watched.assert_ended_in_order()


async def test_an_expired_deadline_around_the_system_lets_actors_end_in_order() -> None:
    watched = Watched()
    watched.hold.release.set()

    scope = anyio.CancelScope()

    async def expire() -> None:
        await watched.ready.wait()
        scope.deadline = anyio.current_time()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            with scope:
                tg.start_soon(expire)
                await watched.run_system()
    assert scope.cancelled_caught
    watched.assert_ended_in_order()


async def test_a_cancellation_before_the_system_is_open_leaves_nothing_running() -> None:
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        scope.cancel()
        async with ActorSystem() as system:
            await system.spawn(Worker())
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    await anyio.wait_all_tasks_blocked()


@on_asyncio
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_native_cancels_let_actors_end_in_order(times: int) -> None:
    watched = Watched()
    task = asyncio.ensure_future(watched.run_system())
    with anyio.fail_after(5):
        await watched.ready.wait()
        task.cancel()
        await watched.hold.entered.wait()
        for _ in range(times - 1):
            task.cancel()
            await anyio.wait_all_tasks_blocked()
        assert not task.done()
        watched.hold.release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    watched.assert_ended_in_order()


@on_asyncio
async def test_a_timeout_of_asyncio_lets_actors_end_in_order() -> None:
    watched = Watched()
    watched.hold.release.set()
    with anyio.fail_after(5), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await watched.run_system()
    watched.assert_ended_in_order()


@on_asyncio
async def test_an_aborting_asyncio_task_group_lets_actors_end_in_order() -> None:
    watched = Watched()

    async def abort() -> None:
        await watched.ready.wait()
        watched.hold.release.set()
        raise ValueError("sibling")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(watched.run_system())
            group.create_task(abort())

    with anyio.fail_after(5), pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ValueError, match="sibling")
    watched.assert_ended_in_order()


async def test_an_error_of_the_block_is_not_lost_when_a_cancellation_follows() -> None:
    watched = Watched()
    raised: list[BaseException] = []

    async def run() -> None:
        try:
            async with ActorSystem() as system:
                await system.spawn(Worker(on_stop=watched.hold))
                raise ValueError("the block's")
        except ValueError as error:
            raised.append(error)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(run)
            await watched.hold.entered.wait()
            tg.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                watched.hold.release.set()
    assert [str(error) for error in raised] == ["the block's"]


@pytest.mark.parametrize("name", ["asyncio", "asyncio+uvloop", "trio"])
def test_a_system_that_is_never_left_ends_with_its_loop(name: BackendName) -> None:
    async def main() -> ActorRef[Any]:
        return await (await ActorSystem().__aenter__()).spawn(Worker())

    backend, options = backend_options(name)
    ref = anyio.run(main, backend=backend, backend_options=options)
    assert not ref.is_alive


async def test_a_failed_start_is_logged_unless_the_spawner_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "actwright_actors")
    async with open_system() as system:
        with pytest.raises(ValueError, match="told"):
            await system.spawn(Worker(on_start=raising(ValueError("told"))))
        assert "told" not in caplog.text
        ref = system.spawn_soon(Worker(on_start=raising(ValueError("logged"))))
        assert isinstance(await ref.stopped(), StartFailed)
    assert "logged" in caplog.text


async def test_a_posted_function_that_raises_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system() as system:
        done = anyio.Event()
        calls: list[Callable[[], object]] = [partial(_raise, SystemExit("posted")), done.set]
        for call in calls:
            system.post(call)
        await done.wait()
    assert "posted" in caplog.text


def _raise(error: BaseException) -> None:
    raise error


async def test_an_actor_that_stops_while_the_system_stops_is_waited_for() -> None:
    async with open_system() as system:
        hold = Hold()
        ref = await system.spawn(Worker(on_stop=hold))
        ref.stop()
        await hold.entered.wait()
        hold.release.set()
    assert ref.exit_reason == Normal()


async def test_an_actor_object_is_started_once_and_a_refused_name_does_not_use_it_up() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(Worker(), name="taken")
        with pytest.raises(NameTaken):
            await system.spawn(worker, name="taken")
        other = await system.spawn(worker, name="other")
        with pytest.raises(AlreadySpawned, match="as 'other'") as caught:
            await system.spawn(worker)
        assert caught.value.actor is worker
        await other.stop_and_wait()
        with pytest.raises(AlreadySpawned):
            system.spawn_soon(worker)
        assert system.actors() == [ref]


async def test_a_start_that_fails_before_its_task_exists_leaves_no_name_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    async with open_system() as system:
        with monkeypatch.context() as patch:
            patch.setattr(Kernel, "start_task", fail)
            with pytest.raises(KeyboardInterrupt):
                system.spawn_soon(Worker(), name="never")
        assert system.lookup("never") is None
        assert (await system.spawn(Worker(), name="never")).is_alive


@on_asyncio
async def test_a_native_cancel_while_the_system_opens_leaves_nothing_running() -> None:
    async def open_it() -> None:
        async with ActorSystem():
            raise AssertionError("never opened")

    task = asyncio.ensure_future(open_it())
    await asyncio.sleep(0)  # it now waits for its host
    task.cancel()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await task
    await anyio.wait_all_tasks_blocked()


async def test_a_cancellation_that_comes_while_a_block_that_ended_well_closes_is_raised_when_the_actors_are_gone() -> (
    None
):
    hold, reached = Hold(), list[str]()

    async def run() -> None:
        async with open_system() as system:
            await system.spawn(Worker(on_stop=hold))
        await anyio.lowlevel.checkpoint()
        reached.append("after a cancelled block")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await hold.entered.wait()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()
            hold.release.set()
    assert not hold.was_cancelled
    assert reached == []


@on_asyncio
async def test_a_native_cancel_while_a_block_that_ended_well_closes_is_raised_by_it() -> None:
    hold, reached = Hold(), list[str]()

    async def run() -> None:
        async with ActorSystem() as system:
            await system.spawn(Worker(on_stop=hold))
        reached.append("after a cancelled block")

    task = asyncio.ensure_future(run())
    await hold.entered.wait()
    task.cancel()
    await anyio.wait_all_tasks_blocked()
    hold.release.set()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await task
    assert not hold.was_cancelled
    assert reached == []


@pytest.mark.parametrize("seconds", [float("nan"), -1.0])
async def test_a_stop_timeout_or_a_limit_that_cannot_be_is_refused_at_once(seconds: float) -> None:
    class Hasty(Worker):
        stop_timeout = seconds

    with pytest.raises(ValueError, match="stop_timeout of a system is a number of at least 0"):
        ActorSystem(stop_timeout=seconds)
    with pytest.raises(ValueError, match="slow_handler_seconds"):
        ActorSystem(slow_handler_seconds=seconds)
    async with open_system() as system:
        with pytest.raises(ValueError, match="stop_timeout of a Worker"):
            await system.spawn(Worker(), stop_timeout=seconds)
        with pytest.raises(ValueError, match="stop_timeout of a Hasty"):
            await system.spawn(Hasty())
        assert system.actors() == []


async def test_a_class_in_place_of_an_actor_is_refused_and_not_spoilt() -> None:
    async with open_system() as system:
        spawn: Any = system.spawn
        with pytest.raises(TypeError, match=r"takes an Actor object, such as spawn\(Counter\(\)\)"):
            await spawn(Worker)
        assert (await system.spawn(Worker())).is_alive


async def test_the_context_of_an_actor_that_was_not_spawned_is_an_error_that_says_when_there_is_one() -> None:
    with pytest.raises(AttributeError, match="gets one when it is spawned"):
        _ = Worker().context
    with pytest.raises(AttributeError, match=r"'Worker' object has no attribute 'other'$"):
        _ = Worker().other  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


async def test_a_name_that_the_system_makes_is_never_one_that_is_taken() -> None:
    async with open_system() as system:
        for number in range(1, 4):
            await system.spawn(Worker(), name=f"Worker-{number}")
        assert (await system.spawn(Worker())).name == "Worker-4"
