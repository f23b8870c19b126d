"""What deleting would delete, told before it does; and what it did."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from actwright.control.output import table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from actwright.journal.database import Database
    from actwright.journal.upkeep import Counts

__all__ = ["counts_table", "rehearsed"]


def rehearsed(database: Database, delete: Callable[[Database], Counts]) -> Counts:
    """What `delete` deletes in a copy: so a rehearsal and the deed cannot tell different things."""
    from actwright.journal.database import Database as OfCopy

    with tempfile.TemporaryDirectory(dir=database.path.parent, prefix="dry-run-") as folder:
        copy = Path(folder) / "copy.db"
        with closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute("VACUUM INTO ?", (str(copy),))
        with closing(OfCopy.open(copy)) as opened:
            return delete(opened)


def counts_table(counts: Counts, *, dry_run: bool) -> Table:
    """How many rows of each table."""
    numbers = [(name.replace("_", " "), str(count)) for name, count in asdict(counts).items()]
    return table_of(["to delete" if dry_run else "deleted", ""], numbers)
