"""Older journals become journals of this version, whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from actwright.exceptions import JournalCorrupt, JournalLocation, JournalVersionError
from actwright.journal import database as database_module
from actwright.journal import upkeep
from actwright.journal.database import Database
from actwright.journal.schema import SCHEMA_VERSION
from actwright.journal.upkeep import MIGRATIONS, upgrade

NEXT = """
    from alembic import op
    from sqlalchemy import Column, Text

    revision = "0002"
    down_revision = "0001"

    def upgrade():
        op.add_column("variables", Column("note", Text))
        op.execute("UPDATE variables SET note = 'kept ' || name")
        {then}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "actwright.db"


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this the version after the next release, whose migration ends with a statement of the test's."""

    def install(then: str) -> None:
        shutil.copytree(MIGRATIONS, tmp_path / "migrations", dirs_exist_ok=True)
        file = tmp_path / "migrations" / "versions" / "v0002_notes.py"
        file.write_text(dedent(NEXT).format(then=then))
        monkeypatch.setattr(upkeep, "MIGRATIONS", tmp_path / "migrations")
        for module in (upkeep, database_module):
            monkeypatch.setattr(module, "SCHEMA_VERSION", "0002")

    return install


def tables(path: Path) -> dict[str, str]:
    """The statement that made each table and index."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def with_a_variable(path: Path) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO variables VALUES ('mine', '1', '')")
        connection.commit()


def test_the_migrations_and_the_metadata_make_the_same_tables_to_the_letter(path: Path, tmp_path: Path) -> None:
    Database.open(path).close()
    migrated = tmp_path / "migrated.db"
    migrated.touch()
    assert upgrade(migrated) is None
    assert tables(migrated) == tables(path)
    assert version(migrated) == version(path)
    Database.open(migrated).close()


def test_the_schemas_version_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_VERSION]


def test_a_journal_of_this_version_is_left_alone(path: Path) -> None:
    with_a_variable(path)
    before = path.read_bytes()
    assert upgrade(path) == SCHEMA_VERSION
    assert path.read_bytes() == before


def test_an_older_journal_is_refused_until_it_is_upgraded_and_keeps_what_is_in_it(
    path: Path, next_version: Callable[[str], None]
) -> None:
    with_a_variable(path)
    next_version("")
    with pytest.raises(JournalVersionError, match=r"older Actwright .* run `actwright db upgrade`"):
        Database.open(path)
    assert upgrade(path) == "0001"
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name, note FROM variables").fetchall() == [("mine", "kept mine")]


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(path: Path, next_version: Callable[[str], None]) -> None:
    with_a_variable(path)
    before = tables(path)
    next_version("raise RuntimeError('half way')")
    with pytest.raises(RuntimeError, match="half way"):
        upgrade(path)
    assert (tables(path), version(path)) == (before, "0001")


def test_of_two_upgrades_at_once_one_does_it(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    program = (
        "import sys; from actwright.journal.upkeep import upgrade; sys.stdin.readline(); print(upgrade(sys.argv[1]))"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(path)]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate("go\n", timeout=60) for process in programs]
    assert sorted(out for out, _ in said) == ["0001\n", "0001\n", "None\n"], said


@pytest.mark.parametrize(
    ("found", "said"), [("0000", "cannot be upgraded from schema 0000"), ("9999", "was made by a newer Actwright")]
)
def test_a_version_that_no_way_leads_from_is_refused_and_not_touched(path: Path, found: str, said: str) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (found,))
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(JournalVersionError, match=said):
        upgrade(path)
    assert path.read_bytes() == before


def test_what_is_no_journal_is_not_upgraded(path: Path) -> None:
    with pytest.raises(JournalLocation, match="There is no journal"):
        upgrade(path)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(JournalCorrupt, match="no journal of Actwright's"):
        upgrade(path)
    assert list(tables(path)) == ["mine"]
