"""Messages to a run: sent by whoever has its handle, received by its body, each once and in order."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.engine.faults import leaks_no_task, live
from tests.engine.gate import Gate
from tests.engine.subjects import bodies, kinds, made, started
from tests.engine.watched import at_rest, open_runtime, until

from actwright import Handle, Runtime, flow, receive, task, wait
from actwright.engine import inbox, live_run
from actwright.exceptions import CancelledRun, MailboxFull, MissingContextError, RunIsFinal
from actwright.runtime import no_interrupt
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@dataclass
class Order:
    number: int


class Stop: ...


def a_clerk(is_async: bool) -> Any:
    """A body that receives orders until it is told to stop, and returns their numbers."""

    async def aclerk() -> list[int]:
        numbers: list[int] = []
        while isinstance(got := await receive(Order | Stop), Order):
            numbers.append(got.number)
        return numbers

    def clerk() -> list[int]:
        numbers: list[int] = []
        while isinstance(got := receive(Order | Stop), Order):
            numbers.append(got.number)
        return numbers

    return aclerk if is_async else clerk


@kinds
@bodies
async def test_a_body_receives_what_is_sent_in_order_and_once(kind: str, is_async: bool) -> None:
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle = started(runtime, made(kind, a_clerk(is_async)))
            for number in range(100):
                await handle.send(Order(number))
            await handle.send(Stop())
            assert await handle == list(range(100))


@bodies
async def test_messages_sent_before_the_body_began_wait_for_it(is_async: bool) -> None:
    gate = Gate()

    async def hold(*_: object) -> None:
        await gate.astop_here()

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(made("flow", a_clerk(is_async), on_running=[hold]))
        await gate.reached()
        await handle.send(Order(1))
        await handle.send(Stop())
        gate.open()
        assert await handle == [1]


@bodies
async def test_what_is_not_wanted_stays_in_its_order_for_a_later_receive(is_async: bool) -> None:
    async def abody() -> list[Any]:
        return [await receive(int), await receive(Order), await receive(), await receive()]

    def body() -> list[Any]:
        return [receive(int), receive(Order), receive(), receive()]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(abody if is_async else body))
        stop = Stop()
        for message in ("text", Order(1), stop, 7):
            await handle.send(message)
        assert await handle == [7, Order(1), "text", stop]


async def test_a_type_may_be_whatever_pydantic_validates() -> None:
    @flow
    async def body() -> list[Any]:
        return [await receive(list[int]), await receive(dict[str, float])]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(body)
        for message in (["a"], {"a": 1.5}, [1, 2]):
            await handle.send(message)
        assert await handle == [[1, 2], {"a": 1.5}]


@bodies
async def test_a_timeout_is_a_time_of_the_runtimes_clock(is_async: bool) -> None:
    clock = ManualClock()

    async def abody() -> str:
        with pytest.raises(TimeoutError, match="was sent no such message within 60 s"):
            await receive(Order, timeout=60)
        return "gave up"

    def body() -> str:
        with pytest.raises(TimeoutError, match="was sent no such message within 60 s"):
            receive(Order, timeout=60)
        return "gave up"

    async with open_runtime(clock=clock) as runtime:
        handle: Handle[Any] = runtime.submit(flow(abody if is_async else body, name="waits"))
        await until(lambda: live(runtime, handle).inbox.is_watched)
        await handle.send("no order")
        await at_rest()
        clock.advance(59)
        await at_rest()
        assert not handle.done()
        clock.advance(1)
        assert await handle == "gave up"


@bodies
async def test_a_timeout_of_0_only_looks(is_async: bool) -> None:
    gate = Gate()

    async def abody() -> Any:
        with pytest.raises(TimeoutError):
            await receive(Order, timeout=0)
        await gate.astop_here()
        return await receive(Order, timeout=0)

    def body() -> Any:
        with pytest.raises(TimeoutError):
            receive(Order, timeout=0)
        gate.stop_here()
        return receive(Order, timeout=0)

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(abody if is_async else body))
        await gate.reached()
        await handle.send(Order(1))
        gate.open()
        assert await handle == Order(1)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True])
async def test_a_timeout_that_cannot_be_is_refused(timeout: Any) -> None:
    @flow
    async def body() -> None:
        await receive(Order, timeout=timeout)

    async with open_runtime() as runtime:
        with pytest.raises((TypeError, ValueError), match=r"timeout of receive\(\) must be"):
            await runtime.submit(body)


@bodies
async def test_a_cancel_ends_a_body_that_waits_for_a_message(is_async: bool) -> None:
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle: Handle[Any] = runtime.submit(made("flow", a_clerk(is_async)))
            await until(lambda: live(runtime, handle).inbox.is_watched)
            await handle.cancel("closed")
            await wait([handle])
            assert handle.state.is_cancelled()
            with pytest.raises(CancelledRun):
                await handle


@bodies
async def test_what_an_attempt_left_in_the_mailbox_its_retry_finds(is_async: bool) -> None:
    first = Gate()
    attempts: list[int] = []

    async def abody() -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            assert await receive(Order) == Order(1)
            await first.astop_here()
            raise ValueError("again")
        return await receive(Order)

    def body() -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            assert receive(Order) == Order(1)
            first.stop_here()
            raise ValueError("again")
        return receive(Order)

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(abody if is_async else body, name="retries", retries=1))
        await handle.send(Order(1))
        await handle.send(Order(2))
        await first.reached()
        first.open()
        assert await handle == Order(2)


async def test_a_receiver_that_is_cancelled_in_the_moment_of_a_message_loses_none() -> None:
    sent = list(range(60))

    @flow
    async def body() -> list[int]:
        got: list[int] = []

        async def hasty(scope: anyio.CancelScope) -> None:
            with scope:
                got.append(await receive(int))

        for number in sent:
            async with anyio.create_task_group() as group:
                scope = anyio.CancelScope()
                group.start_soon(hasty, scope)
                if number % 3:
                    await anyio.wait_all_tasks_blocked()
                if number % 2:
                    scope.cancel()
                    await handle.send(number)
                else:
                    await handle.send(number)
                    scope.cancel()
        return got + [await receive(int, timeout=0) for _ in range(len(sent) - len(got))]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(body)
        assert await handle == sent


async def test_a_receiver_is_cancelled_though_its_message_is_there_and_that_stays() -> None:
    @flow
    async def body() -> list[int]:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await receive(int)
        return [await receive(int, timeout=0), await receive(int, timeout=0)]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(body)
        await handle.send(1)
        await handle.send(2)
        assert await handle == [1, 2]


async def test_a_body_that_outlives_every_error_holds_nobody_up_when_it_is_cancelled() -> None:
    caught = 0
    enough = 1_000_000  # at some 10 us each, for who does not let go of the loop; who does is cancelled long before

    @flow
    async def stubborn() -> None:
        nonlocal caught
        while caught < enough:
            try:
                await receive(int)
            except Exception:
                caught += 1

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(stubborn)
        await until(lambda: live(runtime, handle).inbox.is_watched)
        live(runtime, handle).send(1)  # wakes it in the very moment in which it is told to stop
        live(runtime, handle).stop_body(1, "it was cancelled.")
        await handle.cancel()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert 0 < caught < enough


async def test_of_several_receivers_of_one_run_each_message_has_one() -> None:
    @flow
    async def body() -> list[int]:
        got: list[int] = []

        async def worker() -> None:
            while (number := await receive(int)) >= 0:
                got.append(number)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(worker)
        return got

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(body)
        for number in range(200):
            await handle.send(number)
        for _ in range(4):
            await handle.send(-1)
        assert sorted(await handle) == list(range(200))


async def test_messages_sent_in_threads_arrive_each_once_those_of_a_thread_in_order() -> None:
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(made("flow", a_clerk(is_async=True)))

        def send(first: int) -> None:
            for number in range(first, first + 50):
                handle.send(Order(number))

        threads = [threading.Thread(target=send, args=[first]) for first in (0, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
        await handle.send(Stop())
        got = await handle
    for first in (0, 100, 200):
        assert [number for number in got if first <= number < first + 50] == list(range(first, first + 50))
    assert len(got) == 150


async def test_a_sync_task_called_in_a_sync_flow_has_a_mailbox_of_its_own() -> None:
    runs: list[Any] = []

    @task
    def inner() -> Any:
        return receive(int)

    @flow
    def outer() -> list[Any]:
        handle = inner.submit()
        runs.append(handle)
        return [handle.result(), receive(int)]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(outer)
        await handle.send(1)
        await until(lambda: bool(runs))
        await runs[0].send(2)
        assert await handle == [2, 1]


async def test_a_message_to_a_run_that_has_ended_is_refused_with_its_state() -> None:
    @flow
    async def brief() -> None: ...

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(brief)
        await handle
        with pytest.raises(RunIsFinal, match="already Completed: it has ended, and nothing reaches it"):
            await handle.send(1)


@pytest.mark.parametrize("timeout", [None, 0, 60])
async def test_an_abandoned_body_that_outlives_its_runtime_hears_that_it_was_cancelled(timeout: float | None) -> None:
    gate, told = Gate(), list[BaseException]()
    ended = threading.Event()

    @flow
    def stubborn() -> None:
        with no_interrupt():
            gate.stop_here()
            try:
                receive(int, timeout=timeout)
            except BaseException as error:
                told.append(error)
            ended.set()

    async with open_runtime(cancel_grace_seconds=0.1) as runtime:
        handle: Handle[Any] = runtime.submit(stubborn)
        await gate.reached()
        await handle.cancel()
        await wait([handle])
    gate.open()
    assert await anyio.to_thread.run_sync(ended.wait, 10)
    assert [type(error) for error in told] == [CancelledRun]


async def test_a_mailbox_that_is_full_says_so_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAILBOX_LIMIT", 3)
    monkeypatch.setattr(live_run, "MAILBOX_LIMIT", 3)
    gate = Gate()

    @flow
    async def late() -> list[int]:
        await gate.astop_here()
        return [await receive(int) for _ in range(3)]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(late)
        for number in range(3):
            await handle.send(number)
        with pytest.raises(MailboxFull, match="has 3 messages that it has not received"):
            await handle.send(3)
        gate.open()
        assert await handle == [0, 1, 2]


async def test_messages_that_no_body_received_are_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="deaf"))
        await gate.reached()
        await handle.send(1)
        await handle.send(2)
        gate.open()
        await handle
    assert "2 messages were not received" in caplog.text


async def test_the_mailbox_outlives_the_runs_actor() -> None:
    """Its successor ends the run as crashed; a body that waits in it is ended, and sending says that it has ended."""
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(made("flow", a_clerk(is_async=True)))
        await until(lambda: live(runtime, handle).inbox.is_watched)
        await handle.send(Order(1))
        ref = live(runtime, handle).ref
        assert ref is not None
        ref.kill()
        await wait([handle])
        assert handle.state.is_crashed()
        with pytest.raises(RunIsFinal):
            await handle.send(Order(2))


async def test_receive_is_for_bodies_alone() -> None:
    told: list[BaseException] = []

    async def asks(*_: object) -> None:
        try:
            await receive()
        except MissingContextError as error:
            told.append(error)

    @flow(on_completion=[asks])
    async def body() -> None: ...

    async with Runtime() as runtime:
        await runtime.submit(body)
        with pytest.raises(MissingContextError, match="call it in the body of a flow or task"):
            receive()
    assert len(told) == 1
