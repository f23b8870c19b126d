"""Recovery of a node that is dead: who does it, how often it tries, and what stays where it cannot be done."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.nodes.elsewhere import another_process_holds
from tests.nodes.stage import Stage, is_asleep, wait_until

from actwright.nodes.companion import recover_dead, recover_now
from actwright.nodes.locks import holder, is_held

pytestmark = pytest.mark.slow


def test_of_eight_recoverers_at_once_one_wins_and_there_is_one_replay(stage: Stage) -> None:
    stage.plan("go,settle,0")
    command = stage.recovery.understudy_command("--recover")
    recoverers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    losers: list[subprocess.Popen[str]] = []
    wait_until(lambda: len([one for one in recoverers if one.poll() is not None]) == 7)
    losers += [one for one in recoverers if one.poll() is not None]
    (stage.folder / "go").touch()
    said = {one.pid: one.communicate()[1] for one in recoverers}
    assert sorted(one.returncode for one in recoverers) == [0, *[3] * 7]
    assert all("holds" in said[one.pid] for one in losers)
    assert stage.replays() == 1
    assert stage.is_over()


def test_recovery_of_a_node_that_lives_is_refused_and_says_who_holds_it(stage: Stage) -> None:
    with another_process_holds(stage.recovery.lock_path) as process:
        refused = stage.recover()
        assert refused.returncode == 3
        assert f"process {process.pid} holds {stage.recovery.lock_path}" in refused.stderr
        assert not recover_dead(stage.recovery)
    assert stage.replays() == 0


def test_a_recoverer_that_is_detached_outlives_nobodys_patience(stage: Stage) -> None:
    stage.plan("go,settle,0")
    assert recover_dead(stage.recovery)
    wait_until(stage.replays)
    assert not recover_dead(stage.recovery)
    (stage.folder / "go").touch()
    wait_until(stage.is_over)
    assert stage.replays() == 1


def test_a_recoverer_in_the_foreground_tells_how_it_ended(stage: Stage) -> None:
    assert recover_now(stage.recovery) == 0
    assert stage.is_over()


def test_a_node_that_was_settled_already_is_left_as_it_is_without_its_files(settled: Stage) -> None:
    settled.recovery.lock_path.touch()
    assert settled.recover().returncode == 0
    assert settled.is_over()
    assert settled.recover().returncode == 0
    assert settled.is_over()
    assert settled.replays() == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET ended_at = NULL",
        "UPDATE hook_deliveries SET status = 'DUE'",
        "UPDATE hook_deliveries SET status = 'RUNNING'",
    ],
)
def test_one_open_run_or_one_open_delivery_is_enough_for_a_replay(settled: Stage, change: str) -> None:
    _change(settled, change)
    assert settled.recover().returncode == 0
    assert settled.replays() == 1


def test_what_other_nodes_have_open_is_no_business_of_this_ones_recovery(stage: Stage) -> None:
    _change(stage, "UPDATE runs SET node_id = 'another'")
    _change(stage, "UPDATE hook_deliveries SET node_id = 'another'")
    assert stage.recover().returncode == 0
    assert stage.replays() == 0


def test_a_replay_process_that_dies_is_followed_by_another(stage: Stage) -> None:
    stage.plan("kill", "1", "settle,0")
    assert stage.recover().returncode == 0
    assert stage.replays() == 3
    log = stage.log()
    assert "was killed by signal 9; 1 in a row" in log
    assert "ended with exit code 1; 2 in a row" in log
    assert not stage.recovery.lock_path.exists()


def test_a_replay_process_that_leaves_some_for_the_next_is_followed_by_it_without_a_word(stage: Stage) -> None:
    stage.plan("progress,75", "progress,75", "settle,0")
    assert stage.recover(backoff=1000.0).returncode == 0
    assert stage.replays() == 3
    assert stage.is_over()


@pytest.mark.parametrize("act", ["kill", "1", "75"])
def test_after_ten_replay_processes_that_changed_nothing_it_gives_up_and_leaves_the_node_to_the_next(
    stage: Stage, act: str
) -> None:
    stage.plan(*[act] * 10)
    assert stage.recover(backoff=0.0).returncode == 1
    assert stage.replays() == 10
    assert stage.recovery.lock_path.exists()
    assert not is_held(stage.recovery.lock_path)
    assert "gave up. The next Runtime on that journal tries again" in stage.log()
    assert stage.recover().returncode == 0
    assert stage.replays() == 11


def test_as_long_as_each_of_them_changes_something_it_goes_on(stage: Stage) -> None:
    stage.plan(*["progress,kill"] * 12, *["kill"] * 9)
    assert stage.recover(backoff=0.0).returncode == 0
    assert stage.replays() == 22


def test_a_node_that_was_taken_over_by_force_is_left_alone(stage: Stage) -> None:
    stage.plan("77")
    assert stage.recover().returncode == 3
    assert stage.replays() == 1
    assert stage.recovery.lock_path.exists()


@contextmanager
def recovering(stage: Stage, *options: str) -> Generator[subprocess.Popen[bytes]]:
    """By hand; its replay process has begun."""
    with subprocess.Popen(stage.recovery.understudy_command("--recover", *options)) as process:
        try:
            wait_until(stage.replays)
            yield process
        except BaseException:
            process.kill()
            raise


@contextmanager
def taken_over_by_force_and_then_killed(stage: Stage) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    """A stopped program: who took it over is at it, and its understudy, of that process id, has its lock."""
    with stage.program() as program:
        program.says("ready")
        understudy = stage.understudy()
        program.send(signal.SIGSTOP)
        with recovering(stage, "--force") as forced:
            program.send(signal.SIGKILL)
            wait_until(lambda: holder(stage.recovery.lock_path) == understudy)
            yield forced, understudy


def test_the_understudy_of_a_process_that_was_taken_over_by_force_and_then_died_waits_for_who_took_it(
    stage: Stage,
) -> None:
    stage.plan("go,settle,0")
    with taken_over_by_force_and_then_killed(stage) as (forced, understudy):
        refused = stage.recover()
        assert refused.returncode == 3
        wait_until(lambda: is_asleep(understudy))
        assert stage.replays() == 1
        (stage.folder / "go").touch()
        assert forced.wait() == 0
        wait_until(stage.is_over)
    assert stage.replays() == 1
    assert not stage.recovery.lock_path.with_suffix(".replay.lock").exists()


def test_the_understudy_does_what_one_that_took_the_node_over_by_force_has_left(stage: Stage) -> None:
    stage.plan("watcher,1")
    with taken_over_by_force_and_then_killed(stage) as (forced, _):
        forced.kill()
        wait_until(lambda: stage.replays() == 2)
        wait_until(stage.is_over)


def test_nobody_else_recovers_a_node_while_one_that_took_it_over_by_force_is_at_it(stage: Stage) -> None:
    stage.plan("go,settle,0")
    with recovering(stage, "--force") as forced:
        for options in ([], ["--force"]):
            refused = stage.recover(*options)
            assert refused.returncode == 3
            assert (
                f"process {forced.pid} holds {stage.recovery.lock_path.with_suffix('.replay.lock')}" in refused.stderr
            )
        assert not recover_dead(stage.recovery)
        (stage.folder / "go").touch()
    assert forced.returncode == 0
    assert stage.replays() == 1


def test_a_takeover_by_force_is_refused_while_another_one_recovers_the_node(stage: Stage) -> None:
    stage.plan("go,settle,0")
    with recovering(stage):
        assert stage.recover("--force").returncode == 3
        (stage.folder / "go").touch()
    assert stage.replays() == 1


@pytest.mark.parametrize("gone", ["deleted", "a file in the place of a folder", "not executable"])
def test_an_interpreter_that_is_gone_is_replaced_by_the_recoverers_own(stage: Stage, gone: str) -> None:
    paths = {
        "deleted": stage.folder / "venv" / "bin" / "python",
        "a file in the place of a folder": stage.folder / "plan" / "python",
        "not executable": stage.folder / "replay.py",
    }
    stage.plan("settle,0")
    command = (str(paths[gone]), *stage.recovery.replay_command[1:])
    stage.recovery = replace(stage.recovery, replay_command=command, fallback=sys.executable)
    assert stage.recover().returncode == 0
    assert stage.replays() == 1
    assert "cannot be used ([Errno" in stage.log()
    assert f"{sys.executable} is used in its place" in stage.log()


def test_where_no_interpreter_can_be_used_the_node_is_left_to_the_next(stage: Stage) -> None:
    command = (str(stage.folder / "gone"), *stage.recovery.replay_command[1:])
    stage.recovery = replace(stage.recovery, replay_command=command, fallback=str(stage.folder / "gone too"))
    assert stage.recover(backoff=0.0).returncode == 1
    assert "could not be started: [Errno 2]" in stage.log()
    assert "gone too" in stage.log()
    assert stage.recovery.lock_path.exists()


@pytest.mark.parametrize("cwd", ["/", "/gone"])
def test_a_replay_process_starts_in_the_recorded_folder_or_in_the_root(stage: Stage, cwd: str) -> None:
    stage.recovery = replace(stage.recovery, cwd=cwd)
    assert stage.recover().returncode == 0
    assert stage.ledger()[0]["cwd"] == "/"


@pytest.mark.parametrize("fault", ["missing", "garbage", "without tables"])
def test_a_journal_that_cannot_be_read_is_named_and_the_node_is_left_to_the_next(stage: Stage, fault: str) -> None:
    for file in stage.folder.glob("actwright.db*"):
        file.unlink()
    if fault != "missing":
        stage.recovery.database.write_bytes(b"no journal at all. " * 1000 if fault == "garbage" else b"")
    assert stage.recover(backoff=0.0).returncode == 1
    assert f"{stage.recovery.database} cannot be read (" in stage.log()
    assert stage.recovery.lock_path.exists()
    assert stage.replays() == 0


def test_a_journal_that_cannot_be_read_for_a_moment_is_looked_at_again(stage: Stage) -> None:
    away = stage.recovery.database.with_suffix(".away")
    stage.recovery.database.rename(away)
    with subprocess.Popen(stage.recovery.understudy_command("--recover", backoff=0.2)) as recoverer:
        try:
            wait_until(lambda: stage.recovery.log_path.exists() and "cannot be read just now (" in stage.log())
        finally:
            away.rename(stage.recovery.database)
    assert recoverer.returncode == 0
    assert stage.replays() == 1
    assert stage.log().count("cannot be read") == 1


def test_a_journal_may_have_a_name_that_means_something_in_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "50% off? #1 ä"
    folder.mkdir()
    stage = Stage(folder)
    assert stage.recover().returncode == 0
    assert stage.replays() == 1


def test_asking_the_journal_changes_nothing_in_it(stage: Stage) -> None:
    stage.plan("77")
    before = stage.recovery.database.read_bytes()
    stage.recover()
    assert stage.recovery.database.read_bytes() == before


def _change(stage: Stage, statement: str) -> None:
    with closing(sqlite3.connect(stage.recovery.database, isolation_level=None)) as journal:
        journal.execute(statement)
