"""Users' values, shown to people: short, and whatever their `__repr__` does."""

from __future__ import annotations

import reprlib

__all__ = ["shorten"]


def shorten(value: object, limit: int = 200) -> str:
    """`value` for people, in `limit` characters at most. Never raises, whatever the `__repr__` of the value does."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = max(limit // 2, 20)
    try:
        shown = shortener.repr(value)
    except Exception as error:  # it is only shown: whatever went wrong, the value itself may be fine
        shown = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
