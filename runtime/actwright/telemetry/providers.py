"""The providers that a program has set. This module loads OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import get_meter_provider
from opentelemetry.trace import get_tracer_provider

from actwright.telemetry.harmless import harmless

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["SCOPE", "there_is_one", "tracer"]

SCOPE: Final = "actwright"
"""The name under which spans and metrics are known to be of this library."""

_OF_THE_API: Final = ("opentelemetry.trace", "opentelemetry.metrics")
"""Where the providers stand that do nothing: those that there are while no other one is set."""


def there_is_one() -> bool:
    """Whether a provider is set that does something."""
    global _cannot_be_made
    if _cannot_be_made:
        return False
    with harmless:
        return _does_something(get_tracer_provider()) or _does_something(get_meter_provider())
    _cannot_be_made = True  # the one that the environment names: asked for again, it would fail again, and say so
    return False


_cannot_be_made = False


def tracer() -> Tracer:
    """Ours, of the provider that is set by now."""
    global _tracer
    provider = get_tracer_provider()
    if _tracer is None or _tracer[0] is not provider:
        _tracer = provider, provider.get_tracer(SCOPE)  # kept: to ask for it takes 20 times as long as to start a span
    return _tracer[1]


_tracer: tuple[TracerProvider, Tracer] | None = None


def _does_something(provider: object) -> bool:
    return not type(provider).__module__.startswith(_OF_THE_API)
