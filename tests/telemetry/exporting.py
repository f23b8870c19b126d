"""Imported by a program of a test, it has each of its spans written to the file that the environment names in SPANS."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

__all__ = ["spans_in"]


class ToFile(SpanExporter):
    """A line for each."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with Path(os.environ["SPANS"]).open("a", encoding="utf-8") as file:
            for span in spans:
                file.write(f"{json.dumps(as_line(span))}\n")
        return SpanExportResult.SUCCESS


def as_line(span: ReadableSpan) -> dict[str, Any]:
    context = span.context
    assert context is not None
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": context.trace_id,
        "span": context.span_id,
        "parent": span.parent and span.parent.span_id,
        "attributes": dict(span.attributes or {}),
        "pid": os.getpid(),
    }


def spans_in(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Name -> the spans of that name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        span = json.loads(line)
        found.setdefault(span["name"], []).append(span)
    return found


if "SPANS" in os.environ:  # not in the process of the tests, which has imported this before it was set
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ToFile()))
    trace.set_tracer_provider(provider)
