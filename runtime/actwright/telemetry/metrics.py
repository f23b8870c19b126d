"""What is counted and measured. This module loads OpenTelemetry.

Names and units as its semantic conventions have them. Attributes take few values: no run's id, and no run's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import get_meter_provider

from actwright.telemetry.tracer import SCOPE

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider

__all__ = ["Instruments", "instruments"]

_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
"""Bounds of buckets: from a task that only adds to a flow of an hour. Those by default are made for milliseconds."""


class Instruments:
    """Those of one meter."""

    def __init__(self, meter: Meter) -> None:
        self._runs = meter.create_counter("actwright.runs", "{run}", "Runs that have ended.")
        self._retries = meter.create_counter("actwright.run.retries", "{retry}", "Attempts that another one follows.")
        self._tries = meter.create_counter("actwright.hook.tries", "{try}", "Tries of hooks.")
        self._run_duration = meter.create_histogram(
            "actwright.run.duration", "s", "How long runs took, from their call to their final state.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip
        self._try_duration = meter.create_histogram(
            "actwright.hook.duration", "s", "How long tries of hooks took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip

    def run_ended(self, kind: str, name: str, state: str, seconds: float) -> None:
        """A run of the flow or task of this name has entered a final state."""
        attributes = {"actwright.run.kind": kind, f"actwright.{kind}.name": name, "actwright.run.state": state}
        self._runs.add(1, attributes)
        self._run_duration.record(seconds, attributes)

    def retried(self, kind: str, name: str) -> None:
        """An attempt of such a run is followed by another one."""
        self._retries.add(1, {"actwright.run.kind": kind, f"actwright.{kind}.name": name})

    def hook_tried(self, event: str, outcome: str, seconds: float) -> None:
        """A hook of this list was tried."""
        attributes = {"actwright.hook.event": event, "actwright.hook.outcome": outcome}
        self._tries.add(1, attributes)
        self._try_duration.record(seconds, attributes)


def instruments() -> Instruments:
    """Those of the provider that is set by now."""
    global _made
    provider = get_meter_provider()
    if _made is None or _made[0] is not provider:
        _made = provider, Instruments(provider.get_meter(SCOPE))
    return _made[1]


_made: tuple[MeterProvider, Instruments] | None = None
