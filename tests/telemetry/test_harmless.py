"""Whatever is broken of who listens, a run ends as it would have; and that is said once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from tests.engine.watched import open_runtime
from tests.serving import flows as f
from tests.serving.serving import Told, ended, serving, submitted
from tests.telemetry.conftest import METER_PROVIDER
from tests.telemetry.heard import Spans, current_name, own_span

from actwright import flow, task

pytestmark = pytest.mark.anyio


class Odd(BaseException):
    """No Exception."""


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


async def many_runs_with_hooks() -> None:
    """Each of them completes, and its hook has run."""
    hooks: list[str] = []

    def tell(*_: object) -> None:
        hooks.append("ran")

    @task(on_completion=[tell])
    async def part() -> None: ...

    @flow(on_completion=[tell])
    async def whole() -> int:
        for _ in range(3):
            await part()
        return 7

    async with open_runtime():
        assert await whole() == 7
    assert hooks == ["ran"] * 4


def lines_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "actwright.telemetry"]


@pytest.mark.parametrize("method", ["on_start", "on_end"])
@pytest.mark.parametrize(
    "error",
    [ConnectionError("the collector is away"), SystemExit(1), asyncio.CancelledError(), GeneratorExit(), Odd()],
    ids=["error", "exit", "forged cancellation", "generator", "of its own"],
)
async def test_a_processor_that_raises_fails_no_run_and_is_said_once_with_its_traceback(
    method: str, error: BaseException, provider: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    processor = SpanProcessor()
    setattr(processor, method, failing(error))
    provider.add_span_processor(processor)
    await many_runs_with_hooks()
    (line,) = lines_of(caplog)
    assert line.exc_info is not None
    assert line.exc_info[1] is error
    assert type(error).__name__ in line.getMessage()


async def test_a_run_that_a_keyboard_interrupt_keeps_from_its_start_holds_up_no_close(provider: TracerProvider) -> None:
    processor = SpanProcessor()
    processor.on_start = failing(KeyboardInterrupt())  # type: ignore[method-assign]
    provider.add_span_processor(processor)

    @flow
    async def empty() -> None: ...

    async with open_runtime():
        with pytest.raises(KeyboardInterrupt):
            await empty()


async def test_where_a_span_cannot_be_started_what_is_called_stays_below_the_callers(
    provider: TracerProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spans = Spans(provider)

    @flow
    async def works() -> None:
        with own_span("part"):
            pass

    async with open_runtime():
        with own_span("program"):
            tracer = provider.get_tracer("actwright")
            monkeypatch.setattr(type(tracer), "start_span", _unless_of_runs(type(tracer).start_span))
            await works()
            assert current_name() == "program"
    assert spans.tree == {"program": {None}, "part": {"program"}}
    assert len(lines_of(caplog)) == 1


def _unless_of_runs(start: Callable[..., Any]) -> Callable[..., Any]:
    def start_span(tracer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("flow "):
            raise ValueError("no such span")
        return start(tracer, name, *args, **kwargs)

    return start_span


async def test_a_sampler_that_raises_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, provider: TracerProvider
) -> None:
    class Broken(Sampler):
        should_sample = failing(ValueError("no rate is set"))

        def get_description(self) -> str:
            return "broken"

    monkeypatch.setattr(provider, "sampler", Broken())
    await many_runs_with_hooks()
    assert len(lines_of(caplog)) == 1


async def test_a_provider_of_meters_that_raises_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        get_meter = failing(ValueError("no reader"))

    monkeypatch.setattr(METER_PROVIDER, Broken())
    await many_runs_with_hooks()
    assert len(lines_of(caplog)) == 1


async def test_a_propagator_that_raises_fails_no_run_and_no_submission(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, told: Told
) -> None:
    def inject(*_: object, **__: object) -> None:
        raise ValueError("no inject")

    def extract(*_: object, **__: object) -> None:
        raise ValueError("no extract")

    monkeypatch.setattr(type(propagate.get_global_textmap()), "inject", inject)
    monkeypatch.setattr(type(propagate.get_global_textmap()), "extract", extract)
    await many_runs_with_hooks()
    async with serving(f.quick) as service:
        with own_span():
            run = await submitted(service, f.quick, {"number": 1})
        assert (await ended(run.id)).state.is_completed()
    assert [str(line.exc_info[1]) for line in lines_of(caplog) if line.exc_info] == ["no inject", "no extract"]
    assert len(spans.named("flow whole")) == 1
    assert told() == ["body 1"]


async def test_what_a_propagator_sets_that_is_no_text_is_kept_as_text(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inject(propagator: object, carrier: dict[object, object], **_: Any) -> None:
        carrier[7] = 8

    monkeypatch.setattr(type(propagate.get_global_textmap()), "inject", inject)

    @flow
    async def works() -> None: ...

    async with open_runtime() as runtime:
        await works()
        (run,) = runtime.journal.runs()
    assert run.trace_context == {"7": "8"}


async def test_an_exception_that_cannot_say_what_it_is_fails_its_run_as_ever(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    @flow
    async def fails() -> None:
        raise Mute

    async with open_runtime():
        state = await fails(return_state=True)
    assert state.name == "Failed"
    assert spans.one("flow fails").status.description == state.message
    assert len(lines_of(caplog)) == 1
