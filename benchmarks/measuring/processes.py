"""A process that nothing was measured in before, and how much memory the system says that one has."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

__all__ = ["in_a_fresh_process", "resident_bytes"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def in_a_fresh_process(fn: Callable[[*Ts], T], *args: *Ts) -> T:
    """What `fn(*args)` returns in a Python of its own, which ends with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(fn, *args).result()


def resident_bytes() -> int:
    """How much of this process is in memory."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], check=True, capture_output=True, text=True)
    return int(shown.stdout) * 1024
