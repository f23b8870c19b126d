"""What was worked out for an object, found again by which object it is."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

__all__ = ["ByIdentity"]

V = TypeVar("V")


class ByIdentity(Generic[V]):
    """object -> value, by identity alone: it may be unhashable, or equal to others.

    Keeps no object alive, and forgets its value with it, so that a reused id finds nothing. What cannot be referred to
    weakly is not remembered at all. Any thread may use it.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], V]] = {}

    def get(self, item: object) -> V | None:
        """The value of this very object, or None."""
        entry = self._entries.get(id(item))
        return entry[1] if entry is not None and entry[0]() is item else None

    def put(self, item: object, value: V) -> None:
        """Remember `value` for as long as `item` lives."""
        key, entries = id(item), self._entries

        def forget(dead: weakref.ref[Any]) -> None:
            entry = entries.get(key)
            if entry is not None and entry[0] is dead:
                del entries[key]

        try:
            entries[key] = (weakref.ref(item, forget), value)
        except TypeError:  # an object with __slots__, say: it is worked out again
            pass

    def __len__(self) -> int:
        return len(self._entries)
