"""One journal's SQLite file: made, checked, opened, closed. What is written into it is others' business."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from actwright.exceptions import (
    ForkedRuntime,
    JournalCorrupt,
    JournalLocation,
    JournalUnavailable,
    JournalVersionError,
    RuntimeClosed,
)
from actwright.journal.faults import fault
from actwright.journal.forks import Forks
from actwright.journal.location import exposure, prepare_place, vanishing
from actwright.journal.schema import SCHEMA_VERSION, metadata

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

__all__ = ["BUSY_SECONDS", "Database", "stored_version", "version_error"]

BUSY_SECONDS: Final = 5.0
"""How long SQLite waits for a lock that another process holds, before it is an error."""

_VERSION_TABLE: Final = (  # to the letter as Alembic makes it, which is not imported for it
    "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n"
    "\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
)
_READING: Final = "actwright_reading"  # of a connection's execution options
_CHECKPOINT_PAGES: Final = 4_000
"""How long the write-ahead log grows, in pages of 4 kB, before a commit copies it into the file. That waits for the
disk twice, and takes ten times as long as any other commit: by SQLite's 1,000 it would be each sixtieth flow run's."""

_IDLE_CONNECTIONS: Final = 5  # kept open for the next who asks; beyond, they are made and closed as needed


class Database:
    """One SQLite file in WAL mode. Any thread may use it; a connection serves one thread at a time.

    `Database.open` looks into the file before it is used; the class itself, called, does not.

    Attributes:
        path: the file, with no symbolic link in it.
        engine: SQLAlchemy's. A transaction that does not come from `reading` begins as one that writes.
        vanishes: why the file will not stay where it is, in words for its user; None when it stays.
        exposed: who else can read or change it, in words for its owner; None when nobody can.
    """

    def __init__(
        self, path: Path, *, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self.path = path
        self.vanishes = vanishing(path)
        self.exposed = exposure(path)
        self.engine = _engine(path, busy_seconds)
        self._reader = self.engine.execution_options(**{_READING: True})
        self._synchronous = synchronous
        self._busy_seconds = busy_seconds
        self._connections: set[sqlite3.Connection] = set()
        self._idle: dict[Engine, Connection] = {}  # one that writes, one that reads; any thread takes it out by `pop`
        self._inode = path.stat().st_ino
        self._pid = os.getpid()
        self._closed = False
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "close", self._disconnected)
        event.listen(self.engine, "begin", _begin)
        with _forks.none():
            _OPEN.add(self)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        create: bool = True,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Open the file, and with `create` make it if need be; any number of processes may do so at once.

        It blocks: for milliseconds, and for up to `busy_seconds` where another program holds the file.

        Raises:
            JournalLocation: it cannot be kept there; or, without `create`, there is none.
            JournalVersionError: another version of Actwright made it. It was not touched.
            JournalCorrupt: it is damaged, or no journal. It was not touched.
            JournalUnavailable: it is locked, the disk is full, ...
        """
        real = Path(os.path.realpath(path))  # as SQLite itself does, or two names would get two write-ahead logs
        prepare_place(real, create=create)
        database = cls(real, synchronous=synchronous, busy_seconds=busy_seconds)
        try:
            database._prepare(create=create)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction that writes: BEGIN IMMEDIATE, committed at the end of the block, rolled back by an exception.

        It blocks while another writes, for up to `busy_seconds`.

        Raises:
            JournalUnavailable, JournalCorrupt: in place of SQLite's own errors. All of it was rolled back.
            RuntimeClosed: it was closed; ForkedRuntime in a child of the process that opened it.
        """
        with self._transaction(self.engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A transaction that only reads, and sees one state of the file. It waits for nobody, nobody waits for it.

        Raises as `writing` does.
        """
        with self._transaction(self._reader) as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; one that is in use is closed when its transaction ends. May be called twice.

        In a forked child it does nothing: the connections are the parent's.
        """
        if os.getpid() == self._pid:
            self._closed = True
            with _forks.none():
                self._close_idle()

    @contextmanager
    def _transaction(self, engine: Engine) -> Generator[Connection]:
        self._see_that_it_is_open()
        with _forks.none():
            try:
                self._see_that_it_is_there()  # before it is connected to, and since
                with self._connection(engine) as connection, connection.begin():
                    self._see_that_it_is_there()
                    yield connection
            except (DBAPIError, sqlite3.Error) as error:
                meaning = fault(error, self.path)
                if meaning is None:
                    raise
                raise meaning from error
            finally:
                if self._closed:  # while this transaction went on: its connection is idle since just now
                    self._close_idle()

    @contextmanager
    def _connection(self, engine: Engine) -> Generator[Connection]:
        """One for a transaction; it is kept for the next: to get one anew is a fourth of what the transaction costs."""
        connection = self._idle.pop(engine, None) or engine.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.closed or self._idle.setdefault(engine, connection) is not connection:  # one is kept since
            connection.close()

    def _close_idle(self) -> None:
        for engine in list(self._idle):
            if connection := self._idle.pop(engine, None):
                connection.close()
        self.engine.pool.dispose()

    def _see_that_it_is_open(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedRuntime(f"{self.path} was opened by the process that this one was forked from. Open it anew.")
        if self._closed:
            raise RuntimeClosed(f"{self.path} was closed.")

    def _prepare(self, *, create: bool) -> None:
        with self.reading() as connection:
            found = stored_version(connection, self.path)
        if found is None:
            if not create:
                raise JournalLocation(f"{self.path} is empty: no flow has run with this ACTWRIGHT_HOME.")
            self._use_wal()
            found = self._create()
        if error := version_error(self.path, found):
            raise error
        self._use_wal()  # a copy that was made by VACUUM INTO is not

    def _create(self) -> str:
        """Fill an empty file. Of several processes that try, one does it, and the others find it done."""
        with self.writing() as connection:
            found = stored_version(connection, self.path)
            if found is None:
                metadata.create_all(connection, checkfirst=False)
                connection.execute(text(_VERSION_TABLE))
                connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": SCHEMA_VERSION})
        return found or SCHEMA_VERSION

    def _use_wal(self) -> None:
        """Write-ahead logging, which the file remembers. While others open it SQLite refuses that without waiting."""
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                return self._switch_to_wal()
            except sqlite3.OperationalError as error:
                meaning = fault(error, self.path)
                if meaning is None:
                    raise
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise meaning from error
            time.sleep(0.002)

    def _switch_to_wal(self) -> None:
        with _forks.none(), self._connection(self._reader) as connection:  # no transaction may be open for it
            mode = connection.connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalLocation(
                f"{self.path} is on a file system without shared memory, which SQLite needs to let several processes "
                "write. Set ACTWRIGHT_HOME to a folder on a disk of this machine."
            )

    def _see_that_it_is_there(self) -> None:
        """What is written to a deleted file succeeds, and is lost: nobody who looks for hooks that are due finds it."""
        try:
            is_there = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise JournalUnavailable(
                f"{self.path} was deleted or replaced while it was in use. Put it back, or start this program again."
            )

    def _connected(self, connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's recipe: `_begin` begins, sqlite3 never does by itself
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        except sqlite3.Error:  # the file is locked, damaged, ...; nobody else closes what never came into the pool
            connection.close()
            raise
        self._connections.add(connection)

    def _disconnected(self, connection: sqlite3.Connection, _: object) -> None:
        self._connections.discard(connection)

    def _keep_connections_for_ever(self) -> None:
        """In a forked child: see that they are never closed there, not even when its interpreter ends.

        There are some only where the fork could not wait for who used them. Whoever closes the last connection to a
        file deletes its write-ahead log, by name. A child that outlives its parent would take itself for that one, and
        delete a log that others began since.
        """
        import ctypes

        for connection in self._connections:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def stored_version(connection: Connection, path: Path) -> str | None:
    """The schema version that a file says it has; None when it is empty.

    Raises:
        JournalCorrupt: it is a database, but no journal.
    """
    names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
    if not names:
        return None
    versions: list[str] = []
    if "alembic_version" in names:
        versions += connection.scalars(text("SELECT version_num FROM alembic_version"))
    if len(versions) != 1:
        raise JournalCorrupt(
            f"{path} is a database, but no journal of Actwright's (it has the tables {', '.join(sorted(names))}). "
            "It was not touched. Move it away, or set ACTWRIGHT_HOME to another folder."
        )
    return versions[0]


def version_error(path: Path, version: str) -> JournalVersionError | None:
    """What is wrong with a file of that version; None when it is this version's."""
    schemas = f"(schema {version}; this one has {SCHEMA_VERSION}). It was not touched."
    if version < SCHEMA_VERSION:
        advice = "End the programs that use it, and run `actwright db upgrade`."
        return JournalVersionError(f"{path} was made by an older Actwright {schemas} {advice}")
    if version > SCHEMA_VERSION:
        advice = "Install that version, or set ACTWRIGHT_HOME to another folder."
        return JournalVersionError(f"{path} was made by a newer Actwright {schemas} {advice}")
    return None


def _engine(path: Path, busy_seconds: float) -> Engine:
    return create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        creator=partial(_connect, f"file:{quote(str(path))}?mode=rw", busy_seconds),
        poolclass=QueuePool,
        pool_size=_IDLE_CONNECTIONS,
        max_overflow=-1,  # who asks never waits for others that read
        pool_use_lifo=True,
    )


def _connect(uri: str, busy_seconds: float) -> sqlite3.Connection:
    """To the file, which is there: one that was moved away is not to be made anew, beside the log of the old one."""
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, check_same_thread=False)


def _begin(connection: Connection) -> None:
    """A transaction that reads first and then writes fails at once where another wrote in between: so begin as one."""
    reading = connection.get_execution_options().get(_READING, False)
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute("BEGIN" if reading else "BEGIN IMMEDIATE")


_OPEN: weakref.WeakSet[Database] = weakref.WeakSet()


def _close_all() -> None:
    for database in _OPEN:
        database._close_idle()  # pyright: ignore[reportPrivateUsage]


_forks = Forks(_close_all)


def _in_forked_child() -> None:
    for database in _OPEN:
        database._keep_connections_for_ever()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_in_forked_child)
