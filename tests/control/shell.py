"""The command line in this process, and journals for it to look into."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.engine.scripts import Program, run_script, started
from typer.testing import CliRunner, Result

from actwright.control.cli import app
from actwright.settings import get_current_settings

__all__ = [
    "BLOCK", "KILL", "STOP", "TOLD", "a_killed_program", "a_living_program", "act", "history_of_a_killed_program",
    "printed", "short",
]  # fmt: skip

TOLD = "told"
"""What hooks append to, in the folder of the program: the state's name in a line."""

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import anyio
from actwright import flow, task
from actwright.nodes.journal import journal_of_this_process

def tell(flow, run, state):
    with (Path(__file__).parent / "told").open("a") as told:
        told.write(f"{state.name}\\n")

def works_later(flow, run, state):
    if not (Path(__file__).parent / "works").exists():
        raise ValueError("the channel is gone")
    tell(flow, run, state)

@task(tags=["web"])
async def fetch(row):
    if row == 7:
        raise ConnectionError("no answer")
    return row

@flow(flow_run_name="inner-{row}")
async def inner(row):
    await fetch(row)

@flow(on_completion=[tell], on_failure=[works_later, tell], on_crashed=[tell], flow_run_name="nightly-{city}")
async def nightly(city, row=1):
    await inner(row)
    if city == "Paris":
        journal_of_this_process().flush()  # or what nobody waits for is not written yet
        BODY

if __name__ == "__main__":
    async def main():
        for city, row in [("Oslo", 1), ("Rome", 7), ("Paris", 2)]:
            await nightly(city, row, return_state=True)
    anyio.run(main)
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
WAIT = 'print("ready", flush=True); await anyio.Event().wait()'
STOP = 'print("ready", flush=True); os.kill(os.getpid(), signal.SIGSTOP)'
BLOCK = 'print("ready", flush=True); sys.stdin.read()'


def act(*arguments: object, stdin: str | None = None) -> Result:
    """What a shell would see of `actwright ...`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env={"COLUMNS": "200"})


def printed(*arguments: object, code: int = 0) -> Any:
    """What a command prints with `-o json`."""
    ran = act(*arguments, "-o", "json")
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout)


def a_killed_program(folder: Path, body: str = KILL, **settings: str) -> None:
    """Three flow runs: nightly-Oslo completes, nightly-Rome fails, and one of its two hooks with it; the process is
    killed in the body of nightly-Paris, and nobody stands by."""
    ran = run_script(folder, PROGRAM.replace("BODY", body), **settings)
    assert ran.returncode == -9, ran.stderr


def history_of_a_killed_program() -> None:
    """What such a program left in its home, for a test that runs no hook of it: dozens look at the same history."""
    shutil.copytree(_killed_once() / "home", get_current_settings().home)


@cache
def _killed_once() -> Path:
    """The folder of a program that was killed, with its home in it. One for each process that runs tests."""
    folder = Path(tempfile.mkdtemp(prefix="actwright-killed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    a_killed_program(folder, home=str(folder / "home"))
    return folder


@contextmanager
def a_living_program(folder: Path, body: str = WAIT) -> Generator[Program]:
    """The same, but the body of nightly-Paris waits."""
    with started(folder, PROGRAM.replace("BODY", body)) as program:
        program.says("ready")
        yield program


def short(id: str) -> str:
    return id[:8]
