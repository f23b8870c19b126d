"""Whether anybody listens. A program that does not use OpenTelemetry never loads it, and pays for one look."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Final

from actwright.telemetry.harmless import harmless

__all__ = ["anybody_listens", "is_in_use"]

_TRACE: Final = "opentelemetry.trace"
_METRICS: Final = "opentelemetry.metrics"


def is_in_use() -> bool:
    """Whether the program uses OpenTelemetry: who sets a provider up has loaded it, else the environment names one."""
    return _TRACE in sys.modules or _METRICS in sys.modules or _environment_names_one()


def anybody_listens() -> bool:
    """Whether there is a provider, of tracers or of meters, that does something."""
    return _does_something(_TRACE, "get_tracer_provider") or _does_something(_METRICS, "get_meter_provider")


def _does_something(module: str, getter: str) -> bool:
    """Whether the provider does that one gets there. What one gets where none is set is of that module itself."""
    if _environment_names_one():
        import_module(module)
    get_provider = getattr(sys.modules.get(module), getter, None)
    if get_provider is None or module in _cannot_be_made:
        return False
    with harmless:
        return not type(get_provider()).__module__.startswith(module)
    _cannot_be_made.add(module)  # the one that the environment names: it would fail each time, and say so
    return False


_cannot_be_made: Final[set[str]] = set()


@cache
def _environment_names_one() -> bool:
    return any(os.environ.get(name) for name in ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER"))
