"""This process as a node: its row, its lock, its journal, its understudy. One for each database, while it lives."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from actwright.exceptions import InternalError, JournalError
from actwright.journal.database import Database
from actwright.journal.slots import free_nodes
from actwright.journal.sql_journal import JournalLimits, SqlJournal
from actwright.nodes import locks, rows
from actwright.nodes.bodies import body_files, remove_body_files
from actwright.nodes.companion import Companion, Recovery, recover_dead
from actwright.nodes.opening import opened
from actwright.nodes.program import Program
from actwright.nodes.pulse import Pulse
from actwright.nodes.upkeep import Pruning, remove_lock_files, where_the_understudy_dies_too

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from actwright.nodes.rows import NodeRow
    from actwright.settings import Settings

__all__ = [
    "Node",
    "close_nodes",
    "dead_among",
    "holder_of",
    "limits_of",
    "lock_path",
    "open_nodes",
    "process_node",
    "recovery_of",
]

logger = logging.getLogger("actwright.nodes")

_LEAVE_SECONDS: Final = 60.0
"""How long a dead node is left to who was started for it."""


def limits_of(settings: Settings) -> JournalLimits:
    """What the settings say of the journal."""
    return JournalLimits(
        wait_seconds=settings.journal_wait_seconds,
        queue_records=settings.journal_queue_limit,
        parameters_bytes=settings.parameters_limit_bytes,
    )


def lock_path(node_id: str, database: Database) -> Path:
    """What a node holds for as long as it lives. Only `nodes.locks` opens it."""
    return database.path.parent / "nodes" / f"{node_id}.lock"


def holder_of(node: NodeRow, database: Database) -> int | None:
    """The id of the process that a node lives in, or that recovers it; None when it is dead.

    Raises:
        OSError: its lock file cannot be opened.
    """
    is_here = node.host == socket.gethostname()
    return locks.holder(lock_path(node.id, database), node.pid if is_here else None)


def dead_among(database: Database, connection: Connection, node_ids: Iterable[str]) -> list[str]:
    """Those of these nodes whose process is gone, and that nobody recovers just now."""
    return [node_id for node_id in node_ids if _is_gone(rows.read(connection, node_id), database)]


def _is_gone(node: NodeRow | None, database: Database) -> bool:
    if node is None or node.settled_at is not None:
        return True
    try:
        return holder_of(node, database) is None
    except OSError as error:  # another user's, say
        logger.warning("Whether node %s is alive cannot be told from here: %s", node.id, error)
        return False


def recovery_of(program: Program, node_id: str, database: Database) -> Recovery:
    """What it takes to recover a node of this database, once it is dead."""
    return Recovery.of(program, node_id, database.path, database.path.parent / "nodes")


class Node:
    """One OS process on one journal. It is alive while it holds its lock.

    Attributes:
        id: of this node.
        journal: what the runs of this process are written to.
        pulse: asks its event loops whether they answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.id = str(uuid4())
        with ExitStack() as stack:
            self.database = Database.open(settings.database, synchronous=settings.synchronous)
            stack.callback(self.database.close)
            program = Program.of_this_process()
            recovery = recovery_of(program, self.id, self.database)
            self._lock = self._hold(recovery.lock_path, stack)
            with self.database.writing() as connection:
                rows.add(connection, self.id, os.getpid(), socket.gethostname(), program)
            self._companion = Companion(recovery)
            self.pulse = Pulse(self._lock)
            self.journal = SqlJournal(
                self.database,
                self.id,
                rows.FIRST_EPOCH,
                limits=limits_of(settings),
                before_hooks=self._companion.start if settings.understudy else lambda: None,
                dead_among=partial(dead_among, self.database),
            )
            self._pruning = Pruning(self.database, settings.retention, recovery.lock_path.parent)
            stack.pop_all()
        self._leave_until: dict[str, float] = {}
        self._is_blind = False  # and has said so
        self._say_what_to_know(settings)

    def _say_what_to_know(self, settings: Settings) -> None:
        for found in (self.database.vanishes, self.database.exposed):
            if found:
                logger.warning("%s", found)
        why = where_the_understudy_dies_too()
        if settings.understudy and why:
            logger.info(
                "Takeover: at next start. Should this process be killed, its understudy is as well (%s): its hooks "
                "then run when a program next opens %s, or by `actwright recover`.",
                why, self.database.path,
            )  # fmt: skip

    def _hold(self, path: Path, stack: ExitStack) -> locks.NodeLock:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        lock = locks.hold(path)
        if lock is None:
            raise InternalError(f"The lock of the new node {self.id} is held by another process.")
        stack.callback(lock.release, unlink=True)
        return lock

    def see_to_others(self, by_understudies: bool) -> None:
        """See to nodes whose process and understudy both died: one understudy each, or a word about what to do. And to
        what is over. Where that fails it is said, and left to the next who tries: it is no business of this process."""
        try:
            self._see_to_others(by_understudies)
        except (OSError, JournalError) as error:
            logger.warning("What other processes left in %s is not seen to from here: %s", self.database.path, error)

    def see_to_the_dead(self) -> None:
        """The same for nodes that died since, whatever the settings say of understudies: nobody else may look for
        long. One that was seen to has its time before it is looked at again."""
        now = time.monotonic()
        try:
            with self.database.reading() as connection:
                dead = [
                    node
                    for node in rows.unsettled(connection)
                    if now >= self._leave_until.get(node.id, 0.0)
                    and _is_gone(node, self.database)
                    and rows.has_work(connection, node.id)
                ]
        except JournalError as error:
            if not self._is_blind:
                logger.warning("What dead processes left in %s cannot be seen now: %s", self.database.path, error)
            self._is_blind = True
            return
        self._is_blind = False
        for node in dead:
            self._leave_until[node.id] = now + _LEAVE_SECONDS
            self._see_to(node, by_understudies=True)
        self._pruning.start()

    def _see_to_others(self, by_understudies: bool) -> None:
        folder = lock_path(self.id, self.database).parent
        files = body_files(folder)  # before the nodes are read: one that comes after that has none among them
        with self.database.writing() as connection:
            unsettled = rows.unsettled(connection)
            dead = [node for node in unsettled if _is_gone(node, self.database)]
            free_nodes(connection, [node.id for node in dead])
            settled = {node.id for node in dead if rows.settle(connection, node.id)}
        waiting = [node for node in dead if node.id not in settled]
        in_use = {node.id for node in unsettled} - settled
        remove_lock_files(folder, in_use)
        remove_body_files(files, in_use)
        self._pruning.start()
        for node in waiting:
            self._see_to(node, by_understudies)

    def _see_to(self, node: NodeRow, by_understudies: bool) -> None:
        who = f"Node {node.id} (pid {node.pid} on {node.host}) died, and runs of it are open or hooks due"
        try:
            if not by_understudies:
                logger.warning("%s: `actwright recover` sees to them.", who)
            elif recover_dead(recovery_of(node.program, node.id, self.database)):
                logger.warning("%s: they are seen to now.", who)
        except OSError as error:
            logger.warning("%s: they wait for the next Runtime, or for `actwright recover`. %s", who, error)

    def close(self) -> None:
        """Write what is left, and let go of everything. Blocks."""
        self.journal.close()
        with ExitStack() as stack:
            stack.callback(self._pruning.join)
            stack.callback(self.database.close)
            stack.callback(self._companion.close)
            stack.callback(self.pulse.close)
            stack.callback(self._release)

    def _release(self) -> None:
        """Let the lock go: with its file where nothing is left to do, and else for the understudy to find."""
        settled = False
        try:
            with self.database.writing() as connection:
                settled = rows.settle(connection, self.id)
        except JournalError as error:
            logger.warning("Node %s could not be settled, which is done later: %s", self.id, error)
        finally:
            self._lock.release(unlink=settled)


_lock = threading.Lock()
_nodes: dict[Path, Node] = {}


def process_node(settings: Settings) -> Node:
    """The node that this process is on the journal of `settings`; opened at the first call. Blocks.

    Raises:
        JournalUnavailable: the journal could not be opened for `journal_wait_seconds`.
        JournalError: it cannot be opened; the message says why, and what to do.
    """
    path = settings.database
    with _lock:
        if path not in _nodes:
            _nodes[path] = opened(partial(Node, settings), settings.journal_wait_seconds)
            _nodes[path].see_to_others(by_understudies=settings.understudy)
        return _nodes[path]


def open_nodes() -> list[Node]:
    """The nodes that this process is."""
    with _lock:
        return list(_nodes.values())


def close_nodes() -> None:
    """Close the nodes that this process is; the next call of `process_node` opens a new one. Blocks."""
    with _lock:
        nodes = list(_nodes.values())
        _nodes.clear()
    for node in nodes:
        node.close()


_lost: list[Node] = []


def _forget() -> None:
    """A forked child is another process: a node of its own. What it inherited stays the parent's, and is not freed,
    since that could close what the parent still uses."""
    global _lock
    _lock = threading.Lock()
    _lost.extend(_nodes.values())
    _nodes.clear()


os.register_at_fork(after_in_child=_forget)
