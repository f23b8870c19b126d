"""`actwright hooks`: what became of each delivery, and another try."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.control.shell import (
    TOLD,
    a_killed_program,
    a_living_program,
    act,
    history_of_a_killed_program,
    printed,
    short,
)
from tests.nodes.elsewhere import another_process_holds

pytestmark = pytest.mark.slow

KEYS = {
    "id", "event", "hook_name", "status", "attempt", "cuts", "replayed", "error", "due_at", "next_at", "started_at",
    "ended_at", "run_id", "run_kind", "run_name", "subject", "transition_id", "node_id",
}  # fmt: skip


def the_failed_one() -> dict[str, Any]:
    (found,) = printed("hooks", "ls", "--status", "failed")
    return dict(found)


def told(folder: Path) -> list[str]:
    return (folder / TOLD).read_text().splitlines()


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "actwright.db", isolation_level=None)) as journal:
        journal.execute(statement)


def test_without_a_journal_there_is_nothing_to_list_and_none_is_made(actwright_home: Path) -> None:
    assert printed("hooks", "ls") == []
    assert act("hooks", "ls").exit_code == 0
    for command in ("inspect", "retry"):
        ran = act("hooks", command, "x")
        assert ran.exit_code == 2
        assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


def test_deliveries_are_listed_newest_first_with_these_keys() -> None:
    history_of_a_killed_program()
    found = printed("hooks", "ls")
    assert [(each["run_name"], each["hook_name"], each["status"]) for each in found] == [
        ("nightly-Rome", "tell", "SUCCEEDED"),
        ("nightly-Rome", "works_later", "FAILED"),
        ("nightly-Oslo", "tell", "SUCCEEDED"),
    ]
    assert all(set(each) == KEYS for each in found)
    drawn = act("hooks", "ls").stdout
    assert drawn.count("SUCCEEDED") == 2
    assert "ValueError: the channel is gone" in drawn


def test_each_filter_leaves_what_it_says() -> None:
    history_of_a_killed_program()
    assert len(printed("hooks", "ls", "--run", "nightly-Rome")) == 2
    assert len(printed("hooks", "ls", "--run", "nightly-Rome", "--status", "SUCCEEDED")) == 1
    assert len(printed("hooks", "ls", "--status", "FAILED", "--status", "SUCCEEDED")) == 3
    assert len(printed("hooks", "ls", "--since", "1h")) == 3
    assert printed("hooks", "ls", "--since", "2999-01-01") == []
    ran = act("hooks", "ls", "--limit", "1")
    assert ran.stderr == "There are more than 1; --limit shows more of them.\n"
    assert len(ran.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--status", "foo"], "Invalid value for '--status'"),
        (["ls", "--run", "nobody"], "There is no run 'nobody'"),
        (["ls", "--since", "tomorrow"], "is no time"),
        (["ls", "--limit", str(2**63)], "Invalid value for '--limit'"),
        (["inspect", "nobody"], "There is no delivery 'nobody'"),
        (["inspect", ""], "There is no delivery ''"),
        (["retry", "nobody"], "There is no delivery 'nobody'"),
        (["retry"], "Missing argument"),
    ],
)
def test_what_is_not_there_is_refused(arguments: list[str], said: str) -> None:
    history_of_a_killed_program()
    ran = act("hooks", *arguments)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.split())
    assert ran.stdout == ""


def test_a_delivery_is_inspected_by_the_beginning_of_its_id() -> None:
    history_of_a_killed_program()
    failed = the_failed_one()
    assert printed("hooks", "inspect", short(failed["id"])) == failed
    drawn = act("hooks", "inspect", failed["id"]).stdout
    for part in (failed["id"], "on_failure works_later", "FAILED", "nightly-Rome", "ValueError: the channel is gone"):
        assert part in drawn


def test_a_failed_hook_is_retried_and_fails_again_with_one(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    failed = the_failed_one()
    (again,) = printed("hooks", "retry", failed["id"], code=1)
    assert (again["status"], again["attempt"], again["replayed"]) == ("FAILED", 2, True)
    assert again["error"] == "ValueError: the channel is gone"
    assert again["due_at"] > failed["due_at"]


def test_a_failed_hook_is_retried_and_succeeds_once_its_cause_is_gone(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    act("recover")
    before = told(tmp_path)
    (tmp_path / "works").touch()
    (again,) = printed("hooks", "retry", short(the_failed_one()["id"]))
    assert (again["status"], again["attempt"], again["error"]) == ("SUCCEEDED", 2, None)
    assert told(tmp_path) == [*before, "Failed"]
    assert printed("nodes") == []
    assert printed("db", "check") == []


def test_the_dead_node_is_recovered_along_with_the_retry(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    (tmp_path / "works").touch()
    assert act("hooks", "retry", the_failed_one()["id"]).exit_code == 0
    assert printed("runs", "inspect", "nightly-Paris")["state_name"] == "Crashed"


def test_several_are_retried_together_and_one_that_fails_decides_the_exit_code(
    tmp_path: Path, actwright_home: Path
) -> None:
    a_killed_program(tmp_path)
    act("recover")
    change(actwright_home, "UPDATE hook_deliveries SET status = 'FAILED', error = 'no'")
    ids = [each["id"] for each in printed("hooks", "ls", "--status", "FAILED")]
    assert len(ids) == 4
    again = printed("hooks", "retry", *ids, *ids, code=1)
    assert [(each["id"], each["hook_name"] == "works_later") for each in again if each["status"] == "FAILED"] == [
        (next(each["id"] for each in again if each["hook_name"] == "works_later"), True)
    ]
    assert [each["attempt"] for each in again] == [2] * 4


def test_a_skipped_hook_that_expired_is_due_anew(tmp_path: Path, actwright_home: Path) -> None:
    a_killed_program(tmp_path)
    change(
        actwright_home,
        "UPDATE hook_deliveries SET status = 'SKIPPED', started_at = NULL, attempt = 0 WHERE hook_name = 'works_later'",
    )
    (tmp_path / "works").touch()
    (skipped,) = printed("hooks", "ls", "--status", "SKIPPED")
    (again,) = printed("hooks", "retry", skipped["id"])
    assert (again["status"], again["attempt"]) == ("SUCCEEDED", 1)


@pytest.mark.parametrize(
    ("change_to", "said"),
    [
        ("status = 'SUCCEEDED'", "succeeded: there is nothing to retry"),
        ("status = 'DUE'", "is DUE: it has not failed"),
        ("status = 'RUNNING'", "is RUNNING: it has not failed"),
        ("status = 'SKIPPED', event = 'on_running', attempt = 0", "was skipped for good"),
    ],
)
def test_one_that_cannot_be_tried_again_is_refused_and_nothing_is_done(
    change_to: str, said: str, actwright_home: Path
) -> None:
    history_of_a_killed_program()
    failed = the_failed_one()
    change(actwright_home, f"UPDATE hook_deliveries SET {change_to} WHERE hook_name = 'works_later'")
    before = printed("hooks", "ls")
    ran = act("hooks", "retry", failed["id"])
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert printed("hooks", "ls") == before


def test_one_that_another_process_is_at_is_left_to_it_and_not_to_recover(actwright_home: Path) -> None:
    history_of_a_killed_program()
    failed = the_failed_one()
    change(actwright_home, "UPDATE hook_deliveries SET status = 'RUNNING' WHERE hook_name = 'works_later'")
    with another_process_holds(next(actwright_home.glob("nodes/*.lock"))) as process:
        ran = act("hooks", "retry", failed["id"])
    assert ran.exit_code == 2
    assert f"process {process.pid} runs the hooks of its node just now" in ran.stderr
    assert "recover" not in ran.stderr


def test_the_help_names_what_is_retried_once() -> None:
    said = act("hooks", "retry", "--help").stdout
    assert "DELIVERY" in said
    assert "DELIVERY..." not in said  # that there may be several, typer adds


def test_a_hook_of_a_living_process_is_not_run_by_another_one(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        ran = act("hooks", "retry", the_failed_one()["id"])
        assert ran.exit_code == 2
        assert "is alive" in ran.stderr
        assert "retry it once the process has ended" in ran.stderr
        assert the_failed_one()["attempt"] == 1
        assert [node["status"] for node in printed("nodes")] == ["alive"]


@pytest.mark.parametrize("command", ["recover", "retry"])
def test_what_is_set_wrongly_where_the_program_was_is_said_and_does_not_hold_its_hooks_up(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as there:
        there.chdir(tmp_path)
        a_killed_program(tmp_path)
    (tmp_path / "works").touch()
    (tmp_path / "actwright.toml").write_text("worker_thread = 3")
    ran = act("recover") if command == "recover" else act("hooks", "retry", the_failed_one()["id"])
    assert ran.exit_code == 0, ran.output
    said = " ".join(ran.stderr.split())
    assert f"{tmp_path / 'actwright.toml'}: 'worker_thread' is no setting." in said
    assert printed("runs", "inspect", "nightly-Paris")["state_name"] == "Crashed"
