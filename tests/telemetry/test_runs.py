"""A run has one span, below its caller's, which tells what became of it; and its body is in that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import anyio
import pytest
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import SecretStr
from tests.engine.faults import host_of, kill
from tests.engine.gate import Gate
from tests.engine.subjects import bodies, final_state, kinds, made
from tests.engine.watched import open_runtime
from tests.telemetry.heard import Spans, current_id, current_name, id_of, own_span, trace_of

from actwright import Handle, Runtime, State, StateType, flow, run_flow, tags, task, wait
from actwright.engine.ledger import Ledger
from actwright.exceptions import Fenced
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


def in_nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000


# Parents


async def test_what_a_run_calls_is_below_it_and_what_a_program_calls_is_below_the_programs_own_span(
    spans: Spans,
) -> None:
    @flow
    async def inner() -> None: ...

    @task
    async def middle() -> None:
        await inner()

    @flow
    async def outer() -> None:
        await middle()
        with own_span("part"):
            await middle.with_options(name="later").submit()

    async with open_runtime():
        await outer()
        with own_span("program"):
            await outer.with_options(name="second")()
    assert spans.tree == {
        "flow outer": {None},
        "flow second": {"program"},
        "program": {None},
        "task middle": {"flow outer", "flow second"},
        "flow inner": {"task middle", "task later"},
        "part": {"flow outer", "flow second"},
        "task later": {"part"},
    }


async def test_sync_runs_are_below_their_callers_in_whatever_thread_they_are(spans: Spans) -> None:
    threads: set[int] = set()

    @task
    def leaf() -> str | None:
        threads.add(threading.get_ident())
        return current_name()

    @flow
    def called() -> str | None:
        assert leaf() == "task leaf"
        assert leaf.submit().result() == "task leaf"
        return current_name()

    @flow
    def outer() -> None:
        assert called() == "flow called"
        assert current_name() == "flow outer"

    async with open_runtime():
        await run_flow(outer)
    assert spans.tree == {"flow outer": {None}, "flow called": {"flow outer"}, "task leaf": {"flow called"}}
    assert len(threads) == 2


async def test_runs_side_by_side_do_not_mix(spans: Spans) -> None:
    count = 20
    met = [anyio.Event() for _ in range(count)]

    @task
    async def inner(number: int) -> int:
        met[number].set()
        await met[(number + 1) % count].wait()  # all of them are there before one goes on
        return current_id()

    @flow
    async def outer(number: int) -> tuple[int, int]:
        found = await inner(number)
        return current_id(), found

    async with open_runtime() as runtime:
        ids = [await handle for handle in [runtime.submit(outer, number) for number in range(count)]]
    assert {id_of(span) for span in spans.named("flow outer")} == {flow_id for flow_id, _ in ids}
    parents = {id_of(span): span.parent.span_id for span in spans.named("task inner") if span.parent is not None}
    assert parents == {task_id: flow_id for flow_id, task_id in ids}
    assert len(set(map(trace_of, spans.all))) == count


@bodies
@kinds
async def test_a_body_is_in_the_span_of_its_run_and_its_caller_where_it_was(
    kind: str, is_async: bool, spans: Spans
) -> None:
    async def looks() -> int:
        return current_id()

    def looks_in_a_thread() -> int:
        return current_id()

    async with open_runtime():
        with own_span():
            before = current_id()
            subject = made(kind, looks if is_async else looks_in_a_thread)
            seen = (await final_state(subject)).result()
            assert current_id() == before
    (span,) = [span for span in spans.all if span.name.startswith(kind)]
    assert (seen, spans.parent_of(span)) == (id_of(span), "own")


def test_without_a_runtime_a_sync_body_is_in_its_span_in_the_callers_own_thread(
    background_backend: str, spans: Spans
) -> None:
    @flow
    def looks() -> tuple[str | None, int]:
        return current_name(), threading.get_ident()

    with own_span():
        assert looks() == ("flow looks", threading.get_ident())
        assert current_name() == "own"
    assert spans.tree == {"flow looks": {"own"}, "own": {None}}


async def test_a_sync_flow_that_is_called_in_async_code_is_below_it(spans: Spans) -> None:
    @flow
    def inner() -> str | None:
        return current_name()

    @flow
    async def outer() -> str | None:
        return inner()

    async with open_runtime():
        assert await outer() == "flow inner"
    assert spans.tree == {"flow outer": {None}, "flow inner": {"flow outer"}}


async def test_what_makes_a_runs_name_and_decides_on_its_retry_is_in_its_span_too(spans: Spans) -> None:
    asked: list[str | None] = []

    def name() -> str:
        asked.append(current_name())
        return "made"

    def once_more(*_: object) -> bool:
        asked.append(current_name())
        return False

    @flow(flow_run_name=name, retries=1, retry_condition_fn=once_more)
    async def fails() -> None:
        raise ValueError("no")

    async with open_runtime():
        await fails(return_state=True)
    assert asked == ["flow fails"] * 2
    assert (spans.one("flow fails").attributes or {})["actwright.run.name"] == "made"


async def test_the_callers_baggage_is_there_in_what_it_calls(spans: Spans) -> None:
    @task
    def inner() -> object:
        return baggage.get_baggage("tenant")

    @flow
    async def outer() -> object:
        return await inner.submit()

    async with open_runtime():
        token = context.attach(baggage.set_baggage("tenant", "red"))
        found = await outer()
        context.detach(token)
    assert found == "red"


# What a span tells


async def test_a_run_that_is_retried_is_one_span_with_each_state_as_an_event(spans: Spans) -> None:
    attempts: list[int] = []

    @flow(retries=2)
    async def succeeds_at_last() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("not yet")

    async with open_runtime() as runtime:
        state = await succeeds_at_last(return_state=True)
        steps = runtime.journal.transitions(runtime.journal.runs()[0].id)
    span = spans.one("flow succeeds-at-last")
    again = ["AwaitingRetry", "Retrying"]
    assert [event.name for event in span.events] == ["Pending", "Running", *again, *again, "Completed"]
    assert [event.timestamp for event in span.events] == [in_nanoseconds(step.run.state.timestamp) for step in steps]
    assert span.start_time == span.events[0].timestamp
    told = span.events[2].attributes or {}
    assert told["actwright.state.type"] == "SCHEDULED"
    assert "ValueError: not yet" in str(told["actwright.state.message"])
    assert (span.attributes or {})["actwright.run.count"] == 3
    assert (span.status.status_code, state.name) == (StatusCode.UNSET, "Completed")


async def test_it_begins_with_the_run_and_ends_with_its_final_state(spans: Spans) -> None:
    clock = ManualClock()

    @flow
    async def takes_an_hour() -> None:
        clock.advance(3600)

    async with open_runtime(clock=clock) as runtime:
        state = await takes_an_hour(return_state=True)
        (run,) = runtime.journal.runs()
    span = spans.one("flow takes-an-hour")
    assert (span.start_time, span.end_time) == tuple(map(in_nanoseconds, (run.expected_start_time, state.timestamp)))
    assert state.timestamp.timestamp() - run.expected_start_time.timestamp() >= 3600


async def test_its_attributes_say_which_run_it_is_and_never_its_parameters(spans: Spans) -> None:
    @task(task_run_name="loud", tags={"b"})
    async def works(key: SecretStr, plain: str) -> None: ...

    async with open_runtime() as runtime:
        with tags("a"):
            await works(SecretStr("open sesame"), "in plain sight")
        (run,) = runtime.journal.runs()
    span = spans.one("task works")
    assert dict(span.attributes or {}) == {
        "actwright.run.id": str(run.id), "actwright.run.name": "loud", "actwright.run.kind": "task",
        "actwright.task.name": "works", "actwright.run.tags": ("a", "b"), "actwright.run.state": "Completed",
        "actwright.run.count": 1,
    }  # fmt: skip
    assert span.kind is SpanKind.INTERNAL
    assert "sesame" not in span.to_json()
    assert "sight" not in span.to_json()


async def fails() -> None:
    raise ConnectionError("the database is away")


async def takes_long() -> None:
    await anyio.sleep_forever()


async def exits() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("body", "options", "name", "said", "exception"),
    [
        (fails, {}, "Failed", "the database is away", "ConnectionError"),
        (takes_long, {"timeout_seconds": 0.01}, "TimedOut", "timeout of 0.01 s", "RunTimedOut"),
        (exits, {}, "Crashed", "SystemExit", "SystemExit"),
    ],
)
async def test_a_run_that_fails_times_out_or_crashes_is_an_error_with_its_exception(
    body: Callable[..., Any], options: dict[str, Any], name: str, said: str, exception: str, spans: Spans
) -> None:
    async with open_runtime():
        state = await final_state(made("task", body, name="part", **options))
    span = spans.one("task part")
    assert (state.name, (span.attributes or {})["actwright.run.state"]) == (name, name)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, state.message)
    assert said in str(span.status.description)
    (raised,) = [event for event in span.events if event.name == "exception"]
    assert str((raised.attributes or {})["exception.type"]).endswith(exception)


async def test_parameters_that_are_refused_are_in_no_span_either(spans: Spans) -> None:
    @flow
    async def login(pin: int) -> None: ...

    untyped: Any = login

    @flow
    async def calls() -> None:
        await untyped("hunter2")

    async with open_runtime():
        await untyped("hunter2", return_state=True)
        await calls(return_state=True)
    assert {span.status.description for span in spans.all} == {"ParameterTypeError: see the log"}
    assert not any("hunter2" in span.to_json() for span in spans.all)


async def test_a_state_that_is_returned_as_failed_is_an_error_that_says_what_it_says(spans: Spans) -> None:
    @flow
    async def gives_up() -> State[None]:
        return State(type=StateType.FAILED, message="nothing to do")

    async with open_runtime():
        await gives_up(return_state=True)
    status = spans.one("flow gives-up").status
    assert (status.status_code, status.description) == (StatusCode.ERROR, "nothing to do")


async def begun(runtime: Runtime) -> Handle[None]:
    """A run that ends only when it is told to."""
    has_begun = anyio.Event()

    @flow
    async def waits() -> None:
        has_begun.set()
        await anyio.sleep_forever()

    handle = runtime.submit(waits)
    await has_begun.wait()
    return handle


async def test_a_run_that_is_cancelled_is_no_error(spans: Spans) -> None:
    async with open_runtime() as runtime:
        handle = await begun(runtime)
        await handle.cancel(reason="not needed")
    span = spans.one("flow waits")
    assert [event.name for event in span.events] == ["Pending", "Running", "Cancelling", "Cancelled"]
    assert (span.status.status_code, span.status.description) == (StatusCode.UNSET, None)


async def test_a_run_whose_actor_dies_is_an_error(spans: Spans) -> None:
    gate = Gate()

    @flow
    async def works() -> None:
        await gate.astop_here()

    async with open_runtime() as runtime:
        handle = runtime.submit(works)
        await gate.reached()
        kill(runtime, handle)
        await wait([handle])
    span = spans.one("flow works")
    assert (span.status.status_code, span.events[-2].name) == (StatusCode.ERROR, "Crashed")


async def test_an_actor_that_dies_once_its_runs_final_state_is_written_leaves_no_span_open(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = Ledger.committed

    def dies(ledger: Ledger, state: State[Any]) -> None:
        if not state.is_completed():
            committed(ledger, state)
            return
        monkeypatch.setattr(Ledger, "committed", committed)
        raise ValueError("in the actor")

    monkeypatch.setattr(Ledger, "committed", dies)

    @flow
    async def works() -> int:
        return 7

    async with open_runtime():
        assert await works() == 7
    assert (spans.one("flow works").attributes or {})["actwright.run.state"] == "Completed"


async def test_a_run_that_another_process_takes_over_ends_its_span_with_the_reason(spans: Spans) -> None:
    async with open_runtime() as runtime:
        handle = await begun(runtime)
        host_of(runtime)._fenced(Fenced("another process has it"))  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(Fenced):
            await handle
    span = spans.one("flow waits")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "Fenced: another process has it")
    assert "Completed" not in [event.name for event in span.events]
