"""Whether anybody has written to a journal, asked so often that who asks may do so instead of being told."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from actwright.journal.faults import fault

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from actwright.journal.database import Database

__all__ = ["Changes"]


class Changes:
    """A connection of its own, on which nothing is asked but whether others have committed since.

    That is a look at a number in memory that the processes on a file share, and costs microseconds. One thread uses it.
    Use it in a `with`.
    """

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._connection = database.engine.raw_connection()
        self._version: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()

    def any(self) -> bool:
        """Whether there was a commit since this was last asked; at first, True. Read after it, and nothing is missed.

        Raises:
            JournalUnavailable, JournalCorrupt: in place of SQLite's own errors.
        """
        cursor = self._connection.cursor()
        try:
            version: int = cursor.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            if (meaning := fault(error, self._path)) is None:
                raise
            raise meaning from error
        finally:
            cursor.close()
        changed, self._version = version != self._version, version
        return changed
