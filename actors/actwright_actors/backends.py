"""What a library on top may want to know of the event loop underneath, without naming one.

Which loop runs, how to start one of a given name, and what threads and Ctrl-C need on each.
"""

from __future__ import annotations

from actwright_actors._backend import (
    BackendName,
    backend_options,
    current_backend_name,
    escaped_cancellation_is_forged,
    forget_event_loop,
    protect_from_keyboard_interrupt,
    thread_safe_caller,
)

__all__ = [
    "BackendName",
    "backend_options",
    "current_backend_name",
    "escaped_cancellation_is_forged",
    "forget_event_loop",
    "protect_from_keyboard_interrupt",
    "thread_safe_caller",
]
