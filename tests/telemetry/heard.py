"""What was heard: spans by their names and parents, and what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["Measured", "Spans", "current_id", "current_name", "id_of", "own_span", "trace_of"]

OWN = "own"


class Spans:
    """Those that have ended."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one of that name."""
        (found,) = self.named(name)
        return found

    def parent_of(self, span: ReadableSpan) -> str | None:
        """The name of its parent; None where it has none."""
        if span.parent is None:
            return None
        (parent,) = [each for each in self.all if id_of(each) == span.parent.span_id]
        assert trace_of(parent) == trace_of(span)
        return parent.name

    @property
    def tree(self) -> dict[str, set[str | None]]:
        """Name -> the names of the parents of those that are named so."""
        tree: dict[str, set[str | None]] = {}
        for span in self.all:
            tree.setdefault(span.name, set()).add(self.parent_of(span))
        return tree


class Measured:
    """The sums so far."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, name: str) -> list[tuple[dict[str, Any], float]]:
        """Of a metric, each set of attributes with its sum."""
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            (dict(point.attributes or {}), _sum_of(point))
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def _sum_of(point: object) -> float:
    if isinstance(point, HistogramDataPoint):
        return float(point.sum)
    assert isinstance(point, NumberDataPoint)
    return float(point.value)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def current_name() -> str | None:
    """The name of the span that the code that asks is in."""
    span = trace.get_current_span()
    return span.name if isinstance(span, ReadableSpan) else None


def current_id() -> int:
    return trace.get_current_span().get_span_context().span_id


def own_span(name: str = OWN) -> Any:
    """`with own_span():` a span as a library makes one, or an author."""
    return trace.get_tracer("author").start_as_current_span(name)
