"""The statements that write, each compiled once.

What each batch needs goes to a cursor of the driver's own: SQLAlchemy takes longer to execute a statement than SQLite
does, and a flow run waits for five of them.

Many rows go in by one statement. A statement a row, as `executemany` makes them, hands the GIL over at each: with one
busy thread in the process, fifty rows take 174 ms so, and 16 ms in one.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import sqlite

from actwright.journal import schema
from actwright.journal.rows import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Dialect, Table
    from sqlalchemy.engine.interfaces import DBAPICursor

    from actwright.journal.batch import Batch

__all__ = [
    "ADD_BLOCK", "ADD_OBJECT", "ADD_VARIABLE", "ANSWER_COMMAND", "SET_BLOCK", "SET_VARIABLE", "UNSET_BLOCK",
    "UNSET_VARIABLE", "own_node", "write",
]  # fmt: skip

_MOST_ROWS: Final = 64
"""Of one statement: 64 rows of the widest table have 1,536 values, and SQLite takes 32,766."""


@dataclass(frozen=True)
class _Writing:
    """How rows of a table are written.

    Attributes:
        changing: the columns that a row which is there already takes over; without any, it stays as it is.
    """

    table: Table
    changing: tuple[str, ...] = ()

    def sql(self, rows: int, dialect: Dialect) -> str:
        """The statement for so many rows; its values are given by position, row after row.

        Compiled for one row and repeated as text: to compile it for 64 takes several milliseconds, which the first
        batches of each program would pay for.
        """
        names = columns_of(self.table)
        insert = sqlite.insert(self.table).values({name: bindparam(name) for name in names})
        if self.changing:
            changes = {name: insert.excluded[name] for name in self.changing}
            insert = insert.on_conflict_do_update(index_elements=["id"], set_=changes)
        elif "id" in names:
            insert = insert.on_conflict_do_nothing(index_elements=["id"])
        head, row, tail = str(insert.compile(dialect=dialect)).partition(f"({', '.join('?' * len(names))})")
        return f"{head}{', '.join([row] * rows)}{tail}"


_RUNS: Final = _Writing(
    schema.runs,
    (
        "name", "state_id", "state_type", "state_name", "state_message", "state_at", "run_count", "parameters",
        "started_at", "ended_at", "result", "registration", "trace_context",
    ),
)  # fmt: skip
_TRANSITIONS: Final = _Writing(schema.transitions)
_DELIVERIES: Final = _Writing(
    schema.hook_deliveries,
    ("status", "attempt", "cuts", "started_at", "ended_at", "error", "replayed", "next_at", "untold"),
)
_LOGS: Final = _Writing(schema.logs)

ADD_OBJECT: Final = sqlite.insert(schema.stored_objects).on_conflict_do_nothing()
_NODES = schema.nodes.c
_OWN_NODE: Final = select(_NODES.epoch, _NODES.prunings).where(_NODES.id == bindparam("node_id"))

_COMMANDS = schema.commands.c
ANSWER_COMMAND: Final = (
    update(schema.commands)
    .where(_COMMANDS.id == bindparam("command"), _COMMANDS.answered_at.is_(None))
    .values(answered_at=bindparam("at_time"), answer=bindparam("said"))
)

ADD_VARIABLE: Final = sqlite.insert(schema.variables).on_conflict_do_nothing()
_SET = sqlite.insert(schema.variables)
SET_VARIABLE: Final = _SET.on_conflict_do_update(
    index_elements=["name"], set_={name: _SET.excluded[name] for name in ("value", "updated_at")}
)
UNSET_VARIABLE: Final = delete(schema.variables).where(schema.variables.c.name == bindparam("variable"))

ADD_BLOCK: Final = sqlite.insert(schema.blocks).on_conflict_do_nothing()
_PUT = sqlite.insert(schema.blocks)
SET_BLOCK: Final = _PUT.on_conflict_do_update(
    index_elements=["slug", "name"], set_={name: _PUT.excluded[name] for name in ("document", "updated_at")}
)
_BLOCKS = schema.blocks.c
UNSET_BLOCK: Final = delete(schema.blocks).where(
    _BLOCKS.slug == bindparam("block_slug"), _BLOCKS.name == bindparam("block_name")
)


def own_node(connection: Connection, node_id: str) -> tuple[int, int] | None:
    """The epoch and the prunings of a node; None when there is no such node. Each batch looks at it first, in its own
    transaction."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(_own_node_sql(connection.dialect), (node_id,))
        return cursor.fetchone()


@cache
def _own_node_sql(dialect: Dialect) -> str:
    return str(_OWN_NODE.compile(dialect=dialect))


def write(connection: Connection, batch: Batch) -> None:
    """Write a batch, in the transaction of this connection. What it holds already stays as it is, or becomes newer."""
    for hash, payload in batch.objects.items():
        connection.execute(ADD_OBJECT, {"hash": hash, "payload": payload})
    with closing(connection.connection.cursor()) as cursor:
        write_rows = partial(_write_rows, cursor, connection.dialect)
        write_rows(_RUNS, list(batch.runs.values()))
        write_rows(_TRANSITIONS, batch.transitions)
        write_rows(_DELIVERIES, list(batch.deliveries.values()))
        write_rows(_LOGS, batch.logs)
    if batch.answers:
        connection.execute(ANSWER_COMMAND, batch.answers)


def _write_rows(cursor: DBAPICursor, dialect: Dialect, writing: _Writing, rows: Sequence[Sequence[Any]]) -> None:
    start = 0
    while left := len(rows) - start:
        count = min(_MOST_ROWS, 1 << (left.bit_length() - 1))  # powers of two: few statements to compile and prepare
        values = tuple(value for row in rows[start : start + count] for value in row)
        cursor.execute(_sql(writing, count, dialect), values)
        start += count


@cache
def _sql(writing: _Writing, rows: int, dialect: Dialect) -> str:
    return writing.sql(rows, dialect)
