"""Each try of a hook has a span, below that of its run; and the hook is in it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from tests.engine.faults import host_of, infrastructure
from tests.engine.gate import Gate
from tests.engine.watched import at_rest, open_runtime
from tests.telemetry.heard import Measured, Spans, current_name

from actwright import flow, hook, task
from actwright.exceptions import RuntimeClosed
from actwright.journal.protocol import Journal

pytestmark = pytest.mark.anyio

TRIES = "actwright.hook.tries"


def told_by(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def the_delivery(journal: Journal) -> Any:
    (delivery,) = journal.deliveries()
    return delivery


async def test_hooks_are_in_spans_of_their_own_below_their_run_and_what_they_call_is_below_them(spans: Spans) -> None:
    seen: list[str | None] = []

    @task
    async def cleans_up() -> None: ...

    async def first(*_: object) -> None:
        seen.append(current_name())
        await cleans_up()

    def second(*_: object) -> None:
        seen.append(current_name())

    @flow(on_running=[second], on_completion=[first])
    async def works() -> None: ...

    async with open_runtime():
        await works()
    assert seen == ["hook second", "hook first"]
    assert spans.tree == {
        "hook second": {"flow works"},
        "hook first": {"flow works"},
        "task cleans_up": {"hook first"},
        "flow works": {None},
    }


async def test_a_hooks_span_says_which_delivery_it_is(spans: Spans) -> None:
    def tell(*_: object) -> None: ...

    @flow(on_end=[tell])
    async def works() -> None: ...

    async with open_runtime() as runtime:
        await works()
        delivery = the_delivery(runtime.journal)
    span = spans.one("hook tell")
    assert told_by(span) == {
        "actwright.hook.name": "tell", "actwright.hook.event": "on_end", "actwright.hook.attempt": 1,
        "actwright.hook.delivery_id": str(delivery.id), "actwright.hook.replayed": False,
        "actwright.run.id": str(delivery.run_id),
    }  # fmt: skip
    assert span.status.status_code is StatusCode.UNSET


async def test_each_try_of_a_hook_that_raises_is_an_error_with_its_exception(spans: Spans) -> None:
    tries: list[int] = []

    def stumbles(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no answer")

    @flow(on_end=[hook(stumbles, retries=2)])
    async def works() -> None: ...

    async with open_runtime():
        await works()
    first, second, third = spans.named("hook stumbles")
    assert [told_by(span)["actwright.hook.attempt"] for span in (first, second, third)] == [1, 2, 3]
    for span in (first, second):
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ConnectionError: no answer")
        assert [event.name for event in span.events] == ["exception"]
    assert (third.status.status_code, len(third.events)) == (StatusCode.UNSET, 0)


async def test_a_hook_that_takes_too_long_is_an_error(spans: Spans) -> None:
    async def hangs(*_: object) -> None:
        await anyio.sleep_forever()

    @flow(on_end=[hook(hangs, timeout_seconds=0.01)])
    async def works() -> None: ...

    async with open_runtime():
        await works()
    span = spans.one("hook hangs")
    assert span.status.status_code is StatusCode.ERROR
    assert "took longer than its timeout" in str(span.status.description)


async def test_a_try_that_went_down_with_what_ran_it_is_an_error_and_the_next_one_has_a_span_of_its_own(
    spans: Spans, measured: Measured
) -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        await gate.astop_here()

    @flow(on_completion=[slow])
    async def works() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(works)
        await gate.reached()
        infrastructure(runtime, "hooks").kill()
        await at_rest()
        gate.open()
        await handle
    first, second = spans.named("hook slow")
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "It was cut short.")
    assert second.status.status_code is StatusCode.UNSET
    outcomes = [(attributes["actwright.hook.outcome"], count) for attributes, count in measured.points(TRIES)]
    assert sorted(outcomes) == [("cut", 1), ("succeeded", 1)]


async def test_one_that_its_runtime_leaves_undone_is_an_error_and_its_run_what_it_had_become(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def slow(*_: object) -> None:
        gate.stop_here()

    @flow(on_completion=[slow])
    async def works() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(works)
        await gate.reached()
        host_of(runtime).supervision_failed()
        with pytest.raises(RuntimeClosed):
            await handle
    gate.open()
    assert spans.one("hook slow").status.description == "It was cut short."
    assert spans.one("flow works").status.status_code is StatusCode.UNSET
    assert "ended span" not in caplog.text  # as OpenTelemetry says of one that is ended again


async def test_a_failed_hook_says_nothing_of_its_run(spans: Spans) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no")

    @flow(on_completion=[fails])
    async def works() -> None: ...

    async with open_runtime():
        await works()
    assert spans.one("flow works").status.status_code is StatusCode.UNSET


async def test_who_is_told_of_a_hooks_failure_is_in_the_span_of_the_run(spans: Spans) -> None:
    told: list[str | None] = []

    def fails(*_: object) -> None:
        raise ValueError("no")

    @flow(on_completion=[fails])
    async def works() -> None: ...

    async with open_runtime(on_hook_failure=lambda _: told.append(current_name())):
        await works()
    assert told == ["flow works"]
    assert spans.tree == {"flow works": {None}, "hook fails": {"flow works"}}
