"""How many rows are written by one statement.

A statement a row hands the GIL over at each: with one busy thread in the process, fifty rows take 174 ms so, and 16 ms
as one statement that takes them as one JSON document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, func, select, true
from sqlalchemy.dialects import sqlite

from actwright.journal import schema
from actwright.journal.rows import columns_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Table
    from sqlalchemy.sql.dml import Insert

    from actwright.journal.batch import Batch

__all__ = [
    "ADD_LOGS", "ADD_OBJECT", "ADD_TRANSITIONS", "ADD_VARIABLE", "EPOCH", "ROWS", "SET_VARIABLE", "UNSET_VARIABLE",
    "WRITE_DELIVERIES", "WRITE_RUNS", "write",
]  # fmt: skip

ROWS: Final = "rows"
"""The name of the one parameter: a JSON array of rows, each an array of values in the order of the table's columns."""


def _insert(table: Table) -> Any:
    names = columns_of(table)
    row = func.json_each(bindparam(ROWS)).table_valued("value").c.value
    values = [func.json_extract(row, f"$[{place}]") for place in range(len(names))]
    return sqlite.insert(table).from_select(names, select(*values).where(true()))


def _upsert(table: Table, changing: Collection[str]) -> Insert:
    insert = _insert(table)
    statement: Insert = insert.on_conflict_do_update(
        index_elements=["id"], set_={name: insert.excluded[name] for name in changing}
    )
    return statement


WRITE_RUNS: Final = _upsert(
    schema.runs,
    [
        "name",
        "state_id",
        "state_type",
        "state_name",
        "state_message",
        "state_at",
        "run_count",
        "parameters",
        "started_at",
        "ended_at",
        "result",
        "registration",
    ],
)
WRITE_DELIVERIES: Final = _upsert(
    schema.hook_deliveries,
    ["status", "attempt", "cuts", "started_at", "ended_at", "error", "replayed"],
)
ADD_TRANSITIONS: Final[Insert] = _insert(schema.transitions).on_conflict_do_nothing(index_elements=["id"])
ADD_LOGS: Final[Insert] = _insert(schema.logs)

ADD_OBJECT: Final = sqlite.insert(schema.stored_objects).on_conflict_do_nothing()
EPOCH: Final = select(schema.nodes.c.epoch).where(schema.nodes.c.id == bindparam("node_id"))

ADD_VARIABLE: Final = sqlite.insert(schema.variables).on_conflict_do_nothing()
_SET = sqlite.insert(schema.variables)
SET_VARIABLE: Final = _SET.on_conflict_do_update(
    index_elements=["name"], set_={name: _SET.excluded[name] for name in ("value", "updated_at")}
)
UNSET_VARIABLE: Final = delete(schema.variables).where(schema.variables.c.name == bindparam("variable"))


def write(connection: Connection, batch: Batch) -> None:
    """Write a batch, in the transaction of this connection. What it holds already stays as it is, or becomes newer."""
    for hash, payload in batch.objects.items():
        connection.execute(ADD_OBJECT, {"hash": hash, "payload": payload})
    for statement, rows in (
        (WRITE_RUNS, list(batch.runs.values())),
        (ADD_TRANSITIONS, batch.transitions),
        (WRITE_DELIVERIES, list(batch.deliveries.values())),
        (ADD_LOGS, batch.logs),
    ):
        if rows:
            connection.execute(statement, {ROWS: to_json(rows).decode()})
