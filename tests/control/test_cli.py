"""The command line, as a shell sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actwright import __version__
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.control import cli


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m actwright …` without a terminal, as in a CI job."""
    return subprocess.run(
        [sys.executable, "-m", "actwright", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        env=os.environ | {"CI": "true", "COLUMNS": "80"} | environment,
    )  # fmt: skip


@pytest.mark.costly
@pytest.mark.parametrize("backend", cli.Backend)
def test_the_demo_shows_every_kind_of_hook_without_a_terminal_on_any_back_end(backend: cli.Backend) -> None:
    ran = run("demo", "--backend", backend)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    for event in HOOK_EVENTS:
        assert f"● {event}" in ran.stdout
    assert "34 hooks were due, 34 ran." in ran.stdout
    assert re.search(r"It took [\d.]+ s", ran.stdout)
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_the_demo_survives_an_output_that_has_no_letters_for_it() -> None:
    ran = run("demo", "--backend", "asyncio", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0, ran.stderr
    assert "34 hooks were due, 34 ran." in ran.stdout


def test_the_installed_command_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("actwright")
    ran = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == f"actwright {__version__}\n" == run("--version").stdout


CLOSED = "standard output is closed, and there is nowhere to write to."
FULL = "what was asked for cannot be written: No space left on device."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("command", ["runs ls -o json", "config", "--version", "--help"])
@pytest.mark.parametrize(("where", "said"), [(">&-", CLOSED), (">/dev/full", FULL)])
def test_where_nothing_can_be_written_one_line_says_so(command: str, where: str, said: str) -> None:
    ran = in_a_shell(f"{command} {where}")
    assert (ran.returncode, ran.stderr.splitlines()[-1:]) == (1, [f"actwright: {said}"])
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_closed_stdout_is_told_of_whatever_there_is_to_write() -> None:
    assert in_a_shell("runs ls >&-").stderr == f"actwright: {CLOSED}\n"


def test_what_a_closed_stderr_would_get_is_not_mixed_into_stdout() -> None:
    ran = in_a_shell("runs ls -o json 2>&-")
    assert (ran.returncode, ran.stdout) == (0, "[]\n")


def test_a_reader_that_has_read_enough_hears_nothing_of_it() -> None:
    ran = in_a_shell("config | true; exit ${PIPESTATUS[0]}")
    assert ran.stderr == ""
    assert ran.returncode in (0, 1)


def in_a_shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m actwright {line}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_help_names_the_demo() -> None:
    ran = run("--help")
    assert ran.returncode == 0
    assert "demo" in ran.stdout


@pytest.mark.parametrize(
    ("backend", "command"), [("trio", "pip install 'actwright[trio]'"), ("uvloop", "pip install uvloop")]
)
def test_a_back_end_that_is_not_installed_is_refused_with_what_installs_it(
    backend: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_it(name: str) -> ModuleSpec | None:
        return None if name == backend else find_spec(name)

    monkeypatch.setattr(cli, "find_spec", without_it)
    ran = CliRunner().invoke(cli.app, ["demo", "--backend", backend], env={"COLUMNS": "200"})
    assert ran.exit_code == 2
    assert f"{backend} is not installed. Install it with: {command}" in ran.output
