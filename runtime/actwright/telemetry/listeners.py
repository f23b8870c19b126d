"""Whether anybody listens. A program that does not use OpenTelemetry never loads it, and pays for one look."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Final

__all__ = ["anybody_listens", "is_in_use"]

_NAMED_BY: Final = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")


def is_in_use() -> bool:
    """Whether the program uses OpenTelemetry: who sets a provider up has loaded it, else the environment names one."""
    return "opentelemetry.trace" in sys.modules or "opentelemetry.metrics" in sys.modules or _environment_names_one()


def anybody_listens() -> bool:
    """Whether there is a provider, of tracers or of meters, that does something."""
    if not is_in_use():
        return False
    from actwright.telemetry.providers import there_is_one  # it loads OpenTelemetry

    return there_is_one()


@cache
def _environment_names_one() -> bool:
    return any(os.environ.get(variable) for variable in _NAMED_BY)
