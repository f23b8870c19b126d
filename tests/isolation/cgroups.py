"""A limit on memory that a process can put itself under, where this machine permits that."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["may_limit_memory", "memory_limit"]

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

_LIMITS_V1 = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
_LIMITS_V2 = "memory.max", "memory.swap.max"


def may_limit_memory() -> bool:
    """Whether a group can be made here, and limited."""
    try:
        with memory_limit(64_000_000):
            return True
    except OSError:
        return False


@contextmanager
def memory_limit(size: int) -> Generator[Path]:
    """A group of processes that may have `size` bytes together; whoever writes its id into the file joins it."""
    is_v1 = (_V1 / "memory.limit_in_bytes").exists()
    group = (_V1 if is_v1 else _V2) / f"actwright-test-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(size))
        with suppress(OSError):  # where swapping is not accounted for there is none to limit
            (group / ("memory.memsw.limit_in_bytes" if is_v1 else "memory.swap.max")).write_text(
                str(size if is_v1 else 0)
            )
        yield group / "cgroup.procs"
    finally:
        deadline = time.monotonic() + 5
        while group.exists() and time.monotonic() < deadline:
            with suppress(OSError):  # its last process is not quite gone
                group.rmdir()
            time.sleep(0.01)
