"""The rows that real task runs write, and bare SQLite that writes them: the floor of a journal, and a way to a big one.

It knows what every table is only by the schema that the journal itself has; what it needs of a row is which of its
columns are ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from actwright.journal.schema import logs, runs, transitions
from actwright.models.ids import new_id

__all__ = ["RunRows", "bare_file", "fill", "rows_of_task_runs", "schema_of", "text_bytes", "write_bare"]

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""Table -> its rows, with the columns in the order of the schema."""

_TABLES: Final = {table.name: table for table in (runs, transitions, logs)}
_GIVEN: Final = {
    name: [column.name for column in table.columns if column.name != "seq"] for name, table in _TABLES.items()
}
_RUN_ID: Final = {"runs": "id", "transitions": "run_id", "logs": "run_id"}
_RUNS_A_COMMIT: Final = 50
_RUNS_A_FILL: Final = 5_000
_RUNS_A_FLOW: Final = 1_000


@dataclass(frozen=True, slots=True)
class RunRows:
    """What one run wrote."""

    run_id: str
    rows: Rows


def rows_of_task_runs(database: Path) -> list[RunRows]:
    """Of each finished task run in that journal, in the order of their starts."""
    with closing(sqlite3.connect(database)) as connection:
        ids = [
            run_id
            for (run_id,) in connection.execute("SELECT id FROM runs WHERE kind = 'task' ORDER BY expected_start_at")
        ]
        return [RunRows(run_id, {name: _rows(connection, name, run_id) for name in _TABLES}) for run_id in ids]


def _rows(connection: sqlite3.Connection, table: str, run_id: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(_GIVEN[table])
    return connection.execute(f"SELECT {columns} FROM {table} WHERE {_RUN_ID[table]} = ?", [run_id]).fetchall()


def text_bytes(run: RunRows) -> int:
    """How long the values of its rows are, as text: what no file can do without."""
    return sum(
        len(str(value).encode()) for rows in run.rows.values() for row in rows for value in row if value is not None
    )


@contextmanager
def bare_file(database: Path, schema: Iterable[str]) -> Iterator[sqlite3.Connection]:
    """A new file with that schema, opened by SQLite alone as a journal is."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for statement in schema:
            connection.execute(statement)
        yield connection


def write_bare(connection: sqlite3.Connection, written: Sequence[RunRows]) -> None:
    """Write them there, 50 runs in each transaction."""
    for start in range(0, len(written), _RUNS_A_COMMIT):
        _insert(connection, written[start : start + _RUNS_A_COMMIT])


def _insert(connection: sqlite3.Connection, written: Sequence[RunRows]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for name, columns in _GIVEN.items():
        places = ", ".join("?" * len(columns))
        rows = [row for run in written for row in run.rows[name]]
        connection.executemany(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})", rows)
    connection.execute("COMMIT")


def fill(database: Path, example: RunRows, runs_to_add: int) -> None:
    """Add that many runs like this one to a journal that nobody has open, each with ids of its own.

    Without a log of its own, since a file that is broken off on the way is of no use to anybody.
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")  # KiB: the indexes of ids are written all over
        copies = _copies_of(example)
        for start in range(0, runs_to_add, _RUNS_A_FILL):
            _insert(connection, list(islice(copies, min(_RUNS_A_FILL, runs_to_add - start))))
        connection.execute("PRAGMA journal_mode = WAL")


def _copies_of(example: RunRows) -> Iterator[RunRows]:
    """Runs like that one, without end: they and their states have ids of their own, and a thousand name one parent,
    which has no rows."""
    (run,) = example.rows["runs"]
    flow_id = run[_GIVEN["runs"].index("flow_run_id")]
    own = [example.run_id, *(row[_GIVEN["transitions"].index("id")] for row in example.rows["transitions"])]
    new: dict[str, str] = {}
    for number in count():
        new |= {old: str(new_id()) for old in own}
        if number % _RUNS_A_FLOW == 0:
            new[flow_id] = str(new_id())
        rows = {
            name: [tuple([new.get(value, value) for value in row]) for row in rows]
            for name, rows in example.rows.items()
        }
        yield RunRows(new[example.run_id], rows)


def schema_of(database: Path) -> list[str]:
    """The statements that made its tables and indexes."""
    with closing(sqlite3.connect(database)) as connection:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        return [statement for (statement,) in made]
