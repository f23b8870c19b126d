"""Contexts on their way between processes, as the names and values that the global propagator makes of them.

With the W3C's: `{"traceparent": "00-...", "baggage": "..."}`.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from actwright.telemetry.listeners import is_in_use

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["context_of_caller", "context_to_carry", "go_on_in"]


def context_to_carry() -> dict[str, str] | None:
    """The context of the code that asks; None where there is nothing to carry."""
    if not is_in_use():
        return None
    from actwright.telemetry.propagation import carried  # it loads OpenTelemetry

    return carried()


def context_of_caller(carried: Mapping[str, str] | None) -> Context:
    """The context variables of the code that asks, but in the place of its span and baggage those that were carried
    here; or none, where none were."""
    context = copy_context()
    if is_in_use():
        from actwright.telemetry.propagation import set_carried

        set_carried(context, carried or {})
    return context


def go_on_in(context: Context, carried: Mapping[str, str] | None) -> None:
    """Have code that runs in `context` go on where another process stood. There the program used OpenTelemetry: so it
    does here, maybe only in code that was not loaded yet."""
    if carried is not None:
        from actwright.telemetry.propagation import add_carried

        add_carried(context, carried)
