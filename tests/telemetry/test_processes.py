"""A trace goes on where its work does: in the service that claims a run, an isolated body, a replayed hook."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from tests.engine.scripts import EACH_BACKEND
from tests.engine.watched import open_runtime
from tests.recovery.conftest import scene
from tests.recovery.scene import DEADLINE, Scene
from tests.serving import flows as f
from tests.serving.processes import a_service, soon, state_of
from tests.serving.processes import submitted as submitted_from_here
from tests.serving.serving import ended, journal_of, serving, time_passes_until
from tests.telemetry import exporting, traced
from tests.telemetry.exporting import spans_in
from tests.telemetry.heard import Spans, id_of, own_span, trace_of

from actwright import run_flow
from actwright.client import get_client
from actwright.client.submitting import submit
from actwright.serving.schedules import Interval
from actwright.serving.service import Served
from actwright_actors.testing import ManualClock

__all__ = ["scene"]

Told = Callable[[], list[str]]
Written = Callable[[], dict[str, list[dict[str, Any]]]]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """The spans of processes that import `exporting`."""
    path = tmp_path / "spans"
    monkeypatch.setenv("SPANS", str(path))
    return lambda: spans_in(path)


# Submissions


@pytest.mark.anyio
async def test_a_run_that_was_submitted_is_below_whoever_submitted_it(spans: Spans, told: Told) -> None:
    async with serving(f.quick) as service, get_client() as client:
        with own_span("submits"):
            run = await client.submit_flow(f.quick, {"number": 1})
        await ended(run.id)
        kept = await run_sync(service.runtime.journal.run, run.id)
    span = spans.one("flow quick")
    assert kept is not None
    assert f"{id_of(span):016x}" in str(kept.trace_context)  # its hooks, should they be replayed, are below that
    assert (spans.parent_of(span), span.kind) == ("submits", SpanKind.CONSUMER)
    assert [event.name for event in span.events] == ["Running", "Completed"]  # it was Scheduled before, elsewhere


@pytest.mark.anyio
async def test_what_was_submitted_in_no_trace_is_not_below_the_service_that_runs_it(spans: Spans, told: Told) -> None:
    with own_span("service"):
        async with serving(f.quick) as service:
            database = journal_of(service).database
            run = await run_sync(lambda: Context().run(submit, database, f.quick, {}, {}))
            await ended(run.id)
    assert spans.tree == {"service": {None}, "flow quick": {None}}


@pytest.mark.anyio
async def test_what_a_schedule_submits_is_below_nothing(spans: Spans, told: Told) -> None:
    clock = ManualClock(wall=datetime(2026, 7, 1, 9, 59, tzinfo=UTC))
    with own_span("service"):
        async with serving(Served(f.quick, schedules=[Interval(3600)]), clock=clock):
            await time_passes_until(clock, lambda: told() == ["body 0"], 1.0)
    assert spans.tree == {"service": {None}, "flow quick": {None}}


@pytest.mark.slow
@pytest.mark.costly
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_in_another_process_it_is_too_and_its_baggage_is_there(
    backend: str, spans: Spans, told: Told, written: Written
) -> None:
    token = attach(baggage.set_baggage("tenant", "red"))
    with own_span("submits"):
        run_id = submitted_from_here(traced.quick)
    detach(token)
    with service_of("quick", ACTWRIGHT_BACKGROUND_BACKEND=backend):
        soon(lambda: state_of(run_id) == "Completed")
    (span,) = written()["flow quick"]
    assert (span["trace"], span["parent"], span["kind"]) == (*in_words(spans.one("submits")), "CONSUMER")
    assert told() == ["tenant red"]


@pytest.mark.slow
@pytest.mark.costly
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_also_when_the_one_that_had_claimed_it_was_killed_and_it_is_tried_again(
    backend: str, spans: Spans, told: Told, written: Written
) -> None:
    with own_span("submits"):
        run_id = submitted_from_here(traced.dies)
    settings = {"ACTWRIGHT_UNDERSTUDY": "true", "ACTWRIGHT_BACKGROUND_BACKEND": backend}
    with service_of("dies", **settings) as service:
        assert service.exit_code() == -signal.SIGKILL
    with service_of("dies", **settings):
        soon(lambda: state_of(run_id) == "Completed")
    (span,) = written()["flow dies"]  # what was killed with its process was not exported
    assert (span["trace"], span["parent"]) == in_words(spans.one("submits"))
    assert span["attributes"]["actwright.run.count"] == 2


def service_of(name: str, **settings: str) -> Any:
    return a_service(f"tests.telemetry.traced:{name}", **settings)


def in_words(span: ReadableSpan) -> tuple[int, int]:
    """The trace and the id of a span."""
    return trace_of(span), id_of(span)


# Isolated bodies


@pytest.mark.anyio
@pytest.mark.costly
@pytest.mark.parametrize("body", [traced.apart, traced.apart_on_a_loop], ids=["sync", "async"])
async def test_the_body_of_an_isolated_run_is_in_its_span_and_what_it_calls_is_below_its_own(
    body: Any, spans: Spans, written: Written
) -> None:
    async with open_runtime():
        around, own, inside = await run_flow(body)
    run, part = spans.one(f"flow {body.name}"), spans.one("task part")
    assert (id_of(run), id_of(part)) == (around, inside)
    assert part.parent is not None
    assert part.parent.span_id == own
    (made_there,) = written()["own"]
    assert (made_there["trace"], made_there["parent"]) == in_words(run)
    assert made_there["span"] == own


# Replayed hooks


WORK = """
import exporting, os, signal
from actwright import flow, task, runtime

def cleans_up(flow, flow_run, state):
    from opentelemetry import trace
    with trace.get_tracer("author").start_as_current_span("cleaning"):
        released()

@task
def released(): ...

@flow(on_crashed=[cleans_up])
def work():
    os.kill(os.getpid(), signal.SIGKILL)
"""

PROGRAM = """
from opentelemetry import trace
import work

if __name__ == "__main__":
    with trace.get_tracer("author").start_as_current_span("program"):
        work.work()
"""


@pytest.mark.slow
def test_a_hook_of_a_killed_process_is_in_the_trace_of_its_run(scene: Scene, written: Written) -> None:
    shutil.copy(exporting.__file__, scene.folder)
    (scene.folder / "work.py").write_text(WORK)
    program = scene.start(PROGRAM)
    assert program.wait(DEADLINE) == -signal.SIGKILL
    assert scene.settles()
    spans = written()
    (hook,), (own,), (released,) = spans["hook cleans_up"], spans["cleaning"], spans["task released"]
    ((carried,),) = scene.rows("SELECT trace_context FROM runs WHERE subject_name = 'work'")
    _, trace, parent, _ = json.loads(carried)["traceparent"].split("-")
    assert (hook["trace"], hook["parent"]) == (int(trace, 16), int(parent, 16))
    assert (own["trace"], own["parent"], released["parent"]) == (hook["trace"], hook["span"], own["span"])
    assert hook["attributes"]["actwright.hook.replayed"] is True
    assert hook["pid"] != program.pid
    assert set(spans) == {"hook cleans_up", "cleaning", "task released"}
