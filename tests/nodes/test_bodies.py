"""Finding the processes of isolated bodies whose Runtime's process has died, and ending them and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.isolation.helpers import is_gone
from tests.nodes.stage import wait_until

from actwright.nodes.bodies import (
    BODY_VARIABLE,
    body_files,
    claim,
    claim_path,
    end_bodies,
    group_ends,
    remove_body_files,
    token_of,
)
from actwright.nodes.understudy import owner_of

BODY = """
import os, subprocess, sys, time
from actwright.nodes.bodies import claim
claim(sys.argv[1])
grandchild = subprocess.Popen(["sleep", "60"])
if sys.argv[2] == "loses its lock":
    os.close(os.open(sys.argv[1], os.O_RDONLY))
print(grandchild.pid, flush=True)
if sys.argv[2] == "dies":
    os._exit(1)
time.sleep(60)
"""


@contextmanager
def body(path: Path, then: str = "lives") -> Generator[tuple[subprocess.Popen[str], int]]:
    """A process that has claimed that file, and one that it has started."""
    environment = {**os.environ, BODY_VARIABLE: token_of(path)}
    with subprocess.Popen(
        [sys.executable, "-c", BODY, str(path), then], stdout=subprocess.PIPE, text=True, start_new_session=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        try:
            yield process, grandchild
        finally:
            for pid in (process.pid, grandchild):
                if not is_gone(pid):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return claim_path(tmp_path, "node", "0123abcd")


def test_who_claims_a_file_is_known_by_its_lock(path: Path) -> None:
    with body(path) as (process, _):
        assert owner_of(str(path)) == process.pid
        assert path.read_text() == str(process.pid)
    assert owner_of(str(path)) is None


def test_a_file_that_another_process_holds_cannot_be_claimed(path: Path) -> None:
    with body(path), pytest.raises(OSError, match=r"0123abcd\.body is held by another process"):
        claim(str(path))


@pytest.mark.parametrize("then", ["lives", "loses its lock", "dies"])
def test_a_body_is_ended_with_all_of_its_group_and_its_file_is_removed(path: Path, then: str) -> None:
    with body(path, then) as (process, grandchild):
        if then == "dies":
            process.wait()
        end_bodies(path.parent, "node")
        assert is_gone(process.pid)
        assert is_gone(grandchild)
        assert not path.exists()


def test_it_is_gone_when_this_returns_whatever_it_did_to_be_left_alone(path: Path) -> None:
    with body(path) as (process, grandchild):
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(grandchild, signal.SIGSTOP)
        end_bodies(path.parent, "node")
        assert [is_gone(pid) for pid in (process.pid, grandchild)] == [True, True]


def test_bodies_of_other_nodes_are_left_alone(path: Path) -> None:
    with body(path) as (process, _):
        end_bodies(path.parent, "nod")
        end_bodies(path.parent, "another")
        assert process.poll() is None
        assert path.exists()


@pytest.mark.parametrize("content", ["", "0"])
def test_a_file_of_a_process_that_died_before_it_said_who_it_was_is_removed(path: Path, content: str) -> None:
    path.write_text(content)
    end_bodies(path.parent, "node")
    assert not path.exists()


def test_a_group_that_has_the_number_of_a_dead_one_is_left_alone(path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        path.write_text(str(stranger.pid))
        end_bodies(path.parent, "node")
        assert stranger.poll() is None
        assert not path.exists()
        stranger.kill()


def test_a_group_with_the_token_of_another_body_is_left_alone(path: Path) -> None:
    other = claim_path(path.parent, "other", "4567")
    with body(other) as (process, _):
        path.write_text(str(process.pid))
        end_bodies(path.parent, "node")
        assert process.poll() is None


def test_waiting_for_a_group_ends_in_time() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        assert not group_ends(process.pid, 0.05)
        process.kill()
        assert group_ends(process.pid, 10.0)
    assert group_ends(process.pid, 0.0)


def test_the_dead_that_nobody_has_waited_for_count_as_gone() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    try:
        wait_until(lambda: is_gone(process.pid))
        assert group_ends(process.pid, 0.0)
    finally:
        process.wait()


def test_files_of_bodies_of_nodes_that_are_settled_are_removed(tmp_path: Path) -> None:
    for node in ("settled", "open"):
        claim_path(tmp_path, node, "1").touch()
    files = body_files(tmp_path)
    claim_path(tmp_path, "new", "1").touch()  # of a node that came after those were read that are open
    remove_body_files(files, {"open"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.1.body", "open.1.body"]
