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


@pytest.mark.parametrize("backend", cli.Backend)
def test_the_demo_shows_every_kind_of_hook_without_a_terminal_on_any_back_end(backend: cli.Backend) -> None:
    ran = run("demo", "--backend", backend)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    for event in HOOK_EVENTS:
        assert f"● {event}" in ran.stdout
    assert "34 hooks were due, 34 ran." in ran.stdout
    took = re.search(r"It took ([\d.]+) s", ran.stdout)
    assert took
    assert float(took[1]) < 10
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_the_demo_survives_an_output_that_has_no_letters_for_it() -> None:
    ran = run("demo", "--backend", "asyncio", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0, ran.stderr
    assert "34 hooks were due, 34 ran." in ran.stdout


def test_the_installed_command_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("actwright")
    ran = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == f"actwright {__version__}\n" == run("--version").stdout


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
