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

from actwright.exceptions import HookTimedOut, ParameterBindError, ParameterTypeError
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
        self._span = _Timed(f"{run.kind} {_subject_name(run)}", context, began, _attributes_of(run), kind)
        self._carried = carried(context.run(get_current))
        if not is_submitted:
            self.entered(run)

    @property
    def context_to_carry(self) -> dict[str, str] | None:
        return self._carried

    def entered(self, run: FlowRun | TaskRun) -> None:
        state = run.state
        self._span.add_event(state.name, _told_of(state), state.timestamp)
        if state.is_scheduled():  # the delay between two attempts
            with harmless:
                instruments().retried(run.kind, _subject_name(run))

    def ended(self, run: FlowRun | TaskRun) -> None:
        state = run.state
        is_error = state.is_failed() or state.is_crashed()
        self._span.set_attributes(
            {
                "actwright.run.name": run.name,  # by now as its author has it
                "actwright.run.state": state.name,
                "actwright.run.count": run.run_count,
            }
        )
        cause = None if _tells_parameters(state.cause) else state.cause
        seconds = self._span.end(state.timestamp, (_words_of(state) or state.name) if is_error else None, cause)
        if seconds is not None:
            with harmless:
                instruments().run_ended(run.kind, _subject_name(run), state.name, seconds)

    def left_behind(self, why: BaseException, at: datetime) -> None:
        self._span.end(at, described(why), why)


class TrySpan(TryReport):
    """The span of one try of a hook."""

    def __init__(self, run: FlowRun | TaskRun, delivery: HookDelivery, context: Context) -> None:
        attributes = {
            "actwright.hook.name": delivery.hook_name,
            "actwright.hook.event": delivery.event,
            "actwright.hook.delivery_id": str(delivery.id),
            "actwright.hook.attempt": delivery.attempt,
            "actwright.hook.replayed": delivery.replayed,
            "actwright.run.id": str(run.id),
        }
        began = delivery.started_at or delivery.due_at
        self._span = _Timed(f"hook {delivery.hook_name}", context, began, attributes, SpanKind.INTERNAL)
        self._event = delivery.event

    def ended(self, at: datetime, error: BaseException | None) -> None:
        outcome = "succeeded" if error is None else "timed_out" if isinstance(error, HookTimedOut) else "failed"
        self._end(at, outcome, None if error is None else described(error), error)

    def cut(self, at: datetime) -> None:
        self._end(at, "cut", "It was cut short.", None)

    def _end(self, at: datetime, outcome: str, error: str | None, cause: BaseException | None) -> None:
        seconds = self._span.end(at, error, cause)
        if seconds is not None:
            with harmless:
                instruments().hook_tried(self._event, outcome, seconds)


class _Timed:
    """A span that begins and ends when it is told, below the one that is current in `context`. In copies of that it is
    the current one from now on."""

    def __init__(
        self, name: str, context: Context, began: datetime, attributes: dict[str, Any], kind: SpanKind
    ) -> None:
        around = context.run(get_current)
        self._began = began
        self._is_over = False
        self._span: Span = NonRecordingSpan(get_current_span(around).get_span_context())
        with harmless:
            self._span = tracer().start_span(name, around, kind, attributes, start_time=_nanoseconds(began))
        context.run(attach, set_span_in_context(self._span, around))  # never detached: it is a copy of a caller's

    def add_event(self, name: str, attributes: dict[str, str], at: datetime) -> None:
        if not self._is_over:
            with harmless:
                self._span.add_event(name, attributes, _nanoseconds(at))

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        if not self._is_over:
            with harmless:
                self._span.set_attributes(attributes)

    def end(self, at: datetime, error: str | None, cause: BaseException | None) -> float | None:
        """How many seconds it took; None where it has ended before. With `error` it ends badly, and says so."""
        if self._is_over:
            return None
        self._is_over = True
        if error is not None:
            with harmless:
                self._span.set_status(Status(StatusCode.ERROR, error))
        if error is not None and cause is not None:
            with harmless:  # an author's exception, whose words are the author's code
                self._span.record_exception(cause, timestamp=_nanoseconds(at))
        with harmless:
            self._span.end(_nanoseconds(max(at, self._began)))
        return max((at - self._began).total_seconds(), 0.0)  # the clock may have been set back


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
    if (words := _words_of(state)) is not None:
        told["actwright.state.message"] = words
    return told


def _words_of(state: State[Any]) -> str | None:
    return f"{type(state.cause).__name__}: see the log" if _tells_parameters(state.cause) else state.message


def _tells_parameters(error: BaseException | None) -> bool:
    """Whether its words, which are ours and no author's, have the values of parameters in them."""
    return isinstance(error, ParameterTypeError | ParameterBindError)


def _nanoseconds(at: datetime) -> int:
    """Since 1970, by which OpenTelemetry counts. In whole microseconds: a float has not digits enough."""
    return (at - _EPOCH) // _MICROSECOND * 1000
