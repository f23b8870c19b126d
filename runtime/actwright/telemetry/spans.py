"""A span for each run and one for each try of a hook, and what is counted of them. This module loads OpenTelemetry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import attach, get_current
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)

from actwright.exceptions import HookTimedOut
from actwright.models.outcomes import described
from actwright.models.runs import FlowRun
from actwright.telemetry.harmless import harmless
from actwright.telemetry.metrics import instruments
from actwright.telemetry.propagation import carried
from actwright.telemetry.reports import RunReport, TryReport
from actwright.telemetry.tracer import tracer

if TYPE_CHECKING:
    from contextvars import Context

    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import TaskRun
    from actwright.models.states import State

__all__ = ["RunSpan", "TrySpan"]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RunSpan(RunReport):
    """The span of one run: all attempts of it, in this process."""

    def __init__(self, run: FlowRun | TaskRun, context: Context, began: datetime, *, is_submitted: bool) -> None:
        kind = SpanKind.CONSUMER if is_submitted else SpanKind.INTERNAL
        self._span = _started(f"{run.kind} {_subject_name(run)}", context, began, _attributes_of(run), kind)
        self._carried = carried(context.run(get_current))
        self._began = began
        self._is_over = False
        if not is_submitted:
            self.entered(run)

    @property
    def context_to_carry(self) -> dict[str, str] | None:
        return self._carried

    def entered(self, run: FlowRun | TaskRun) -> None:
        if self._is_over:
            return
        state = run.state
        with harmless:
            self._span.add_event(state.name, _told_of(state), _nanoseconds(state.timestamp))
        if state.is_scheduled():  # the delay between two attempts
            with harmless:
                instruments().retried(run.kind, _subject_name(run))

    def ended(self, run: FlowRun | TaskRun) -> None:
        state = run.state
        attributes: dict[str, Any] = {
            "actwright.run.name": run.name,  # by now as its author has it
            "actwright.run.state": state.name,
            "actwright.run.count": run.run_count,
        }
        with harmless:
            self._span.set_attributes(attributes)
        is_error = state.is_failed() or state.is_crashed()
        if self._end(state.timestamp, state.message or state.name if is_error else None, state.cause):
            with harmless:
                seconds = (state.timestamp - self._began).total_seconds()
                instruments().run_ended(run.kind, _subject_name(run), state.name, seconds)

    def left_behind(self, why: BaseException, at: datetime) -> None:
        self._end(at, described(why), why)

    def _end(self, at: datetime, error: str | None, cause: BaseException | None) -> bool:
        """Whether it had not ended before."""
        if self._is_over:
            return False
        self._is_over = True
        _end(self._span, at, error, cause)
        return True


class TrySpan(TryReport):
    """The span of one try of a hook."""

    def __init__(self, run: FlowRun | TaskRun, delivery: HookDelivery, context: Context) -> None:
        began = delivery.started_at or delivery.due_at
        attributes = {
            "actwright.hook.name": delivery.hook_name,
            "actwright.hook.event": delivery.event,
            "actwright.hook.delivery_id": str(delivery.id),
            "actwright.hook.attempt": delivery.attempt,
            "actwright.hook.replayed": delivery.replayed,
            "actwright.run.id": str(run.id),
        }
        self._span = _started(f"hook {delivery.hook_name}", context, began, attributes, SpanKind.INTERNAL)
        self._event = delivery.event
        self._began = began

    def ended(self, at: datetime, error: BaseException | None) -> None:
        _end(self._span, at, None if error is None else described(error), error)
        outcome = "succeeded" if error is None else "timed_out" if isinstance(error, HookTimedOut) else "failed"
        self._count(at, outcome)

    def cut(self, at: datetime) -> None:
        _end(self._span, at, "It was cut short.", None)
        self._count(at, "cut")

    def _count(self, at: datetime, outcome: str) -> None:
        with harmless:
            instruments().hook_tried(self._event, outcome, (at - self._began).total_seconds())


def _started(name: str, context: Context, at: datetime, attributes: dict[str, Any], kind: SpanKind) -> Span:
    """A new span, below the one that is current in `context`, in which it is the current one from now on."""
    around = context.run(get_current)
    span: Span = NonRecordingSpan(get_current_span(around).get_span_context())
    with harmless:
        span = tracer().start_span(name, around, kind, attributes, start_time=_nanoseconds(at))
    context.run(attach, set_span_in_context(span, around))  # never detached: no caller's context, but a copy
    return span


def _end(span: Span, at: datetime, error: str | None, cause: BaseException | None) -> None:
    """With `error` it ends badly, and says so."""
    if error is not None:
        with harmless:
            span.set_status(Status(StatusCode.ERROR, error))
        if cause is not None:
            with harmless:  # an author's exception, whose words are the author's code
                span.record_exception(cause, timestamp=_nanoseconds(at))
    with harmless:
        span.end(_nanoseconds(at))


def _attributes_of(run: FlowRun | TaskRun) -> dict[str, Any]:
    """Never its parameters: they may be secret."""
    return {
        "actwright.run.id": str(run.id),
        "actwright.run.name": run.name,
        "actwright.run.kind": run.kind,
        f"actwright.{run.kind}.name": _subject_name(run),
        "actwright.run.tags": tuple(run.tags),
    }


def _subject_name(run: FlowRun | TaskRun) -> str:
    return run.flow_name if isinstance(run, FlowRun) else run.task_name


def _told_of(state: State[Any]) -> dict[str, str]:
    told = {"actwright.state.type": state.type.value}
    if state.message is not None:
        told["actwright.state.message"] = state.message
    return told


def _nanoseconds(at: datetime) -> int:
    """Since 1970, by which OpenTelemetry counts. In whole microseconds: a float has not digits enough."""
    return (at - _EPOCH) // _MICROSECOND * 1000
