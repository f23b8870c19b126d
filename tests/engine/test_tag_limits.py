"""Limits of tags: a run with such a tag is Running only while it has a slot of each."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.engine.gate import Gate
from tests.engine.slots import Inside, held, is_waiting, nothing_is_left, slot_rows, waiting
from tests.engine.watched import open_runtime, until

from actwright import Handle, TagLimit, flow, run_flow, task
from actwright.exceptions import CancelledRun, RunTimedOut
from actwright.journal.slot_queue import LOOK_SECONDS, SlotQueue
from actwright.models.slots import Claim
from actwright.testing import open_runtime as open_harness
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@flow(tags=["db"])
async def works(gate: Gate) -> None:
    await gate.astop_here()


@flow(tags=["db"])
def works_in_a_thread(gate: Gate) -> None:
    gate.stop_here()


workers = pytest.mark.parametrize("worker", [works, works_in_a_thread], ids=["async", "sync"])


def states_of(runtime: Any, handle: Handle[Any]) -> list[str]:
    return [step.run.state.name for step in runtime.journal.transitions(handle.id)]


async def crowd(size: int, limit: int) -> Inside:
    """Run that many tasks with the tag "db" side by side, and tell how many were inside at once.

    None leaves before as many as the limit lets in have met: how long a slot takes to be given decides nothing.
    """
    inside = Inside()

    @task(tags=["db"])
    async def queries() -> None:
        with inside.it():
            await until(lambda: inside.most >= limit)
            await checkpoint()

    @flow
    async def crowds() -> None:
        for run in [queries.submit() for _ in range(size)]:
            await run

    await crowds()
    return inside


async def test_at_most_the_limit_is_running_and_all_get_their_turn() -> None:
    async with open_runtime():
        await TagLimit.set("db", 3)
        inside = await crowd(30, limit=3)
        assert (inside.most, inside.entered) == (3, 30)
        await nothing_is_left()


@workers
async def test_a_run_is_pending_until_it_has_a_slot(worker: Any) -> None:
    first, second = Gate(), Gate()
    async with open_runtime() as runtime:
        await TagLimit.aset("db", 1)
        one = runtime.submit(worker, first)
        await first.reached()
        two = runtime.submit(worker, second)
        await until(is_waiting())
        assert two.state.is_pending()
        assert held() == [one.run.title]
        first.open()
        await second.reached()
        assert two.state.is_running()
        second.open()
        await one
        await two
        assert states_of(runtime, two) == ["Pending", "Running", "Completed"]
        await nothing_is_left()


@workers
async def test_cancelled_while_it_waits_it_is_cancelled_and_leaves_nothing(worker: Any) -> None:
    first, second, third = Gate(), Gate(), Gate()
    async with open_runtime() as runtime:
        await TagLimit.set("db", 1)
        one = runtime.submit(worker, first)
        await first.reached()
        two, three = runtime.submit(worker, second), runtime.submit(worker, third)
        await until(is_waiting(2))
        await two.cancel()
        with pytest.raises(CancelledRun):
            await two
        assert states_of(runtime, two) == ["Pending", "Cancelling", "Cancelled"]
        await until(lambda: waiting() == [three.run.title])
        first.open()
        third.open()
        await one
        await three
        assert not second.is_reached
        await nothing_is_left()


async def test_a_limit_of_0_holds_all_back_until_there_is_a_higher_one_or_none() -> None:
    first, second = Gate(), Gate()
    first.open()
    second.open()
    async with open_runtime() as runtime:
        await TagLimit.set("db", 0)
        one, two = runtime.submit(works, first), runtime.submit(works_in_a_thread, second)
        await until(is_waiting(2))
        assert not first.is_reached
        assert await TagLimit.delete("db")
        await one
        await two
        assert not await TagLimit.delete("db")
        assert (await TagLimit.get("db")).slots is None


async def test_it_has_no_slot_while_it_waits_to_be_tried_again_and_needs_one_for_that() -> None:
    clock, gate, attempts = ManualClock(), Gate(), Inside()

    @flow(tags=["db"], retries=1, retry_delay_seconds=60)
    async def fails_once() -> None:
        with attempts.it():
            if attempts.entered == 1:
                raise ValueError("try again")

    async with open_runtime(clock=clock) as runtime:
        await TagLimit.set("db", 1)
        retried = runtime.submit(fails_once)
        await until(lambda: retried.state.name == "AwaitingRetry")
        await nothing_is_left()
        other = runtime.submit(works, gate)
        await gate.reached()
        clock.advance(60)
        await until(is_waiting())
        assert retried.state.name == "AwaitingRetry"
        gate.open()
        await other
        await retried
        assert states_of(runtime, retried) == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]


async def test_the_hooks_of_a_final_state_run_without_it_and_those_of_running_and_cancelling_with_it() -> None:
    seen: dict[str, list[str]] = {}
    gate = Gate()

    async def look(flow: Any, run: Any, state: Any) -> None:
        if state.is_final():
            await nothing_is_left()  # a thread gives it back
        seen[state.name] = held()

    @flow(
        tags=["db"], flow_run_name="it", on_running=[look], on_completion=[look], on_cancellation=[look], on_end=[look]
    )
    async def hooked() -> None:
        await gate.astop_here()

    async with open_runtime() as runtime:
        await TagLimit.set("db", 1)
        one = runtime.submit(hooked)
        await gate.reached()
        await one.cancel()
        with pytest.raises(CancelledRun):
            await one
        gate.open()
        await hooked()
        own = ["Flow run 'it'"]
        assert seen == {"Running": own, "Cancelling": own, "Cancelled": [], "Completed": []}


async def test_what_a_run_calls_does_not_need_a_slot_that_it_lends() -> None:
    @task(tags=["db"])
    def inner_in_a_thread() -> int:
        return len(held())

    @task(tags=["db"])
    async def inner() -> int:
        return await inner_in_a_thread.submit()

    @flow(tags=["db"])
    async def outer() -> int:
        return await inner()

    @flow(tags=["db"])
    def outer_in_a_thread() -> int:
        return inner_in_a_thread()

    async with open_runtime():
        await TagLimit.set("db", 1)
        assert await outer() == 3
        assert await run_flow(outer_in_a_thread) == 2
        await nothing_is_left()


async def test_of_what_a_run_calls_at_once_one_has_the_slot_that_it_lends() -> None:
    inside = Inside()

    @task(tags=["db"])
    async def inner() -> None:
        with inside.it():
            await checkpoint()

    @flow(tags=["db"])
    async def outer() -> None:
        for run in [inner.submit() for _ in range(5)]:
            await run

    async with open_runtime():
        await TagLimit.set("db", 1)
        await outer()
        assert (inside.most, inside.entered) == (1, 5)


async def test_what_the_hook_of_a_running_run_calls_may_have_its_slot() -> None:
    @flow(tags=["db"])
    async def called() -> int:
        return len(held())

    async def calls(flow: Any, run: Any, state: Any) -> None:
        found.append(await called())

    @flow(tags=["db"], on_running=[calls])
    async def hooked() -> None: ...

    found: list[int] = []
    async with open_runtime():
        await TagLimit.set("db", 1)
        await hooked()
        assert found == [2]


@pytest.mark.parametrize("ends", ["abandoned", "timed out", "failed"])
async def test_however_an_attempt_ends_its_slot_is_free(ends: str) -> None:
    gate = Gate()

    @flow(tags=["db"], timeout_seconds=0.01 if ends == "timed out" else None)
    async def work() -> None:
        if ends == "failed":
            raise ValueError("no")
        with anyio.CancelScope(shield=ends == "abandoned"):
            await gate.astop_here()

    async with open_runtime(cancel_grace_seconds=0.01) as runtime:
        await TagLimit.set("db", 1)
        run = runtime.submit(work)
        if ends == "abandoned":
            await gate.reached()
            await run.cancel()
        with pytest.raises((CancelledRun, RunTimedOut, ValueError)):
            await run
        await nothing_is_left()
        gate.open()


async def test_a_run_with_two_limited_tags_needs_a_slot_of_each() -> None:
    first, second = Gate(), Gate()

    @flow(tags=["db", "api", "free"])
    async def both() -> None:
        await second.astop_here()

    async with open_runtime() as runtime:
        await TagLimit.set("db", 1)
        await TagLimit.set("api", 1)
        one = runtime.submit(works, first)
        await first.reached()
        two = runtime.submit(both)
        await until(is_waiting(2))
        first.open()
        await second.reached()
        assert sorted(row.name for row in slot_rows()) == ["api", "db"]
        second.open()
        await one
        await two


async def test_a_closing_runtime_leaves_no_slot_and_no_one_waiting() -> None:
    gate = Gate()
    async with open_runtime(on_exit="cancel") as runtime:
        await TagLimit.set("db", 1)
        runtime.submit(works, gate)
        await gate.reached()
        runtime.submit(works, Gate())
        await until(is_waiting())
    await nothing_is_left()


async def test_with_a_journal_in_memory_it_holds_within_the_process() -> None:
    async with open_runtime(journal="memory"):
        assert (await TagLimit.set("db", 2)).slots == 2
        inside = await crowd(10, limit=2)
        assert (inside.most, inside.entered) == (2, 10)
        assert repr(await TagLimit.aget("db")) == "TagLimit('db', 2)"
        assert await TagLimit.adelete("db")


# What it costs


async def test_where_no_limit_is_kept_runs_ask_for_none_but_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    ask = SlotQueue.ask

    def asks(queue: SlotQueue, claim: Claim) -> Future[None]:
        asked.append(claim)
        return ask(queue, claim)

    monkeypatch.setattr(SlotQueue, "ask", asks)

    @task
    async def untagged() -> None: ...

    @task(tags=["web"])
    async def tagged() -> None: ...

    @flow
    async def many(step: Any) -> float:
        began = anyio.current_time()
        for _ in range(300):
            await step()
        return anyio.current_time() - began

    async with open_runtime():
        await many(untagged)
        assert asked == []
        took = await many(tagged)
        assert len(asked) <= took / LOOK_SECONDS + 1


async def test_a_harness_lets_time_pass_for_runs_that_wait_for_nothing_else() -> None:
    """Of which a run that waits for a slot of one that waits to be tried again is none: it has none then."""

    @flow(tags=["db"], retries=3, retry_delay_seconds=3600)
    async def fails() -> None:
        raise ValueError("no")

    async with open_harness() as runtime:
        await TagLimit.set("db", 1)
        for run in [runtime.submit(fails) for _ in range(3)]:
            with pytest.raises(ValueError, match="no"):
                await run


@pytest.mark.parametrize(
    ("tag", "slots", "message"),
    [
        ("db", -1, "at least 0; got -1"), ("db", True, "got True"), ("db", "3", "got '3'"), ("", 1, "at least one"),
        ("a\nb", 1, "all printable"), (7, 1, "A tag must be a string; got 7"),
    ],
)  # fmt: skip
async def test_a_limit_that_cannot_be_is_refused(tag: Any, slots: Any, message: str) -> None:
    async with open_runtime(journal="memory"):
        with pytest.raises((TypeError, ValueError), match=message):
            TagLimit.set(tag, slots)
