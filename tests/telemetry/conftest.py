"""What the tests of telemetry share: somebody who listens, for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from tests.engine.conftest import background_backend, background_loops_are_closed, recorder
from tests.serving.conftest import told
from tests.telemetry.heard import Measured, Spans

from actwright.telemetry.harmless import harmless

__all__ = ["background_backend", "background_loops_are_closed", "recorder", "told"]

# OpenTelemetry lets a process set a provider once. It is patched in, so that it ends with its test, and the tests that
# come after it in the same process run as if there had never been one.
TRACER_PROVIDER = "opentelemetry.trace._TRACER_PROVIDER"
METER_PROVIDER = "opentelemetry.metrics._internal._METER_PROVIDER"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """The provider of this process."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(TRACER_PROVIDER, provider)
    return provider


@pytest.fixture
def spans(provider: TracerProvider) -> Spans:
    """All spans that end in this process."""
    return Spans(provider)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    """All that is counted and measured in this process."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(METER_PROVIDER, meters)
    yield Measured(reader)
    meters.shutdown()


@pytest.fixture(autouse=True)
def nothing_was_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said once in the life of a process is said once in each test."""
    monkeypatch.setattr(harmless, "_said", set[object]())
