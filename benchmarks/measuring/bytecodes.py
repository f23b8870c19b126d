"""What something costs, counted and not timed: the bytecodes that Python executes for it.

A count is the same on any machine, whatever else it does. It does not see what C does: SQLite, pydantic's core, uvloop.
"""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType
from typing import Any

__all__ = ["Bytecodes"]


class Bytecodes:
    """Counts those that this thread executes inside of a `with`, and of which files and functions they are."""

    def __init__(self) -> None:
        self.by_place: Counter[tuple[str, str]] = Counter()
        self._before: Any = None

    def __enter__(self) -> Bytecodes:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    @property
    def count(self) -> int:
        return self.by_place.total()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.by_place[frame.f_code.co_filename, frame.f_code.co_qualname] += 1
        return self._trace
