"""Spans are started by this library's own tracer. This module loads OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.trace import get_tracer_provider

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["SCOPE", "tracer"]

SCOPE: Final = "actwright"
"""The name under which spans and metrics are known to be of this library."""


def tracer() -> Tracer:
    """Ours, of the provider that is set by now."""
    global _tracer
    provider = get_tracer_provider()
    if _tracer is None or _tracer[0] is not provider:
        _tracer = provider, provider.get_tracer(SCOPE)  # kept: asking takes half as long as a span
    return _tracer[1]


_tracer: tuple[TracerProvider, Tracer] | None = None
