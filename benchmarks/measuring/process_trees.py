"""What a process has started, and what those did: found, and ended by their ids."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["end", "started_by"]


def started_by(pid: int) -> dict[int, str]:
    """The processes that it and those started, with the time of each one's start. None where there is no /proc.

    It leads a session: what is in there is its own, too, if those have ended which started it.
    """
    children: dict[int, list[int]] = {}
    starts: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name is in parentheses, and may hold anything.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        process, parent, session = int(stat.parent.name), int(fields[1]), int(fields[3])
        starts[process] = fields[19]
        for above in {parent, session} - {process}:
            children.setdefault(above, []).append(process)
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        below = [each for each in children.get(todo.pop(), []) if each not in found]
        found |= {each: starts[each] for each in below}
        todo += below
    return found


def end(processes: Mapping[int, str]) -> None:
    """Wait a little for them to end by themselves, as daemons do when who started them has; kill those that do not."""
    deadline = time.monotonic() + 10
    left = {pid for pid, start in processes.items() if _start_of(pid) == start}
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid for pid in left if _start_of(pid) == processes[pid]}
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was about to end


def _start_of(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
