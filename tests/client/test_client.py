"""The client: runs reached through the journal alone, as from another process."""

from __future__ import annotations

import threading
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import anyio
import anyio.to_thread
import pytest
from tests.client.elsewhere import commands, reached, sees_nothing
from tests.engine.faults import kill, leaks_no_task, live, names
from tests.engine.gate import Gate
from tests.engine.phases import BEFORE_THE_END, Phase, name_of
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, kinds, made, started
from tests.engine.watched import at_rest, open_runtime, until

from actwright import Handle, Runtime, flow, receive, run_flow, task, wait
from actwright.client import RemoteRun, get_client, requests
from actwright.engine import inbox
from actwright.exceptions import (
    AuthoringError,
    JournalLocation,
    RunError,
    RunIsFinal,
    UnansweredCommand,
)
from actwright.journal import command_watch
from actwright.journal.command_watch import CommandWatch
from actwright.nodes.journal import close_journals

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@dataclass
class Order:
    number: int


# Cancels


@pytest.mark.parametrize("phase", BEFORE_THE_END, ids=name_of)
async def test_a_cancel_from_elsewhere_is_as_one_by_the_handle(phase: Phase, recorder: Recorder) -> None:
    gate = Gate()
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle = await phase(runtime, recorder, gate)
            async with reached(handle) as run:
                await run.cancel("enough")
                assert not handle.state.is_final() or handle.state.is_cancelled()
                gate.open()
                await wait([handle])
                assert await run.wait()
                assert run.state.is_cancelled()
            assert handle.state.message == "enough"
            assert names(runtime, handle)[-2:] == ["Cancelling", "Cancelled"]
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]
    assert commands() == [("cancel", '["accepted",""]')]


@kinds
@bodies
async def test_flows_and_tasks_are_cancelled_by_sync_code_elsewhere(kind: str, is_async: bool) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle = started(runtime, made(kind, gate.astop_here if is_async else gate.stop_here, name="waits"))
        await gate.reached()
        await at_rest()

        def cancel() -> None:
            with get_client(sync_client=True) as client:
                run = client.get_run(str(handle.id))
                assert (run.id, run.name, run.state.name) == (handle.id, handle.name, "Running")
                run.cancel("from a thread")
                assert run.refresh().state.is_cancelling() or run.state.is_cancelled()
                gate.open()
                assert run.wait(20)
                assert run.state.is_cancelled()

        await anyio.to_thread.run_sync(cancel)
        await wait([handle])
        assert handle.state.message == "from a thread"


async def test_a_reason_is_text_and_any_text_will_do() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        wrong: Any = 5
        with pytest.raises(TypeError, match="reason must be text"):
            await handle.cancel(wrong)
        with pytest.raises(TypeError, match="reason must be text"):
            await runtime.cancel(handle.id, wrong)
        async with reached(handle) as run:
            with pytest.raises(TypeError, match="reason must be text"):
                await run.cancel(wrong)
            assert commands() == []
            assert not handle.done()
            await run.cancel("no UTF-8: \udcff")
        await wait([handle])
        assert handle.state.message == "no UTF-8: \\udcff"


async def test_a_second_cancel_is_no_error_and_the_first_reason_stands() -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        await gate.astop_here()

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(anyio.sleep_forever, name="f", on_cancellation=[slow]))
        async with reached(handle) as run:
            await run.cancel("first")
            await gate.reached()
            await run.cancel("second")
            gate.open()
            assert await run.wait()
            assert run.state.message == "first"


async def test_cancels_of_a_run_that_has_ended_name_its_state_and_leave_no_request() -> None:
    @flow
    async def brief() -> None: ...

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(brief)
        await handle
        async with reached(handle) as run:
            with pytest.raises(RunIsFinal, match="already Completed"):
                await run.cancel()
            with pytest.raises(RunIsFinal, match="already Completed"):
                await run.send("hello")
    assert commands() == []


async def test_a_run_that_ends_between_the_request_and_the_look_answers_with_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_watch, "LOOK_SECONDS", 0.3)
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="ends"))
        await gate.reached()
        async with reached(handle) as run, anyio.create_task_group() as group:

            async def cancel() -> None:
                with pytest.raises(RunIsFinal, match="already Completed"):
                    await run.cancel()

            group.start_soon(cancel)
            await until(lambda: len(commands()) == 1)
            gate.open()
            await handle
    assert commands() == [("cancel", '["final","Completed"]')]


async def test_a_process_that_closes_without_another_look_answers_that_the_run_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CommandWatch, "_look", sees_nothing)
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="ends"))
        await gate.reached()
        async with reached(handle) as run, anyio.create_task_group() as group:

            async def cancel() -> None:
                with pytest.raises(RunIsFinal, match="already Completed"):
                    await run.cancel()

            group.start_soon(cancel)
            await until(lambda: len(commands()) == 1)
            gate.open()
            await handle
            await anyio.to_thread.run_sync(close_journals)


async def test_with_no_runtime_left_a_process_answers_that_the_run_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    look = CommandWatch._look  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(CommandWatch, "_look", sees_nothing)
    gate = Gate()
    async with anyio.create_task_group() as group, AsyncExitStack() as stack:
        async with open_runtime() as runtime:
            handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="ends"))
            await gate.reached()
            run = await stack.enter_async_context(reached(handle))

            async def send() -> None:
                with pytest.raises(RunIsFinal, match="already Completed"):
                    await run.send("too late")
                answered.set()

            answered = anyio.Event()
            group.start_soon(send)
            await until(lambda: len(commands()) == 1)
            gate.open()
        monkeypatch.setattr(CommandWatch, "_look", look)
        await answered.wait()


async def test_a_cancel_reaches_children_first_and_a_task_run_by_itself_alone() -> None:
    gate = Gate()

    @task
    async def child() -> None:
        await gate.astop_here()

    @flow
    async def parent() -> str:
        handle = child.submit()
        children.append(handle)
        await wait([handle])
        return handle.state.name

    children: list[Handle[Any]] = []
    async with open_runtime() as runtime:
        parent_run: Handle[Any] = runtime.submit(parent)
        await gate.reached()
        async with reached(children[0]) as run:
            await run.cancel()
        assert await parent_run == "Cancelled"
        second: Handle[Any] = runtime.submit(parent)
        await until(lambda: len(children) == 2)
        async with reached(second) as run:
            await run.cancel("all of it")
            assert await run.wait()
        assert children[1].state.is_cancelled()
        assert children[1].state.timestamp <= second.state.timestamp


async def test_an_unknown_run_is_an_error_that_names_the_journal(actwright_home: Any) -> None:
    async with open_runtime() as runtime:
        await runtime.submit(flow(anyio.lowlevel.checkpoint, name="one"))
        async with get_client() as client:
            with pytest.raises(RunError, match=r"There is no run .* in .*actwright\.db"):
                await client.get_run(uuid4())
            with pytest.raises(RunError, match="Expected the id of a run"):
                await client.get_run("nightly")
            with pytest.raises(RunError, match="There is no run"):
                async for _ in RemoteRun(client._journal.database, _unknown(await client.runs())).events():  # pyright: ignore[reportPrivateUsage]
                    pass


def _unknown(runs: list[Any]) -> Any:
    return runs[0].model_copy(update={"id": uuid4()})


async def test_with_a_timeout_that_is_no_number_nothing_is_asked() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            wrong: Any = None
            with pytest.raises(TypeError):
                await run.cancel(timeout=wrong)
        assert commands() == []
        gate.open()


async def test_a_run_that_is_deleted_as_something_is_asked_of_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            snapshot = run.run.model_copy(update={"id": uuid4()})

            def seen_before(*_: object) -> Any:
                return snapshot

            monkeypatch.setattr(requests, "known_run", seen_before)
            with pytest.raises(RunError, match="was deleted"):
                await RemoteRun(run._database, snapshot).cancel()  # pyright: ignore[reportPrivateUsage]
        assert commands() == []
        gate.open()


async def test_a_process_that_does_not_answer_is_said_to_and_the_request_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        monkeypatch.setattr(CommandWatch, "_look", sees_nothing)
        async with reached(handle) as run:
            with pytest.raises(UnansweredCommand, match=r"has not answered for 0\.2 s.*The request is kept"):
                await run.cancel(timeout=0.2)
            assert not await run.wait(0.1)
            monkeypatch.undo()
            assert await run.wait()
            assert run.state.is_cancelled()


async def test_who_asks_may_be_cancelled_and_the_request_stands() -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        await gate.astop_here()

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(anyio.sleep_forever, name="f", on_cancellation=[slow]))
        async with reached(handle) as run:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(run.cancel)
                    await until(lambda: len(commands()) == 1)
                    scope.cancel()
            gate.open()
            assert await run.wait()
            assert run.state.is_cancelled()


async def test_a_run_whose_actor_has_just_died_is_ended_by_its_successor_and_the_cancel_hears_of_it() -> None:
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(anyio.sleep_forever, name="dies"))
        async with reached(handle) as run:
            kill(runtime, handle)
            with suppress(RunIsFinal):
                await run.cancel()
            assert await run.wait()
        await wait([handle])
        assert handle.state.is_crashed() or handle.state.is_cancelled()


# Messages


async def test_messages_of_another_process_arrive_in_order_and_once() -> None:
    @flow
    async def clerk() -> list[int]:
        return [(await receive(Order)).number for _ in range(60)]

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(clerk)
        async with reached(handle) as run:
            async with anyio.create_task_group() as group:

                async def send(first: int) -> None:
                    for number in range(first, first + 20):
                        await run.send(Order(number))

                for first in (0, 100, 200):
                    group.start_soon(send, first)
            got = await handle
    for first in (0, 100, 200):
        assert [number for number in got if first <= number < first + 20] == list(range(first, first + 20))
    assert len(got) == 60


@bodies
async def test_a_message_of_another_process_wakes_a_body_that_waits(is_async: bool) -> None:
    async def abody() -> Any:
        return await receive(Order)

    def body() -> Any:
        return receive(Order)

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(abody if is_async else body, name="waits"))
        await until(lambda: live(runtime, handle).inbox.is_watched)
        async with reached(handle) as run:
            await run.send(Order(5))
        assert await handle == Order(5)


async def test_what_is_no_json_is_refused_before_anything_is_written() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            with pytest.raises(AuthoringError, match="must be JSON"):
                await run.send(threading.Lock())
        gate.open()
    assert commands() == []


async def test_a_full_mailbox_refuses_with_what_it_would_have_said_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAILBOX_LIMIT", 1)
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="deaf"))
        await gate.reached()
        async with reached(handle) as run:
            await run.send(1)
            with pytest.raises(RunError, match="messages that it has not received"):
                await run.send(2)
        gate.open()


# Reading


async def test_events_of_another_process_run_are_followed_to_the_end() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            seen: list[str] = []
            last = 0
            async for event in run.events():
                seen.append(event.state.name)
                last = event.seq
                gate.open()
            assert seen == ["Pending", "Running", "Completed"]
            with anyio.fail_after(10):
                assert [event async for event in run.events(since=last)] == []
            assert run.state.name == "Running"  # a snapshot
            assert (await run.refresh()).state.name == "Completed"


async def test_runs_are_found_by_what_they_are() -> None:
    @flow(name="one")
    async def one() -> None: ...

    @flow(name="two")
    async def two() -> None:
        await one()

    async with Runtime():
        await run_flow(one)
        await run_flow(two)
        await at_rest()
    async with get_client() as client:
        assert [run.title for run in await client.runs(flow="one")] == [(await client.runs(flow="one"))[0].title]
        assert len(await client.runs()) == 2
        assert len(await client.runs(called=True)) == 3
        assert len(await client.runs(limit=1)) == 1
        assert await client.runs(states=["failed"]) == []


async def test_without_a_journal_a_client_says_so_and_makes_none(actwright_home: Any) -> None:
    with pytest.raises(JournalLocation):
        async with get_client():
            pass
    with pytest.raises(JournalLocation):
        get_client(sync_client=True).__enter__()
    assert not actwright_home.is_dir()


async def test_a_client_is_used_in_its_block_and_that_is_named() -> None:
    sync_client, client = get_client(sync_client=True), get_client()
    async with Runtime():
        await run_flow(flow(lambda: None, name="made"))
    for _ in range(2):  # before, and after
        with pytest.raises(RuntimeError, match=r"used in its block: `with get_client\(sync_client=True\) as client:`"):
            sync_client.get_run(UUID(int=0))
        with pytest.raises(RuntimeError, match=r"used in its block: `async with get_client\(\) as client:`"):
            await client.runs()
        with sync_client, pytest.raises(RuntimeError, match="in use already"):
            sync_client.__enter__()
        async with client:
            assert len(await client.runs()) == 1


async def test_filters_that_would_find_nothing_for_want_of_a_list_are_refused(actwright_home: Any) -> None:
    made = flow(lambda: None, name="made")
    async with Runtime():
        await run_flow(made)
    wrong: Any = {"states": "Completed", "tags": "nightly", "flow": made}
    async with get_client() as client:
        for name, given in wrong.items():
            with pytest.raises(TypeError, match=f"{name} must be .*; got .*{given!r}"):
                await client.runs(**{name: given})
        assert len(await client.runs(states=("Completed",), tags=(), flow="made")) == 1
