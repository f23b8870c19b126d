"""`actwright variable`: named values from a shell, and what flows see of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.control.shell import act, printed

from actwright import Variable
from actwright.engine import background


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    yield
    background.close()


def test_without_a_journal_there_is_nothing_to_list_and_none_is_made(actwright_home: Path) -> None:
    assert printed("variable", "ls") == []
    assert act("variable", "ls").exit_code == 0
    for command in ("get", "unset"):
        ran = act("variable", command, "x")
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("7", 7), ("-7.5", -7.5), ("true", True), ("null", None), ('{"a": [1]}', {"a": [1]}), ('"7"', "7"),
        ('"a b"', "a b"), ("hello", "hello"), ("gpu-7", "gpu-7"), ("", ""), ("NaN", "NaN"), ("-Infinity", "-Infinity"),
        ("{", "{"),
        ("é", "é"), ("007", "007"), ("True", "True"), ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_value_is_json_or_else_text(given: str, value: Any) -> None:
    ran = act("variable", "set", "job", "--", given)  # a journal is made for it
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert Variable.get("job").value == value
    assert type(Variable.get("job").value) is type(value)
    assert printed("variable", "get", "job") == value


def test_what_a_flow_sets_is_read_in_a_shell_and_the_other_way_round() -> None:
    Variable.set("job", "gpu-7")
    assert act("variable", "get", "job").stdout == "gpu-7\n"
    assert printed("variable", "set", "job", "[1, null]", "--overwrite") == {"name": "job", "value": [1, None]}
    assert Variable.get("job").value == [1, None]
    assert act("variable", "get", "job").stdout == "[1, null]\n"


def test_variables_are_listed_by_name_with_these_keys() -> None:
    Variable.set("b", {"k": "é"})
    Variable.set("a", "text")
    found = printed("variable", "ls")
    assert [(each["name"], each["value"], each["error"]) for each in found] == [
        ("a", "text", None),
        ("b", {"k": "é"}, None),
    ]
    assert all(set(each) == {"name", "value", "error", "updated_at"} for each in found)
    assert all(each["updated_at"].endswith("+00:00") for each in found)
    lines = act("variable", "ls").stdout.splitlines()
    assert lines[0].split() == ["name", "value", "updated"]
    assert lines[1].startswith('a     "text"')
    assert '{"k": "é"}' in lines[2]


def test_where_none_is_set_that_is_said() -> None:
    Variable.set("a", 1)
    assert printed("variable", "unset", "a") == {"name": "a"}
    ran = act("variable", "ls")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "No variable is set.\n")
    assert Variable.get("a", default="none").value == "none"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "nobody"], "There is no variable 'nobody'. See `actwright variable ls`."),
        (["unset", "nobody"], "There is no variable 'nobody'. See `actwright variable ls`."),
        (["set", "a", "2"], "There is a variable 'a' already. --overwrite replaces it."),
        (["set", "a b", "2"], "A variable cannot be named 'a b'. A name has 1 to 255 characters"),
        (["set", "b"], "Missing argument"),
        (["set", "b", "\udcff"], "must be JSON"),
    ],
)
def test_what_is_asked_wrongly_is_refused_and_changes_nothing(arguments: list[str], said: str) -> None:
    Variable.set("a", 1)
    ran = act("variable", *arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in " ".join(ran.stderr.split())
    assert printed("variable", "ls")[0]["value"] == 1


def test_one_that_was_damaged_is_named_and_the_others_are_listed(actwright_home: Path) -> None:
    Variable.set("a", 1)
    Variable.set("b", 2)
    with closing(sqlite3.connect(actwright_home / "actwright.db", isolation_level=None)) as journal:
        journal.execute("UPDATE variables SET value = CAST(x'7bff' AS TEXT) WHERE name = 'a'")
    found = printed("variable", "ls")
    assert [(each["name"], each["value"], each["error"] is None) for each in found] == [
        ("a", None, False),
        ("b", 2, True),
    ]
    assert "(unreadable)" in act("variable", "ls").stdout
    ran = act("variable", "get", "a")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "variable 'a' is no JSON" in ran.stderr
    assert "`actwright variable unset a`" in ran.stderr
    assert act("variable", "set", "a", "3", "--overwrite").exit_code == 0
    assert Variable.get("a").value == 3


def test_text_that_a_terminal_would_obey_is_shown_and_json_has_it_as_it_is() -> None:
    Variable.set("a", "\x1b[2J\n")
    assert act("variable", "get", "a").stdout == "\\x1b[2J\n\n"
    assert json.loads(act("variable", "get", "a", "-o", "json").stdout) == "\x1b[2J\n"
