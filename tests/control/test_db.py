"""`actwright db` and `actwright config`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from tests.control.shell import act, history_of_a_killed_program, printed

from actwright import flow, run_flow
from actwright.nodes.journal import close_journals
from actwright.settings import Settings, get_current_settings

pytestmark = pytest.mark.slow


@flow
async def work() -> None: ...


@pytest.fixture
def journal(actwright_home: Path) -> Path:
    """A journal with one run in it."""
    anyio.run(run_flow, work)
    close_journals()
    return actwright_home / "actwright.db"


def change(journal: Path, statement: str) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("command", ["upgrade", "prune", "check"])
def test_without_a_journal_there_is_nothing_to_do_and_none_is_made(command: str, actwright_home: Path) -> None:
    ran = act("db", command)
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


def test_a_journal_that_is_up_to_date_is_left_so(journal: Path) -> None:
    assert printed("db", "upgrade") == {"path": str(journal), "from": "0001", "to": "0001"}
    assert act("db", "upgrade").stdout == f"{journal} is up to date (schema 0001).\n"


def test_a_journal_of_a_newer_version_is_one_line_and_no_traceback(journal: Path) -> None:
    change(journal, "UPDATE alembic_version SET version_num = '9999'")
    for command in (["db", "upgrade"], ["db", "check"], ["runs", "ls"], ["nodes"], ["recover"], ["hooks", "ls"]):
        ran = act(*command)
        assert ran.exit_code == 1
        assert ran.stdout == ""
        assert ran.stderr.count("\n") == 1
        assert f"{journal} was made by a newer Actwright" in ran.stderr


def test_pruning_deletes_what_ended_long_ago_and_a_dry_run_tells_the_same_and_deletes_nothing(journal: Path) -> None:
    dry = printed("db", "prune", "--older-than", "0s", "--dry-run")
    assert (dry["dry_run"], dry["runs"], dry["transitions"]) == (True, 1, 3)
    assert [path.name for path in journal.parent.glob("dry-run*")] == []
    assert len(printed("runs", "ls")) == 1
    real = printed("db", "prune", "--older-than", "0s")
    assert {**real, "older_than": None} == {**dry, "older_than": None, "dry_run": False}
    assert printed("runs", "ls") == []


def test_pruning_keeps_what_is_younger_than_the_setting(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = act("db", "prune")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "Nothing that may go ended before " in ran.stderr
    monkeypatch.setenv("ACTWRIGHT_RETENTION_DAYS", "inf")
    get_current_settings.cache_clear()
    assert "History is kept for ever" in act("db", "prune").stderr
    assert len(printed("runs", "ls")) == 1


@pytest.mark.parametrize("span", ["", "30", "soon", "-1d", "999999999d", "99999999999999d"])
def test_a_span_that_is_none_is_refused(span: str, journal: Path) -> None:
    ran = act("db", "prune", "--older-than", span)
    assert ran.exit_code == 2
    assert "Invalid value" in ran.stderr


def test_a_sound_journal_is_said_to_be_so(journal: Path) -> None:
    ran = act("db", "check")
    assert (ran.exit_code, ran.stdout) == (0, f"{journal} is as it should be.\n")
    assert printed("db", "check") == []


def test_what_cannot_be_is_listed_and_the_exit_code_is_one(journal: Path) -> None:
    change(journal, "UPDATE runs SET state_name = 'Odd'")
    (finding,) = printed("db", "check", code=1)
    assert set(finding) == {"rule", "subject", "detail"}
    ran = act("db", "check")
    assert ran.exit_code == 1
    assert finding["detail"] in ran.stdout


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_run_whose_parameters_cannot_be_read_is_shown_without_them_and_found_by_a_check(
    text: str, journal: Path
) -> None:
    (run,) = printed("runs", "ls")
    change(journal, f"UPDATE runs SET parameters = '{text}'")
    assert [each["id"] for each in printed("runs", "ls")] == [run["id"]]
    assert list(printed("runs", "inspect", run["id"])["parameters"]) == ["(unreadable)"]
    (finding,) = printed("db", "check", code=1)
    said = f"its parameters are no JSON object: {text!r}"
    assert (finding["subject"], finding["detail"]) == (f"run {run['id']}", said)


@pytest.mark.parametrize("text", ["nightly", "[1]", "[" * 2_000])
def test_a_run_whose_tags_cannot_be_read_is_shown_without_them_and_found_by_a_check(text: str, journal: Path) -> None:
    (run,) = printed("runs", "ls")
    change(journal, f"UPDATE runs SET tags = '{text}'")
    assert [each["tags"] for each in printed("runs", "ls")] == [["(unreadable)"]]
    assert printed("runs", "ls", "--tag", "web") == []
    assert printed("runs", "inspect", run["id"])["tags"] == ["(unreadable)"]
    assert act("runs", "logs", run["id"]).exit_code == 0
    (finding,) = printed("db", "check", code=1)
    assert finding["subject"] == f"run {run['id']}"
    assert finding["detail"].startswith(f"its tags are no JSON list of words: {text[:20]!r}"[:-1])


def test_an_error_of_another_cause_stays_what_it_is(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("actwright.control.runs._write_runs", fails)
    assert str(act("runs", "ls").exception) == "a bug"


def test_a_file_that_is_no_journal_is_one_line(actwright_home: Path) -> None:
    actwright_home.mkdir()
    (actwright_home / "actwright.db").write_bytes(b"no database at all " * 1000)
    for command in (["db", "check"], ["runs", "ls"], ["runs", "inspect", "x"], ["nodes"], ["recover"]):
        ran = act(*command)
        assert ran.exit_code == 1
        assert ran.stderr.count("\n") == 1
        assert "is not a SQLite database" in ran.stderr


def test_an_empty_file_is_a_journal_that_is_about_to_be_and_a_folder_is_none(actwright_home: Path) -> None:
    actwright_home.mkdir()
    (actwright_home / "actwright.db").touch()
    assert act("runs", "ls").exit_code == 0
    (actwright_home / "actwright.db").unlink()
    (actwright_home / "actwright.db").mkdir()
    ran = act("runs", "ls")
    assert ran.exit_code == 1
    assert "is a folder, not a file" in ran.stderr


def test_a_home_that_is_a_file_is_one_line(actwright_home: Path) -> None:
    actwright_home.touch()
    ran = act("runs", "ls")
    assert ran.exit_code == 1
    assert ran.stderr.count("\n") == 1
    actwright_home.unlink()


def test_each_setting_is_shown_with_its_value_and_where_it_is_set(
    actwright_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "actwright.toml").write_text("max_deaths = 7\nretention_days = inf\n")
    monkeypatch.chdir(tmp_path)
    found = printed("config")
    assert list(found) == list(Settings.model_fields)
    assert found["home"] == {"value": str(actwright_home), "source": "ACTWRIGHT_HOME"}
    assert found["max_deaths"] == {"value": 7, "source": str(tmp_path / "actwright.toml")}
    assert found["retention_days"]["value"] == "inf"
    assert found["worker_threads"] == {"value": 40, "source": "default"}
    assert any(line.split() == ["worker_threads", "40", "default"] for line in act("config").stdout.splitlines())
    assert not actwright_home.exists()


def test_settings_that_cannot_be_are_one_line_and_a_mistake_of_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_MAX_DEATHS", "none")
    for command in (["config"], ["runs", "ls"], ["recover"]):
        get_current_settings.cache_clear()
        ran = act(*command)
        assert ran.exit_code == 2
        assert ran.stderr.count("\n") == 1
        assert "ACTWRIGHT_MAX_DEATHS='none'" in ran.stderr


def test_a_run_of_a_dead_process_is_never_pruned() -> None:
    history_of_a_killed_program()
    act("db", "prune", "--older-than", "0s")
    assert {run["name"] for run in printed("runs", "ls")} == {"nightly-Paris", "nightly-Rome"}
