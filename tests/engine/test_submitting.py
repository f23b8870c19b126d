"""`submit` and `map`, and waiting for what they start: in sync code and in async code."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import anyio
import pytest
from tests.engine.gate import Gate
from tests.engine.watched import open_runtime

from actwright import (
    Completed,
    Failed,
    Handle,
    Runtime,
    allow_failure,
    as_completed,
    flow,
    run_flow,
    runtime,
    task,
    unmapped,
    wait,
)
from actwright.exceptions import MappingLengthMismatch, RuntimeClosed, UnfinishedRun, UpstreamFailed

WATCHDOG_SECONDS = 20


@task
def double(number: int) -> int:
    return 2 * number


@task
async def triple(number: int) -> int:
    return 3 * number


@task
def add(one: int, other: int) -> int:
    return one + other


@task
def fail(message: str) -> int:
    raise ValueError(message)


@task
def stop_at(gate: Gate) -> str:
    gate.stop_here()
    return "it went on"


@task
def shown(value: object) -> object:
    return value


# In sync code


def test_sync_code_waits_for_a_future_with_result(background_backend: str) -> None:
    gate = Gate()
    handle = stop_at.submit(gate)
    with pytest.raises(UnfinishedRun, match=r"after 0\.01 s.*It goes on") as caught:
        handle.result(timeout=0.01)
    assert caught.value.run_id == handle.id
    assert not handle.wait(timeout=0.01)
    assert not handle.done()
    assert not handle.state.is_final()
    gate.open()
    assert handle.result(timeout=WATCHDOG_SECONDS) == "it went on"
    assert handle.done()
    assert handle.wait()
    assert handle.state.is_completed()


def test_result_raises_what_the_body_raised_or_returns_it_where_that_is_wanted(background_backend: str) -> None:
    handle = fail.submit("oops")
    with pytest.raises(ValueError, match="oops") as caught:
        handle.result()
    assert handle.result(raise_on_failure=False) is caught.value
    assert handle.wait()
    assert handle.state.name == "Failed"


def test_sync_code_maps_and_collects(background_backend: str) -> None:
    handles = double.map([1, 2, 3])
    assert handles.result(timeout=WATCHDOG_SECONDS) == [2, 4, 6]
    assert handles.wait()
    assert [state.name for state in handles.states] == ["Completed"] * 3
    assert triple.map([1, 2, 3]).result() == [3, 6, 9]


def test_sync_code_waits_for_all_and_is_told_which_are_not_done(background_backend: str) -> None:
    gate = Gate()
    quick, slow = double.submit(1), stop_at.submit(gate)
    quick.wait()
    handles: list[Handle[Any]] = [quick, slow]
    done, not_done = wait(handles, timeout=0.01)
    assert (done, not_done) == ({quick}, {slow})
    gate.open()
    ended = wait(handles)
    assert ended.done == {quick, slow}
    assert ended.not_done == set()


def test_sync_code_gets_futures_as_they_complete(background_backend: str) -> None:
    gates = [Gate(), Gate(), Gate()]
    handles = stop_at.map(gates)
    order = [2, 0, 1]
    gates[order[0]].open()
    came: list[int] = []
    for handle in as_completed(handles, timeout=WATCHDOG_SECONDS):
        came.append(handles.index(handle))
        if len(came) < 3:
            gates[order[len(came)]].open()
    assert came == order


def test_as_completed_in_sync_code_gives_up_at_its_timeout_and_names_what_is_left(background_backend: str) -> None:
    gate = Gate()
    quick, slow = double.submit(1), stop_at.submit(gate)
    quick.wait()
    handles: list[Handle[Any]] = [slow, quick]
    iteration = iter(as_completed(handles, timeout=0.02))
    assert next(iteration) is quick
    with pytest.raises(TimeoutError, match=rf"1 of 2 runs are not done after 0\.02 s: '{slow.name}'"):
        next(iteration)
    gate.open()
    slow.wait()


def test_sync_code_cancels_a_run_and_goes_on_once_it_is_cancelling(background_backend: str) -> None:
    @task
    async def sleeps() -> None:
        started.set()
        await anyio.sleep_forever()

    started = threading.Event()
    handle = sleeps.submit()
    assert started.wait(WATCHDOG_SECONDS)
    handle.cancel("enough")
    assert handle.state.name in ("Cancelling", "Cancelled")
    assert handle.wait(timeout=WATCHDOG_SECONDS)
    assert handle.state.name == "Cancelled"


# In async code


@pytest.mark.anyio
async def test_async_code_awaits_a_future_as_often_as_it_likes() -> None:
    async with open_runtime():
        sync, on_loop = double.submit(4), triple.submit(4)
        assert [await sync, await on_loop, await sync] == [8, 12, 8]
        with pytest.raises(ValueError, match="oops"):
            await fail.submit("oops")


@pytest.mark.anyio
async def test_a_future_that_is_awaited_is_not_cancelled_with_the_one_who_waits() -> None:
    gate = Gate()
    async with open_runtime():
        handle = stop_at.submit(gate)
        await gate.reached()
        with anyio.move_on_after(0):
            await handle
        gate.open()
        assert await handle == "it went on"


@pytest.mark.anyio
async def test_async_code_maps_and_collects() -> None:
    async with open_runtime():
        handles = triple.map([1, 2, 3])
        assert await handles == [3, 6, 9]
        assert handles.result() == [3, 6, 9]
        assert await double.map([]) == []


@pytest.mark.anyio
async def test_async_code_waits_for_all_and_is_told_which_are_not_done() -> None:
    gate = Gate()
    async with open_runtime():
        quick, slow = double.submit(1), stop_at.submit(gate)
        await quick
        handles: list[Handle[Any]] = [quick, slow]
        with pytest.raises(UnfinishedRun, match=r"await wait\(handles\)"):
            _ = wait(handles).done
        done, not_done = await wait(handles, timeout=0.01)
        assert (done, not_done) == ({quick}, {slow})
        gate.open()
        assert (await wait(handles)).done == {quick, slow}


@pytest.mark.anyio
async def test_async_code_gets_futures_as_they_complete() -> None:
    gates = [Gate(), Gate(), Gate()]
    order = [2, 0, 1]
    came: list[int] = []
    async with open_runtime():
        handles = stop_at.map(gates)
        gates[order[0]].open()
        async for handle in as_completed(handles):
            came.append(handles.index(handle))
            if len(came) < 3:
                gates[order[len(came)]].open()
    assert came == order


@pytest.mark.anyio
async def test_as_completed_in_async_code_gives_up_at_its_timeout() -> None:
    gate = Gate()
    async with open_runtime():
        handle = stop_at.submit(gate)
        with pytest.raises(TimeoutError, match=r"1 of 1 runs are not done after 0\.02 s"):
            async for _ in as_completed([handle], timeout=0.02):
                pass
        gate.open()


@pytest.mark.anyio
async def test_async_code_without_a_runtime_cannot_submit_and_is_told_so() -> None:
    with pytest.raises(RuntimeClosed, match=r"open one: `async with Runtime\(\):`"):
        double.submit(1)


# Arguments: tested in a flow, as they are used. The sync flow runs in a thread, the async one on the loop.


@flow
def maps_words() -> list[int]:
    return [
        *add.map([1, 2], [10, 20]).result(),
        *add.map([1, 2], unmapped(5)).result(),
        *add.map(double.map([1, 2]), other=1).result(),
    ]


@flow
async def maps_words_async() -> list[int]:
    return [
        *await add.map([1, 2], [10, 20]),
        *await add.map([1, 2], unmapped(5)),
        *await add.map(double.map([1, 2]), other=1),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("work", [maps_words, maps_words_async], ids=["sync", "async"])
async def test_map_takes_lists_side_by_side_unmapped_values_and_futures(work: Any) -> None:
    async with open_runtime():
        assert await run_flow(work) == [11, 22, 6, 7, 3, 5]


@pytest.mark.anyio
async def test_map_over_different_lengths_starts_nothing() -> None:
    async with open_runtime() as opened:
        with pytest.raises(MappingLengthMismatch, match="one: 2, other: 3"):
            add.map([1, 2], [1, 2, 3])
        assert opened.journal.runs() == []


def nested(one: Any, other: Any) -> tuple[Any, Any]:
    """Futures at every depth, and what they are to become."""
    given = {"list": [one, (other, {"deep": [one]})], "set": {1, 2}, "plain": "text"}
    expected = {"list": [2, (6, {"deep": [2]})], "set": {1, 2}, "plain": "text"}
    return given, expected


@flow
def passes_futures() -> bool:
    given, expected = nested(double.submit(1), triple.submit(2))
    return bool(shown.submit(given).result() == shown(given) == expected)


@flow
async def passes_futures_async() -> bool:
    given, expected = nested(double.submit(1), triple.submit(2))
    return bool(await shown.submit(given) == shown(given) == expected)


@pytest.mark.anyio
@pytest.mark.parametrize("work", [passes_futures, passes_futures_async], ids=["sync", "async"])
async def test_futures_in_arguments_are_waited_for_and_replaced_at_every_depth(work: Any) -> None:
    async with open_runtime():
        assert await run_flow(work)


@pytest.mark.anyio
async def test_a_future_in_a_tuple_that_says_it_is_false_is_replaced_as_in_any_other() -> None:
    class Outcome(NamedTuple):
        value: Any

        def __bool__(self) -> bool:
            return False

    async with open_runtime():
        got: Any = await shown.submit(Outcome(double.submit(1)))
    assert got.value == 2


@pytest.mark.anyio
async def test_an_argument_without_futures_is_the_very_object_that_was_given() -> None:
    value = {"rows": [object()]}
    async with open_runtime():
        assert await shown.submit(value) is value


@pytest.mark.anyio
async def test_a_list_that_holds_itself_is_a_fine_argument() -> None:
    value: list[Any] = []
    value.append(value)
    async with open_runtime():
        assert await shown.submit(value) is value


@pytest.mark.anyio
async def test_a_run_whose_argument_failed_fails_without_starting_and_names_it() -> None:
    async with open_runtime():
        failed: Any = fail.submit("oops")
        handle = double.submit(failed)
        with pytest.raises(
            UpstreamFailed, match=rf"task run '{failed.name}', which is Failed.*allow_failure"
        ) as caught:
            await handle
        assert isinstance(caught.value.__cause__, ValueError)
        assert handle.run.run_count == 0


@pytest.mark.anyio
async def test_an_argument_in_allow_failure_becomes_the_exception() -> None:
    async with open_runtime():
        failed, fine = fail.submit("oops"), double.submit(1)
        got: Any = await shown.submit({"failed": allow_failure(failed), "fine": allow_failure(fine)})
    assert (type(got["failed"]), str(got["failed"]), got["fine"]) == (ValueError, "oops", 2)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["submitted", "called", "mapped"])
async def test_a_run_waits_for_what_wait_for_names(how: str) -> None:
    gate, order = Gate(), list[str]()

    @task
    def first() -> None:
        gate.stop_here()
        order.append("first")

    @task
    def second(number: int = 0) -> None:
        order.append("second")

    @flow
    def work() -> None:
        before = first.submit()
        if how == "submitted":
            second.submit(wait_for=[before]).wait()
        elif how == "mapped":
            second.map([1], wait_for=[before]).wait()
        else:
            second(wait_for=[before])

    async with open_runtime() as opened:
        handle = opened.submit(work)
        await gate.reached()
        await anyio.wait_all_tasks_blocked()
        assert order == []
        gate.open()
        await handle
    assert order == ["first", "second"]


@pytest.mark.anyio
async def test_a_run_fails_when_what_it_waits_for_fails_unless_that_is_allowed() -> None:
    async with open_runtime():
        failed = fail.submit("oops")
        with pytest.raises(UpstreamFailed, match="which is Failed"):
            await double.submit(1, wait_for=[failed])
        for allowed in ([allow_failure(failed)], [[allow_failure(failed)]]):
            assert await double.submit(1, wait_for=allowed) == 2


@pytest.mark.anyio
async def test_a_state_in_wait_for_counts_as_its_run_does_and_a_result_is_there_already() -> None:
    async with open_runtime():
        with pytest.raises(UpstreamFailed, match="waits for a run, which is Failed"):
            await double.submit(1, wait_for=[[Completed(), Failed(message="oops")]])
        assert await double.submit(1, wait_for=[Completed(), allow_failure(Failed()), None, 3]) == 2


@pytest.mark.anyio
async def test_what_failed_first_in_the_order_of_wait_for_is_named() -> None:
    async with open_runtime():
        both = [fail.with_options(task_run_name=name).submit("oops") for name in ("first", "second")]
        with pytest.raises(UpstreamFailed, match="task run 'first', which is Failed"):
            await double.submit(1, wait_for=both)


@pytest.mark.parametrize("ask", [wait, as_completed])
def test_what_is_no_list_of_futures_cannot_be_waited_for(ask: Any, background_backend: str) -> None:
    handle = double.submit(1)
    name = ask.__name__
    with pytest.raises(
        TypeError, match=rf"^{name}\(\) takes a list of futures; got Handle\. Write {name}\(\[\.\.\.\]\)"
    ):
        ask(handle)
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes a list of futures, as .*; got 3 in it"):
        ask([handle, 3])
    assert handle.result() == 2


# Tasks outside of flows, in tasks, and in classes


def test_in_a_script_a_task_runs_without_a_flow(background_backend: str) -> None:
    assert double(2) == 4
    assert double.submit(2).result() == 4
    state: Any = fail("oops", return_state=True)
    assert state.name == "Failed"


@pytest.mark.anyio
async def test_in_a_runtime_a_task_runs_without_a_flow() -> None:
    async with open_runtime() as opened:
        assert [double(2), await triple(2), await double.submit(2)] == [4, 6, 4]
        runs = opened.journal.runs()
    assert [run.kind for run in runs] == ["task"] * 3
    assert [run.parent_id for run in runs] == [None] * 3


@pytest.mark.anyio
async def test_without_a_runtime_an_async_task_opens_one_for_its_call() -> None:
    @task
    async def doubles() -> int:
        return await double.submit(21)

    assert await doubles() == 42


@task
def outer_task() -> list[Any]:
    return [runtime.task_run.id, inner_task(), inner_task.submit().result()]


@task
def inner_task() -> tuple[Any, Any]:
    return runtime.task_run.parent_task_run_id, runtime.task_run.flow_run_id


@pytest.mark.anyio
async def test_a_task_called_or_submitted_in_a_task_is_its_child_in_the_same_flow_run() -> None:
    @flow
    async def work() -> tuple[Any, list[Any]]:
        return runtime.flow_run.id, await outer_task.submit()

    async with open_runtime():
        flow_run_id, (outer_id, called, submitted) = await work()
    assert called == submitted == (outer_id, flow_run_id)


class Account:
    """Flows and tasks as methods."""

    kind = "current"

    def __init__(self, owner: str) -> None:
        self.owner = owner

    @task
    def greet(self, word: str) -> str:
        return f"{word} {self.owner}"

    @task
    @classmethod
    def name_kind(cls) -> str:
        return cls.kind

    @staticmethod
    @task
    def shout(word: str) -> str:
        return word.upper()

    @flow
    def visit(self) -> list[str]:
        return [self.greet("hello"), *self.greet.map(["good", "bye"]).result(), self.name_kind(), Account.shout("hey")]

    @flow
    async def visit_async(self) -> str:
        return await self.greet.submit("hello")


VISITED = ["hello Ada", "good Ada", "bye Ada", "current", "HEY"]


def test_methods_are_flows_and_tasks_in_a_script(background_backend: str) -> None:
    assert Account("Ada").visit() == VISITED


@pytest.mark.anyio
async def test_methods_are_flows_and_tasks_in_a_runtime() -> None:
    account = Account("Ada")
    async with Runtime() as opened:
        assert await run_flow(account.visit) == VISITED
        assert await account.visit_async() == "hello Ada"
        assert await opened.submit(account.visit) == VISITED
