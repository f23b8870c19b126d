"""The rows of nodes in the journal's database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, insert, or_, select, true, update

from actwright.journal.schema import hook_deliveries, nodes, runs
from actwright.models.deliveries import DeliveryStatus
from actwright.nodes.program import Program

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

__all__ = ["FIRST_EPOCH", "NodeRow", "add", "every", "has_work", "read", "reopen", "settle", "take_over", "unsettled"]

FIRST_EPOCH: Final = 1


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node, as the database knows it.

    Attributes:
        epoch: how often it was taken over, and one.
        program: what a replay process is started with.
        settled_at: since when nothing is open, nothing due, and nobody writes for it any more.
    """

    id: str
    epoch: int
    pid: int
    host: str
    program: Program
    started_at: datetime
    settled_at: datetime | None


def add(connection: Connection, node_id: str, pid: int, host: str, program: Program) -> None:
    """Make a node known."""
    values = {
        "id": node_id, "epoch": FIRST_EPOCH, "pid": pid, "host": host, "program": program.to_json(),
        "started_at": _now(), "prunings": 0,
    }  # fmt: skip
    connection.execute(insert(nodes).values(values))


def read(connection: Connection, node_id: str) -> NodeRow | None:
    """A node by its id."""
    return next(iter(_rows(connection, nodes.c.id == node_id)), None)


def unsettled(connection: Connection) -> list[NodeRow]:
    """The nodes that are alive, or that died and are not settled; oldest first."""
    return _rows(connection, nodes.c.settled_at.is_(None))


def every(connection: Connection) -> list[NodeRow]:
    """All nodes that are known, oldest first."""
    return _rows(connection, true())


def has_work(connection: Connection, node_id: str) -> bool:
    """Whether a run of it is open, or a hook due."""
    return bool(connection.execute(select(_has_work(node_id))).scalar())


def take_over(connection: Connection, node_id: str) -> int:
    """Raise the node's epoch, so that what still writes under the old one is refused; the new one."""
    connection.execute(update(nodes).where(nodes.c.id == node_id).values(epoch=nodes.c.epoch + 1))
    epoch: int = connection.execute(select(nodes.c.epoch).where(nodes.c.id == node_id)).scalar_one()
    return epoch


def settle(connection: Connection, node_id: str) -> bool:
    """Note that nothing is left to do for a node that nobody writes for; whether that is so."""
    statement = update(nodes).where(nodes.c.id == node_id, ~_has_work(node_id)).values(settled_at=_now())
    return connection.execute(statement).rowcount > 0


def reopen(connection: Connection, node_id: str) -> None:
    """Note that there is something left to do for a settled node. Only for whoever holds its lock."""
    connection.execute(update(nodes).where(nodes.c.id == node_id).values(settled_at=None))


def _has_work(node_id: str) -> ColumnElement[bool]:
    # The understudy asks the same, in its own words: it has the standard library alone.
    open_runs = exists().where(runs.c.node_id == node_id, runs.c.ended_at.is_(None))
    open_statuses = (DeliveryStatus.DUE.value, DeliveryStatus.RUNNING.value)
    open_hooks = exists().where(hook_deliveries.c.node_id == node_id, hook_deliveries.c.status.in_(open_statuses))
    return or_(open_runs, open_hooks)


def _rows(connection: Connection, condition: ColumnElement[bool]) -> list[NodeRow]:
    found = connection.execute(select(nodes).where(condition).order_by(nodes.c.started_at)).mappings()
    return [
        NodeRow(
            id=row["id"],
            epoch=row["epoch"],
            pid=row["pid"],
            host=row["host"],
            program=Program.from_json(row["program"]),
            started_at=datetime.fromisoformat(row["started_at"]),
            settled_at=None if row["settled_at"] is None else datetime.fromisoformat(row["settled_at"]),
        )
        for row in found
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
