"""What no Ctrl-C may cut in two on trio: half a host, or half a run, could never be brought to its end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from actwright_actors.backends import protect_from_keyboard_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["keep_whole", "see_to_whole"]

_whole: list[Callable[..., object]] = []


def keep_whole(*functions: Callable[..., object]) -> None:
    """Have no KeyboardInterrupt raised while one of these is on the stack, once a host has opened on the loop: it is
    said at import, for a call costs less than asking which loop runs."""
    _whole.extend(functions)


def see_to_whole() -> None:
    """Do so on the loop that runs here."""
    import_module("actwright.engine.entry")  # which has some, and is loaded by the first call
    protect_from_keyboard_interrupt(*_whole)
