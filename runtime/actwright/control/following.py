"""Following a run until it and its hooks are done: what is new each time somebody has written, and whether its process
lives."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from actwright.control.output import fail
from actwright.journal.changes import Changes
from actwright.journal.progress import Event
from actwright.nodes import rows
from actwright.nodes.node import holder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.progress import Progress
    from actwright.nodes.rows import NodeRow

__all__ = ["LOOK_SECONDS", "News", "ProcessChanged", "ProcessStatus", "follow"]

LOOK_SECONDS: Final = 0.05
_LIVENESS_SECONDS: Final = 0.5
_LAST_SECONDS: Final = 2.0


class ProcessStatus(StrEnum):
    """How the process of a run is. DEAD: nobody has taken over what it left."""

    ALIVE = "alive"
    DEAD = "dead"
    RECOVERING = "being recovered"


@dataclass(frozen=True, slots=True)
class ProcessChanged:
    """The run's process died, or another one began to recover what it left.

    Attributes:
        node: its node.
        holder: the process that recovers it; 0 for one without an id here.
    """

    node: NodeRow
    status: ProcessStatus
    holder: int | None
    at: datetime

    def __str__(self) -> str:
        if self.status is ProcessStatus.RECOVERING:
            return f"process {self.holder or 'unknown'} recovers it"
        return (
            f"its process (pid {self.node.pid} on {self.node.host}) is dead: its understudy sees to it, or the next "
            "program that opens this journal, or `actwright recover`"
        )


News: TypeAlias = Event | ProcessChanged


def follow(
    database: Database,
    progress: Progress,
    *,
    also: Callable[[Connection], object] = lambda _: None,
    linger_seconds: float = 0.0,
) -> Iterator[list[News]]:
    """What is new, oldest first, about every `LOOK_SECONDS`, until the run and its hooks are done; often nothing.

    It blocks in between. While nobody has written, nothing is asked of the database. Ends the command if the run is
    deleted.

    Args:
        also: called in each transaction that reads what is new, to read more.
        linger_seconds: it goes on until nobody has written for so long after the end (2 s at most): the last words of a
            run are kept after its last state.
    """
    process = _Process(database)
    over_since = quiet_since = 0.0
    with Changes(database) as changes:
        while True:
            news: list[News] = []
            process_news = process.look()  # before the run is: see `liveness.dead_nodes`
            now = time.monotonic()
            if changes.any() or process_news is not None:
                quiet_since = now
                with database.reading() as connection:
                    news += progress.look(connection)
                    process.node = _node_of(connection, progress, process.node)
                    also(connection)
            if process_news is not None and not progress.is_over:
                process.status = process_news.status
                news.append(process_news)
            yield news
            if progress.is_over:
                over_since = over_since or now
                if now - quiet_since >= linger_seconds or now - over_since >= _LAST_SECONDS:
                    return
            time.sleep(LOOK_SECONDS)


def _node_of(connection: Connection, progress: Progress, known: NodeRow | None) -> NodeRow | None:
    root = progress.root
    if root is None:
        fail("The run was deleted while it was followed.", code=1)
    return known if known is not None else rows.read(connection, root.node_id)


class _Process:
    """The process of a node, whose lock tells whether it lives: no query is needed for that.

    Attributes:
        node: it is asked about once this is known.
        status: as it was last told.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked_at = 0.0
        self.node: NodeRow | None = None
        self.status = ProcessStatus.ALIVE

    def look(self) -> ProcessChanged | None:
        """What has changed since it was last told, asked twice a second."""
        now = time.monotonic()
        if self.node is None or now - self._asked_at < _LIVENESS_SECONDS:
            return None
        self._asked_at = now
        holder = holder_of(self.node, self._database)
        status = self._status(self.node, holder)
        return None if status is self.status else ProcessChanged(self.node, status, holder, datetime.now(UTC))

    @staticmethod
    def _status(node: NodeRow, holder: int | None) -> ProcessStatus:
        if holder is None:
            return ProcessStatus.DEAD
        is_another = node.host == socket.gethostname() and holder not in (node.pid, 0)
        return ProcessStatus.RECOVERING if is_another else ProcessStatus.ALIVE
