"""`actwright nodes` and `actwright recover`: processes that live, are stopped, died, and are taken over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.control.shell import (
    BLOCK,
    KILL,
    STOP,
    TOLD,
    a_killed_program,
    a_living_program,
    act,
    history_of_a_killed_program,
    printed,
    short,
)
from tests.nodes.elsewhere import another_process_holds
from tests.nodes.stage import wait_until

from actwright.control.liveness import UNRESPONSIVE_SECONDS, NodeStatus, is_stopped, status_of
from actwright.journal.queries import Work
from actwright.nodes.node import close_nodes, process_node
from actwright.nodes.program import Program
from actwright.nodes.rows import NodeRow
from actwright.settings import get_current_settings

pytestmark = pytest.mark.slow

KEYS = {
    "id", "status", "unresponsive_seconds", "pid", "host", "holder_pid", "program", "started_at", "settled_at", "epoch",
    "open_runs", "due_hooks",
}  # fmt: skip


def lock_of(home: Path) -> Path:
    (lock,) = (home / "nodes").glob("*.lock")
    return lock


def test_without_a_journal_there_is_no_node_and_nothing_to_recover(actwright_home: Path) -> None:
    assert printed("nodes") == []
    assert printed("recover") == []
    assert act("recover").exit_code == 0
    assert act("recover", "--force", "x").exit_code == 2
    assert not actwright_home.exists()


def test_a_living_node_is_shown_with_its_process_and_what_is_open(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        (node,) = printed("nodes")
        assert set(node) == KEYS
        assert (node["status"], node["open_runs"], node["due_hooks"]) == ("alive", 1, 0)
        assert (node["host"], node["holder_pid"], node["epoch"]) == (socket.gethostname(), node["pid"], 1)
        assert node["program"] == str(tmp_path / "program.py")


def test_a_dead_node_is_shown_until_it_is_recovered_and_with_all_after_that(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    (node,) = printed("nodes")
    assert (node["status"], node["open_runs"], node["holder_pid"]) == ("dead", 1, None)
    ran = act("nodes")
    assert "dead" in ran.stdout
    assert "`actwright recover` sees to the dead ones." in ran.stderr
    act("recover")
    assert printed("nodes") == []
    (node,) = printed("nodes", "--all")
    assert (node["status"], node["open_runs"]) == ("ended", 0)
    assert node["settled_at"] is not None


def test_a_node_that_another_process_recovers_is_shown_so_and_not_taken_away(actwright_home: Path) -> None:
    history_of_a_killed_program()
    with another_process_holds(lock_of(actwright_home)) as process:
        (node,) = printed("nodes")
        assert (node["status"], node["holder_pid"]) == ("being recovered", process.pid)
        (left,) = printed("recover", code=1)
        assert (left["node_id"], left["outcome"]) == (node["id"], "held by another process")
        assert f"Node {node['id']} is held by another process, and not done with." in act("recover").stderr
        ran = act("recover", "--force", node["id"])
        assert ran.exit_code == 1
        assert f"is being recovered by process {process.pid} just now" in ran.stderr
    assert [node["status"] for node in printed("nodes")] == ["dead"]


def test_a_stopped_process_is_shown_as_stopped(tmp_path: Path) -> None:
    with a_living_program(tmp_path) as program:
        program.send(signal.SIGSTOP)
        pid = printed("nodes")[0]["pid"]
        wait_until(lambda: is_stopped(pid))
        ran = act("nodes")
        assert "stopped" in ran.stdout
        assert "recover --force NODE" in ran.stderr
        program.send(signal.SIGCONT)
        wait_until(lambda: not is_stopped(pid))
        assert printed("nodes")[0]["status"] == "alive"


def test_a_process_that_has_not_touched_its_lock_for_a_while_is_unresponsive(
    tmp_path: Path, actwright_home: Path
) -> None:
    def the_node_long_after_a_touch() -> dict[str, Any]:
        os.utime(lock_of(actwright_home), (0, 0))
        node: dict[str, Any]
        (node,) = printed("nodes")
        return node

    with a_living_program(tmp_path, BLOCK):
        wait_until(lambda: the_node_long_after_a_touch()["status"] == "unresponsive")  # its last touch may come late
        assert the_node_long_after_a_touch()["unresponsive_seconds"] > UNRESPONSIVE_SECONDS
        assert "unresponsive for " in act("nodes").stdout


ROW = NodeRow("n", 1, 7, "here", Program("", (), "", (), None, None, ()), None, None)  # type: ignore[arg-type]
LATE = UNRESPONSIVE_SECONDS + 1


@pytest.mark.parametrize(
    ("holder", "work", "silent", "is_here", "stopped", "status"),
    [
        (7, Work(1, 0), 1.0, True, False, NodeStatus.ALIVE),
        (7, Work(1, 0), LATE, True, False, NodeStatus.UNRESPONSIVE),
        (7, Work(0, 1), LATE, True, False, NodeStatus.ALIVE),
        (7, Work(1, 0), None, True, False, NodeStatus.ALIVE),
        (7, Work(1, 0), LATE, True, True, NodeStatus.STOPPED),
        (8, Work(1, 0), LATE, True, False, NodeStatus.RECOVERING),
        (8, Work(1, 0), 1.0, False, True, NodeStatus.ALIVE),  # process ids of another container mean nothing here
        (0, Work(1, 0), 1.0, True, False, NodeStatus.ALIVE),
        (None, Work(1, 0), LATE, True, False, NodeStatus.DEAD),
        (None, Work(0, 1), LATE, True, True, NodeStatus.DEAD),
        (None, Work(0, 0), LATE, True, False, NodeStatus.ENDED),
    ],
)
def test_how_a_node_is_follows_from_its_lock_its_process_and_what_is_left(
    holder: int | None, work: Work, silent: float | None, is_here: bool, stopped: bool, status: NodeStatus
) -> None:
    assert status_of(ROW, work, holder, silent, is_here=is_here, stopped=stopped) is status


def test_recover_settles_the_runs_of_the_dead_runs_their_hooks_and_tells_of_both(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    a_killed_program(tmp_path)
    first, second = printed("recover")
    for recovered in (first, second):
        assert recovered["outcome"] == "recovered"
        assert [(run["name"], run["state_name"]) for run in recovered["runs"]] == [("nightly-Paris", "Crashed")]
        assert [(hook["event"], hook["status"]) for hook in recovered["hooks"]] == [("on_crashed", "SUCCEEDED")]
    assert (tmp_path / TOLD).read_text().splitlines().count("Crashed") == 2
    assert printed("recover") == []


def test_what_recover_did_is_drawn_and_where_hooks_printed_is_said(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    ran = act("recover")
    assert ran.exit_code == 0
    for part in (": recovered\n", "flow nightly  nightly-Paris  Crashed", "on_crashed  tell  flow nightly-Paris"):
        assert part in ran.stdout
    assert "What its hooks printed is in " in ran.stderr
    assert act("recover").stderr == "No process died with something left to do.\n"


def test_a_hook_that_fails_in_recovery_is_told_by_the_exit_code(tmp_path: Path) -> None:
    told = "Path(__file__).with_name('told')"
    a_killed_program(tmp_path, body=f"{told}.unlink(); {told}.mkdir(); {KILL}")
    (recovered,) = printed("recover", code=1)
    assert [(hook["status"], "IsADirectoryError" in hook["error"]) for hook in recovered["hooks"]] == [("FAILED", True)]


def test_a_living_node_is_left_alone_by_recover(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        assert printed("recover") == []
        assert [node["status"] for node in printed("nodes")] == ["alive"]


@pytest.mark.parametrize("loss", ["open().close()", "unlink()"])
def test_a_living_node_that_lost_its_lock_is_left_alone_by_recover_and_by_other_programs(
    tmp_path: Path, actwright_home: Path, loss: str
) -> None:
    """Stopped, so that it does not take it again."""
    loses = f'[each.{loss} for each in Path({str(actwright_home)!r}).glob("nodes/*.lock")]'
    with a_living_program(tmp_path, f"{loses}; {STOP}") as program:
        (node,) = printed("nodes")
        wait_until(lambda: is_stopped(node["pid"]))
        assert printed("nodes")[0]["status"] == "stopped"
        assert printed("recover") == []
        process_node(get_current_settings())
        close_nodes()
        (node,) = printed("nodes")
        assert (node["status"], node["open_runs"], node["settled_at"]) == ("stopped", 1, None)
        program.send(signal.SIGKILL)
        program.exit_code()
        (recovered,) = printed("recover")
        assert [run["state_name"] for run in recovered["runs"]] == ["Crashed"]


def test_a_stopped_node_is_taken_over_by_force_and_fenced_when_it_goes_on(tmp_path: Path, actwright_home: Path) -> None:
    with a_living_program(tmp_path) as program:
        (node,) = printed("nodes")
        program.send(signal.SIGSTOP)
        wait_until(lambda: is_stopped(node["pid"]))
        ran = act("recover", "--force", short(node["id"]))
        assert ran.exit_code == 0, ran.output
        assert "is stopped. Taken over, its runs are settled" in ran.stderr
        assert "it is fenced" in ran.stderr
        assert printed("runs", "inspect", "nightly-Paris")["state_name"] == "Crashed"
        assert (tmp_path / TOLD).read_text().splitlines().count("Crashed") == 1
        (settled,) = printed("nodes", "--all")
        assert settled["epoch"] == 2
        assert "recover --force" not in act("nodes", "--all").stderr
        assert lock_of(actwright_home).name == f"{node['id']}.lock"
        program.send(signal.SIGCONT)
        program.send(signal.SIGINT)
        assert program.exit_code() != 0
    assert (tmp_path / TOLD).read_text().splitlines().count("Crashed") == 1
    assert printed("runs", "inspect", "nightly-Paris")["state_name"] == "Crashed"
    assert printed("nodes") == []


def test_two_takeovers_by_force_at_once_run_each_hook_once(tmp_path: Path) -> None:
    with a_living_program(tmp_path) as program:
        (node,) = printed("nodes")
        program.send(signal.SIGSTOP)
        wait_until(lambda: is_stopped(node["pid"]))
        command = [sys.executable, "-m", "actwright", "recover", "--force", node["id"]]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        for one in both:
            one.communicate(timeout=30)
        assert (tmp_path / TOLD).read_text().splitlines().count("Crashed") == 1


def test_a_takeover_by_force_that_finds_another_one_at_it_is_no_success(tmp_path: Path, actwright_home: Path) -> None:
    with a_living_program(tmp_path) as program:
        (node,) = printed("nodes")
        program.send(signal.SIGSTOP)
        with another_process_holds(actwright_home / "nodes" / f"{node['id']}.replay.lock"):
            ran = act("recover", "--force", node["id"])
            assert ran.exit_code == 1
            assert f"Node {node['id']} is held by another process, and not done with." in ran.stderr
        assert act("recover", "--force", node["id"]).exit_code == 0
        assert (tmp_path / TOLD).read_text().splitlines().count("Crashed") == 1


def test_force_on_a_dead_node_recovers_it_and_on_one_that_ended_does_nothing(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    (node,) = printed("nodes")
    (recovered,) = printed("recover", "--force", node["id"])
    assert [run["state_name"] for run in recovered["runs"]] == ["Crashed"]
    ran = act("recover", "--force", node["id"])
    assert ran.exit_code == 0
    assert "nothing is left to do for it" in ran.stderr


@pytest.mark.parametrize("given", ["nobody", "", "%"])
def test_a_node_that_is_not_there_is_refused(given: str) -> None:
    history_of_a_killed_program()
    ran = act("recover", "--force", given)
    assert ran.exit_code == 2
    assert f"There is no node {given!r}" in ran.stderr
