"""What can befall a journal's file, for real: each is an error of ours that names the file and says what to do."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from actwright.exceptions import JournalCorrupt, JournalError, JournalUnavailable, JournalVersionError
from actwright.journal.database import Database
from actwright.journal.faults import fault
from actwright.journal.schema import variables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "actwright.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database.open(path, busy_seconds=0.05)) as opened:
        yield opened


def write(database: Database, name: str, size: int = 1) -> None:
    with database.writing() as connection:
        connection.execute(insert(variables).values(name=name, value="x" * size, updated_at=""))


def written(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(text("SELECT name FROM variables ORDER BY name")))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refusal(path: Path, kind: type[JournalError]) -> str:
    """Opening is refused, with a message that names the file, and the file stays what it was."""
    before = digest(path)
    with pytest.raises(kind, match=re.escape(str(path))) as caught:
        Database.open(path, busy_seconds=0.05)
    assert digest(path) == before
    return str(caught.value)


# The file is not what it should be.


@pytest.mark.parametrize(
    ("version", "said"),
    [("0000", "run `actwright db upgrade`"), ("0002", "Install that version"), ("9999", "Install that version")],
)
def test_a_file_of_another_version_is_refused_and_not_touched(path: Path, version: str, said: str) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE alembic_version SET version_num = ?", (version,))
        other.commit()
        other.execute("PRAGMA journal_mode = DELETE")
    message = refusal(path, JournalVersionError)
    assert version in message
    assert said in message
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("tables", [["mine"], ["mine", "alembic_version"]])
def test_a_database_of_another_program_is_refused_and_not_touched(path: Path, tables: list[str]) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        for table in tables:
            other.execute(f"CREATE TABLE {table} (version_num TEXT)")
        other.commit()
    message = refusal(path, JournalCorrupt)
    assert "no journal of Actwright's" in message
    assert ", ".join(sorted(tables)) in message


@pytest.mark.parametrize(
    "content", [b"not a database at all. " * 100, b"\0" * 4096, b"SQLite format 3\0" + b"\xff" * 4080]
)
def test_garbage_is_refused_and_not_touched(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert "is not a SQLite database" in refusal(path, JournalCorrupt)


def test_a_truncated_file_is_said_to_be_damaged(path: Path) -> None:
    Database.open(path).close()
    os.truncate(path, path.stat().st_size // 2)
    message = refusal(path, JournalCorrupt)
    assert "is damaged" in message
    assert ".recover" in message


def test_a_file_that_was_overwritten_further_in_is_said_to_be_damaged_at_use(path: Path) -> None:
    with closing(Database.open(path)) as database:
        write(database, "one", 1_000_000)
    with path.open("r+b") as file:
        half = path.stat().st_size // 2
        file.seek(half)
        file.write(b"\xaa" * half)
    with (
        closing(Database.open(path)) as database,
        pytest.raises(JournalCorrupt, match=f"{re.escape(str(path))} is damaged"),
        database.reading() as connection,
    ):
        connection.scalars(text("SELECT value FROM variables")).all()


def test_a_table_that_somebody_dropped_is_said(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("DROP TABLE variables"))
    with pytest.raises(JournalCorrupt, match="lacks a part that a journal has"):
        written(database)


# The disk is full, or broken.


def test_a_full_disk_is_said_loses_nothing_and_is_over_when_there_is_room(database: Database) -> None:
    write(database, "before")
    with database.writing() as connection:  # the one that the next write gets as well: there is no other
        connection.execute(text("PRAGMA max_page_count = 1"))  # it never goes below what is there
    with pytest.raises(JournalUnavailable, match=r"the disk is full\. Free some space"):
        write(database, "too much", 1_000_000)
    assert written(database) == ["before"]
    with database.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    write(database, "later", 1_000_000)
    assert written(database) == ["before", "later"]


FULL_TMPFS = """
import sys
from pathlib import Path
from sqlalchemy import insert
from actwright.exceptions import JournalUnavailable
from actwright.journal.database import Database
from actwright.journal.schema import variables

def write(name, size):
    with database.writing() as connection:
        connection.execute(insert(variables).values(name=name, value="x" * size, updated_at=""))

folder = Path(sys.argv[1])
database = Database.open(folder / "home" / "actwright.db")
print(database.vanishes)
ballast = folder / "ballast"
ballast.write_bytes(b"x" * 200_000)
try:
    for number in range(1_000):
        write(str(number), 10_000)
except JournalUnavailable as error:
    print(error)
ballast.unlink()
write("later", 1)
database.close()
try:
    ballast.write_bytes(b"x" * 10_000_000)
except OSError:
    pass
try:
    Database.open(folder / "other" / "actwright.db")
except JournalUnavailable as error:
    print(error)
"""


def in_own_name_spaces(shell: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell where it may mount, which an ordinary user may do there too."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", shell],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def can_mount() -> bool:
    try:
        return in_own_name_spaces("mount -t tmpfs tmpfs /mnt", Path("/")).returncode == 0
    except FileNotFoundError:  # another system than Linux
        return False


if can_mount():  # a machine may forbid it; the page limit above fills the disk everywhere

    def test_a_small_file_system_that_is_full_is_said_and_is_over_when_there_is_room(tmp_path: Path) -> None:
        (tmp_path / "program.py").write_text(FULL_TMPFS)
        disk = tmp_path / "disk"
        disk.mkdir()
        program = f"exec {sys.executable} -W error program.py {disk}"
        ran = in_own_name_spaces(f"mount -t tmpfs -o size=1m tmpfs {disk} && {program}", tmp_path)
        assert ran.returncode == 0, ran.stderr
        vanishes, full, at_open = ran.stdout.splitlines()
        assert "(tmpfs)" in vanishes
        assert f"{disk}/home/actwright.db cannot be used now: the disk is full. Free some space" in full
        assert f"{disk}/other/actwright.db" in at_open
        assert "Free some space" in at_open


def test_a_disk_that_reports_an_error_is_said(database: Database) -> None:
    write(database, "before")
    with _largest_file(200_000), pytest.raises(JournalUnavailable, match=r"the disk reports an error|the disk is full"):
        write(database, "too much", 1_000_000)
    write(database, "later")
    assert written(database) == ["before", "later"]


@contextmanager
def _largest_file(size: int) -> Generator[None]:
    """Writes beyond it fail, as a broken disk's do: SQLite gets EFBIG, for which it has no word of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Somebody else has it.

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_by_another_program(path: Path, *statements: str) -> Generator[None]:
    command = [sys.executable, "-c", HOLDER, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("\n", timeout=30)


def test_a_file_that_another_program_writes_can_be_opened_and_read_but_not_written(path: Path) -> None:
    Database.open(path).close()
    held = held_by_another_program(path, "BEGIN IMMEDIATE")
    with held, closing(Database.open(path, busy_seconds=0.05)) as database:
        assert written(database) == []
        with pytest.raises(
            JournalUnavailable, match=f"{re.escape(str(path))} cannot be used now: another program holds it locked"
        ):
            write(database, "never")
    with closing(Database.open(path)) as database:
        write(database, "later")


def test_a_file_that_another_program_has_for_itself_cannot_be_opened(path: Path) -> None:
    Database.open(path).close()
    exclusively = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE", "DELETE FROM variables")
    with (
        held_by_another_program(path, *exclusively),
        pytest.raises(JournalUnavailable, match=rf"another program holds it locked\. `fuser {re.escape(str(path))}`"),
    ):
        Database.open(path, busy_seconds=0.05)


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "PRAGMA journal_mode = DELETE"])
def test_opening_a_file_again_frees_no_lock_that_this_process_has_on_it(path: Path, statement: str) -> None:
    """The kernel frees them all when any descriptor of the file is closed; the second needs the file for itself."""
    with closing(Database.open(path)) as first, first.writing():
        Database.open(path).close()
        command = [sys.executable, "-c", HOLDER, str(path), "PRAGMA busy_timeout = 0", statement]
        other = subprocess.run(command, input="", capture_output=True, text=True, timeout=30, check=False)
        assert "database is locked" in other.stderr


def test_a_file_that_is_deleted_or_replaced_in_use_takes_no_more_history(path: Path) -> None:
    with closing(Database.open(path)) as database:
        write(database, "before")
        path.rename(path.with_suffix(".away"))
        with pytest.raises(JournalUnavailable, match=f"{re.escape(str(path))} was deleted or replaced"):
            write(database, "lost")
        path.touch()
        with pytest.raises(JournalUnavailable, match="was deleted or replaced"):
            write(database, "lost")
        path.with_suffix(".away").rename(path)
        write(database, "after")
        assert written(database) == ["after", "before"]


@pytest.mark.parametrize("error", [ValueError("no"), sqlite3.Error("no code"), sqlite3.IntegrityError("UNIQUE")])
def test_what_is_no_fault_of_the_file_is_left_alone(path: Path, error: Exception) -> None:
    assert fault(error, path) is None


def test_a_wrong_statement_is_left_alone(database: Database, path: Path) -> None:
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        with pytest.raises(sqlite3.OperationalError) as caught:
            driver.execute("SELEKT")
    assert fault(caught.value, path) is None
