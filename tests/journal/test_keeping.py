"""Variables and blocks: the same in every journal, and in a database read one by one, whatever is in the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.journal.history import Author

from actwright.exceptions import CorruptVariable
from actwright.journal import keeping
from actwright.journal.database import Database
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import Journal
from actwright.journal.sql_journal import SqlJournal


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "home" / "actwright.db")) as opened:
        with opened.writing() as connection:
            Author(connection).node("node-1", settled_at=None)
        yield opened


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, database: Database) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    with closing(SqlJournal(database, "node-1", 1)) as journal:
        yield journal


def test_a_variable_is_what_it_was_last_set_to(journal: Journal) -> None:
    journal.set_variable("colour", "red", overwrite=False)
    journal.set_variable("colour", {"é": [None, 1.5, 10**30]}, overwrite=True)
    assert journal.variable("colour") == {"é": [None, 1.5, 10**30]}


def test_a_variable_is_not_overwritten_unasked(journal: Journal) -> None:
    journal.set_variable("colour", "red", overwrite=True)
    with pytest.raises(FileExistsError):
        journal.set_variable("colour", "blue", overwrite=False)
    assert journal.variable("colour") == "red"


def test_a_variable_that_is_unset_is_gone_and_its_name_is_free(journal: Journal) -> None:
    journal.set_variable("nothing", None, overwrite=False)
    journal.set_variable("other", None, overwrite=False)
    assert journal.unset_variable("nothing")
    assert not journal.unset_variable("nothing")
    with pytest.raises(KeyError):
        journal.variable("nothing")
    assert journal.variable("other") is None
    journal.set_variable("nothing", 1, overwrite=False)


def test_a_block_is_the_document_that_was_last_set(journal: Journal) -> None:
    journal.set_block("till", "b", "{}", overwrite=False)
    journal.set_block("till", "a", '"é"', overwrite=True)
    journal.set_block("till", "b", "2", overwrite=True)
    assert (journal.block("till", "a").decode(), journal.block("till", "b")) == ('"é"', b"2")
    assert list(journal.block_names()) == [("till", "a"), ("till", "b")]


def test_a_block_is_not_overwritten_unasked(journal: Journal) -> None:
    journal.set_block("till", "a", "1", overwrite=False)
    with pytest.raises(FileExistsError):
        journal.set_block("till", "a", "2", overwrite=False)
    assert journal.block("till", "a") == b"1"


def test_a_block_that_is_unset_is_gone_and_its_name_is_free(journal: Journal) -> None:
    journal.set_block("till", "a", "1", overwrite=False)
    journal.set_block("shop", "a", "1", overwrite=False)
    assert journal.unset_block("till", "a")
    assert not journal.unset_block("till", "a")
    with pytest.raises(KeyError):
        journal.block("till", "a")
    assert list(journal.block_names()) == [("shop", "a")]
    journal.set_block("till", "a", "2", overwrite=False)


@pytest.mark.parametrize(
    "damage",
    ["'{'", "x'ff'", "CAST(x'ff' AS TEXT)", "''", "'NaN' || x'00'"],
    ids=["cut", "blob", "utf", "empty", "nul"],
)
def test_a_variable_that_cannot_be_read_keeps_no_other_from_being_listed(database: Database, damage: str) -> None:
    with database.writing() as connection:
        for name, value in (("a", 1), ("b", 2), ("c", None)):
            keeping.set_variable(connection, name, value, overwrite=False)
        connection.execute(text(f"UPDATE variables SET value = {damage}, updated_at = 'never' WHERE name = 'b'"))
    with database.reading() as connection:
        found = keeping.variables(connection)
        assert [(each.name, each.value, each.error is None) for each in found] == [
            ("a", 1, True),
            ("b", None, False),
            ("c", None, True),
        ]
        assert [each.updated_at is None for each in found] == [False, True, False]
        with pytest.raises(CorruptVariable, match="'b'"):
            keeping.variable(connection, "b")


def test_a_block_s_document_is_listed_as_it_is_whatever_it_is(database: Database) -> None:
    with database.writing() as connection:
        keeping.set_block(connection, "till", "a", "{}", overwrite=False)
        keeping.set_block(connection, "till", "b", "{}", overwrite=False)
        connection.execute(text("UPDATE blocks SET document = CAST(x'ff' AS TEXT) WHERE name = 'a'"))
    with database.reading() as connection:
        found: list[Any] = [each[:3] for each in keeping.blocks(connection)]
    assert found == [("till", "a", b"\xff"), ("till", "b", b"{}")]


@pytest.mark.parametrize("damage", ["x'ff'", "CAST(x'ff' AS TEXT)"], ids=["blob", "utf"])
@pytest.mark.parametrize("column", ["slug", "name", "updated_at"])
def test_what_is_no_text_is_marked_and_keeps_no_other_from_being_listed(
    database: Database, column: str, damage: str
) -> None:
    with database.writing() as connection:
        for name in ("a", "b"):
            keeping.set_block(connection, "till", name, "{}", overwrite=False)
            keeping.set_variable(connection, name, 1, overwrite=False)
        connection.execute(text(f"UPDATE blocks SET {column} = {damage} WHERE name = 'a'"))
        if column != "slug":
            connection.execute(text(f"UPDATE variables SET {column} = {damage} WHERE name = 'a'"))
    marked = {"slug": ("(unreadable)", "a"), "name": ("till", "(unreadable)"), "updated_at": ("till", "a")}[column]
    with database.reading() as connection:
        blocks, names, variables = (
            keeping.blocks(connection),
            keeping.block_names(connection),
            keeping.variables(connection),
        )
    assert {(block.slug, block.name) for block in blocks} == set(names) == {marked, ("till", "b")}
    assert {variable.name for variable in variables} == {marked[1], "b"}
    assert [block.updated_at is None for block in sorted(blocks)] == [column == "updated_at", False]


def test_a_name_that_is_no_unicode_is_that_of_nothing(database: Database) -> None:
    with database.writing() as connection:
        with pytest.raises(KeyError):
            keeping.variable(connection, "\udcff")
        with pytest.raises(KeyError):
            keeping.block(connection, "till", "\udcff")
        assert not keeping.unset_variable(connection, "\udcff")
        assert not keeping.unset_block(connection, "\udcff", "a")
