"""How nodes are: alive, stopped, unresponsive, dead, being recovered, ended. Asks the locks, and the kernel."""

from __future__ import annotations

import socket
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actwright.journal.queries import Work, work_of_nodes
from actwright.nodes import rows
from actwright.nodes.node import holder_of, lock_path

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.nodes.rows import NodeRow

__all__ = ["UNRESPONSIVE_SECONDS", "KnownNode", "NodeStatus", "dead_nodes", "is_stopped", "known_nodes", "status_of"]

UNRESPONSIVE_SECONDS: Final = 5.0
"""A process touches its lock file about every second while runs are open. Later than that, its loop is stuck."""


class NodeStatus(StrEnum):
    """How a node is. DEAD: its process is gone, and something is left to do."""

    ALIVE = "alive"
    STOPPED = "stopped"
    UNRESPONSIVE = "unresponsive"
    DEAD = "dead"
    RECOVERING = "being recovered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as it was found.

    Attributes:
        row: what the journal knows of it.
        work: what is left to do for it.
        holder: the process that holds its lock; 0 for one without an id here, as in another container.
        unresponsive_seconds: for how long it has not been heard of; None unless UNRESPONSIVE.
    """

    row: NodeRow
    work: Work
    status: NodeStatus
    holder: int | None
    unresponsive_seconds: float | None


def known_nodes(connection: Connection, database: Database, *, ended: bool = False) -> list[KnownNode]:
    """The nodes of a journal, oldest first; with `ended` also those with nothing left to do."""
    found_rows = rows.every(connection) if ended else rows.unsettled(connection)
    holders = {row.id: holder_of(row, database) for row in found_rows}
    work = work_of_nodes(connection)
    found = [_known(row, work.get(row.id, Work()), holders[row.id], database) for row in found_rows]
    return [node for node in found if ended or node.status is not NodeStatus.ENDED]


def dead_nodes(database: Database) -> frozenset[str]:
    """The nodes whose processes are gone, and whose runs are not settled. Ask before you read their runs.

    The other way round a process that ends in between, and well, would seem to have died with its runs open.
    """
    with database.reading() as connection:
        unsettled = rows.unsettled(connection)
    return frozenset(row.id for row in unsettled if holder_of(row, database) is None)


def status_of(
    row: NodeRow, work: Work, holder: int | None, silent_seconds: float | None, *, is_here: bool, stopped: bool
) -> NodeStatus:
    """How a node is, from what was found.

    Args:
        silent_seconds: since its lock file was touched.
        is_here: whether its process ids mean something to this machine.
        stopped: whether the process with its id is (SIGSTOP).
    """
    if holder is None:
        return NodeStatus.DEAD if any(work) else NodeStatus.ENDED
    if is_here and holder not in (row.pid, 0):
        return NodeStatus.RECOVERING
    if is_here and stopped:
        return NodeStatus.STOPPED
    if work.open_runs and silent_seconds is not None and silent_seconds > UNRESPONSIVE_SECONDS:
        return NodeStatus.UNRESPONSIVE
    return NodeStatus.ALIVE


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, by SIGSTOP or a debugger. Only Linux tells."""
    if sys.platform != "linux":
        return False
    try:
        found = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return found.rpartition(")")[2].split()[0] in ("T", "t")  # the name before it may hold anything


def _known(row: NodeRow, work: Work, holder: int | None, database: Database) -> KnownNode:
    silent = _silent_seconds(lock_path(row.id, database))
    is_here = row.host == socket.gethostname()
    status = status_of(row, work, holder, silent, is_here=is_here, stopped=is_stopped(row.pid))
    return KnownNode(row, work, status, holder, silent if status is NodeStatus.UNRESPONSIVE else None)


def _silent_seconds(lock: Path) -> float | None:
    """Since the file was touched. It is never opened for that: see `nodes.locks`."""
    try:
        return max(time.time() - lock.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return None
