"""Waiting for what bodies in other processes tell, and for their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.subjects import made
from tests.engine.watched import until

__all__ = ["apart", "is_gone", "said"]


def apart(kind: str, fn: Any, **options: Any) -> Any:
    """A flow or a task of `fn`, whose body runs in a process of its own."""
    return made(kind, fn, isolation="process", **options)


async def said(path: Path) -> str:
    """What a body has written into a file, once it has: it is there, and empty, a moment before."""
    await until(lambda: _text_of(path) != "")
    return _text_of(path)


def _text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_gone(pid: int) -> bool:
    """Whether a process has ended; it may not have been waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True
