"""Ctrl-C ends each command with 130, at whatever moment, and says what it leaves undone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.control.shell import a_killed_program, a_living_program, act, printed
from tests.engine.scripts import ended, run_script
from tests.recovery.trial import within

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_during_the_imports_it_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import signal; signal.raise_signal(signal.SIGINT)")
    ran = subprocess.run(
        [sys.executable, "-m", "actwright", "--version"],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_the_installed_command_begins_where_that_is_seen_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"actwright": "actwright.__main__:main"}


@contextmanager
def a_question(node_id: str) -> Generator[tuple[subprocess.Popen[str], int]]:
    """`recover --force`, at a terminal, that has just asked; and that terminal."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "actwright", "recover", "--force", node_id],
        stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    os.close(its_end)
    try:
        with ended(process):
            assert process.stderr is not None
            said = ""
            while not said.endswith("Take it over? [y/N]: "):
                letter = process.stderr.read(1)
                assert letter, said
                said += letter
            yield process, terminal
    finally:
        os.close(terminal)


def test_a_question_is_left_with_130_and_a_no_with_1(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        (node,) = printed("nodes")
        with a_question(node["id"]) as (asking, _):
            asking.send_signal(signal.SIGINT)
            assert asking.wait(30) == 130
        for answer in (b"n\n", b"\n"):
            with a_question(node["id"]) as (asking, terminal):
                os.write(terminal, answer)
                assert asking.wait(30) == 1
        assert [each["epoch"] for each in printed("nodes")] == [1]


def test_a_question_that_is_answered_with_yes_takes_the_node_over(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        (node,) = printed("nodes")
        with a_question(node["id"]) as (asking, terminal):
            os.write(terminal, b"y\n")
            asking.communicate(timeout=30)
            assert asking.returncode == 0
        assert printed("runs", "inspect", "nightly-Paris")["state_name"] == "Crashed"


HANGS = """
from pathlib import Path
from actwright import flow, runtime

def hangs(flow, flow_run, state):
    if runtime.hook.attempt == 1:
        raise ValueError("not yet")
    (Path(__file__).parent / "began").touch()
    open(Path(__file__).parent / "gate").close()

@flow(on_completion=[hangs])
def work():
    pass

if __name__ == "__main__":
    work()
"""


def test_a_retry_that_is_interrupted_says_what_is_left_and_who_runs_it(tmp_path: Path) -> None:
    assert run_script(tmp_path, HANGS).returncode == 0
    os.mkfifo(tmp_path / "gate")
    (delivery,) = printed("hooks", "ls", "--status", "failed")
    process = subprocess.Popen(
        [sys.executable, "-m", "actwright", "hooks", "retry", delivery["id"]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with ended(process):
        assert within(30, (tmp_path / "began").exists)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert said == (
        f"Interrupted. Still due: {delivery['id']}. The next program that opens this journal runs what is due, and so "
        "does `actwright recover`.\n"
    )
    (tmp_path / "gate").unlink()
    (tmp_path / "gate").touch()
    assert act("recover").exit_code == 0
    assert [each["status"] for each in printed("hooks", "ls")] == ["SUCCEEDED"]


def test_a_list_that_is_interrupted_ends_with_130(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    (tmp_path / "sitecustomize.py").write_text(
        "import actwright.journal.queries as queries, signal\n"
        "queries.find_runs = lambda *_, **__: signal.raise_signal(signal.SIGINT)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "actwright", "runs", "ls"],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (130, "")
