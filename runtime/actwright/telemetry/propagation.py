"""The same with OpenTelemetry: this module loads it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context as TelemetryContext
from opentelemetry.context import attach, get_current

from actwright.telemetry.harmless import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context

__all__ = ["add_carried", "carried", "set_carried"]


def carried(context: TelemetryContext | None = None) -> dict[str, str] | None:
    """What the global propagator makes of a context, the current one by default; None where that is nothing."""
    carrier: dict[str, str] = {}
    if (propagator := _global_propagator()) is not None:
        with harmless:
            propagator.inject(carrier, context)
            return {str(name): str(value) for name, value in carrier.items()} or None  # whatever it has set
    return None


def set_carried(context: Context, carried: Mapping[str, str]) -> None:
    """In `context`, be where the carried one was, and nowhere else."""
    _attach(context, carried, TelemetryContext())


def add_carried(context: Context, carried: Mapping[str, str]) -> None:
    """In `context`, be where the carried one was. What is not carried stays as it is."""
    _attach(context, carried, context.run(get_current))


def _attach(context: Context, carried: Mapping[str, str], around: TelemetryContext) -> None:
    if (propagator := _global_propagator()) is not None:
        with harmless:
            around = propagator.extract(carried, around)
    context.run(attach, around)  # never detached: the copy that it is attached in ends with what runs there


class _Propagator(NamedTuple):
    inject: Callable[[dict[str, str], TelemetryContext | None], None]
    extract: Callable[[Mapping[str, str], TelemetryContext], TelemetryContext]


@cache
def _global_propagator() -> _Propagator | None:
    """None where OTEL_PROPAGATORS names one that is not there: then these cannot even be imported."""
    with harmless:
        from opentelemetry.propagate import extract, inject

        return _Propagator(inject, extract)
    return None
