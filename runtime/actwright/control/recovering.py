"""Recovering dead nodes in the foreground, and telling what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from actwright.journal.queries import find_deliveries, last_seq, node_deliveries, node_runs
from actwright.models.deliveries import DeliveryStatus
from actwright.nodes import locks, rows
from actwright.nodes.companion import recover_now
from actwright.nodes.node import lock_path, recovery_of
from actwright.nodes.understudy import EXIT_HELD, EXIT_SETTLED

if TYPE_CHECKING:
    from pathlib import Path

    from actwright.journal.database import Database
    from actwright.journal.queries import FoundDelivery, FoundRun
    from actwright.nodes.companion import Recovery
    from actwright.nodes.rows import NodeRow

__all__ = ["Outcome", "Recovered", "held_by_another", "recover_node"]


class Outcome(StrEnum):
    """What came of it. HELD: another process is at it, or it lives after all."""

    RECOVERED = "recovered"
    HELD = "held by another process"
    GAVE_UP = "given up"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done for a node.

    Attributes:
        is_over: whether nothing is open or due any more, whoever did it.
        runs: those that were settled, or that its hooks began; callers last.
        hooks: those that were due, in the order in which they became so.
        log: what the processes that ran them wrote, if they did.
    """

    node: NodeRow
    outcome: Outcome
    is_over: bool
    runs: list[FoundRun]
    hooks: list[FoundDelivery]
    log: Path

    @property
    def is_well(self) -> bool:
        """Whether nothing is left, and no hook failed."""
        done = (DeliveryStatus.SUCCEEDED, DeliveryStatus.SKIPPED)
        return self.is_over and all(hook.delivery.status in done for hook in self.hooks)


def recover_node(database: Database, node: NodeRow, *, by_force: bool = False) -> Recovered:
    """Recover a node, and wait for the end of that. Blocks.

    Args:
        by_force: although its process holds its lock: that one is fenced by the epoch.
    """
    with database.reading() as connection:
        seq = last_seq(connection)
        open_hooks = find_deliveries(connection, statuses=(DeliveryStatus.DUE, DeliveryStatus.RUNNING))
    among = [str(each.delivery.id) for each in open_hooks if each.node_id == node.id]
    recovery = recovery_of(node.program, node.id, database)
    if by_force:
        recovery = replace(recovery, log_path=recovery.log_path.with_suffix(".forced.log"))  # the other is in use
    outcome = Outcome.RECOVERED if not by_force and _settle(database, node) else _replay(recovery, by_force)
    with database.reading() as connection:
        is_over = not rows.has_work(connection, node.id)
        runs, hooks = node_runs(connection, node.id, seq), node_deliveries(connection, node.id, seq, among)
    return Recovered(node, outcome, is_over, runs, hooks, recovery.log_path)


def held_by_another(database: Database, node: NodeRow) -> Recovered:
    """A node that another process recovers just now: nothing was done for it here."""
    with database.reading() as connection:
        is_over = not rows.has_work(connection, node.id)
    return Recovered(node, Outcome.HELD, is_over, [], [], recovery_of(node.program, node.id, database).log_path)


def _settle(database: Database, node: NodeRow) -> bool:
    """A node that left nothing to do needs no replay; whether it is one."""
    path = lock_path(node.id, database)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lock = locks.hold(path)
    if lock is None:
        return False
    settled = False
    try:
        with database.writing() as connection:
            settled = rows.settle(connection, node.id)
    finally:
        lock.release(unlink=settled)
    return settled


def _replay(recovery: Recovery, by_force: bool) -> Outcome:
    match recover_now(recovery, by_force=by_force):
        case code if code == EXIT_SETTLED:
            return Outcome.RECOVERED
        case code if code == EXIT_HELD:
            return Outcome.HELD
        case _:
            return Outcome.GAVE_UP
