"""What SQLite's errors mean to a user: which of ours each is, and what to do about it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from actwright.exceptions import JournalCorrupt, JournalError, JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["fault"]

_HELD: Final = "another program holds it locked. `fuser {path}` names the program"
_RESTORE: Final = (
    "Stop the programs that use it, and move it away together with its -wal and -shm files: a new one is made. "
    "`sqlite3 OLD .recover` saves what can be read"
)

#: From SQLite's primary result codes. These may pass, and a writer tries again.
_PASSING: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_PROTOCOL: _HELD,
    sqlite3.SQLITE_FULL: "the disk is full. Free some space",
    sqlite3.SQLITE_READONLY: "it has become read-only. Make it, its folder and its file system writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. See that it and its folder can be read and written, and that this "
    "process has not too many files open",
    sqlite3.SQLITE_IOERR: "the disk reports an error. The system's log may say more",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_PERM: "access is denied. Make it and its folder writable",
    sqlite3.SQLITE_AUTH: "access is denied. Make it and its folder writable",
}
_DAMAGED: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_CORRUPT: f"is damaged. {_RESTORE}",
    sqlite3.SQLITE_NOTADB: f"is not a SQLite database, or its beginning was overwritten. {_RESTORE}",
    sqlite3.SQLITE_FORMAT: f"is not a SQLite database that this SQLite can read. {_RESTORE}",
}
_MISSING_PARTS: Final = ("no such table", "no such column", "has no column")


def fault(error: BaseException, path: Path) -> JournalError | None:
    """What an error of SQLite's (as SQLAlchemy raises it, or bare) means for the journal at `path`.

    None when it is none of the file's or the machine's doing: a broken constraint, a wrong statement; a bug of ours.
    """
    found = getattr(error, "orig", None) or error
    code = getattr(found, "sqlite_errorcode", None)
    if not isinstance(found, sqlite3.Error) or code is None:
        return None
    primary = code & 0xFF
    said = f"(SQLite: {found}, {found.sqlite_errorname})"
    if primary in _PASSING:
        return JournalUnavailable(f"{path} cannot be used now: {_PASSING[primary].format(path=path)}. {said}")
    if primary in _DAMAGED:
        return JournalCorrupt(f"{path} {_DAMAGED[primary]}. {said}")
    if primary == sqlite3.SQLITE_ERROR and str(found).startswith(_MISSING_PARTS):
        return JournalCorrupt(f"{path} lacks a part that a journal has. {_RESTORE}. {said}")
    return None
