"""What bodies, hooks and named points write down themselves: the oracle of the sweep, which trusts no journal.

One line is one write to a file opened for appending, so lines of several processes and threads never mix, and what a
process wrote before it was killed is there.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FOLDER", "Line", "folder", "note", "noted", "read"]

FOLDER: Final = "SWEEP_FOLDER"
"""The variable that says where a process keeps its ledger."""

Line = dict[str, Any]


def folder() -> Path:
    """Where this process's sweep is."""
    return Path(os.environ[FOLDER])


def note(what: str, **more: object) -> None:
    """Append a line."""
    line = json.dumps({"what": what, "at": time.monotonic(), "pid": os.getpid(), **more}, default=str)
    descriptor = os.open(folder() / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


@contextmanager
def noted(what: str, **more: object) -> Generator[None]:
    """Note when something starts, and when it ends or raises."""
    note(f"{what} starts", **more)
    try:
        yield
    finally:
        note(f"{what} ends", **more)


def read(place: Path) -> list[Line]:
    """The lines, in the order in which they were written; not yet the one that is just being written."""
    path = place / "ledger"
    whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
    return [json.loads(line) for line in whole.splitlines()]
