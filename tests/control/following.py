"""Programs that wait to be told to go on, and commands that follow them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.engine.scripts import Program, ended, started

__all__ = ["a_waiting_program", "command"]

PROGRAM = """
import os, signal, sys
from actwright import flow, get_run_logger, task
from actwright.nodes.journal import journal_of_this_process

def tell(flow, run, state):
    if sys.stdin.readline() != "hook\\n":
        raise ValueError("the channel is gone")

@task(task_run_name="fetch-{city}", log_prints=True)
def fetch(city):
    print("fetching", city)
    return city

@flow(flow_run_name="nightly", on_completion=[tell], on_failure=[tell], on_crashed=[tell])
def nightly():
    fetch("Oslo")
    get_run_logger().info("waits", extra={"city": "Oslo"})
    journal_of_this_process().flush()  # or what nobody waits for is not written yet
    print("ready", flush=True)
    said = sys.stdin.readline()
    get_run_logger().warning("was told %s", said.strip())
    fetch("Rome")
    if said == "fail\\n":
        raise ConnectionError("no answer")
    if said == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    nightly(return_state=True)
"""


@contextmanager
def a_waiting_program(folder: Path, **settings: str) -> Generator[Program]:
    """A program in whose flow run `nightly` a task has completed, and which waits for a line on its standard input: it
    then calls another task, and completes; or fails on "fail", and is killed on "die". Its hook waits for a line, too:
    it fails unless that is "hook"."""
    with started(folder, PROGRAM, **settings) as program:
        program.says("ready")
        yield program


@contextmanager
def command(
    *arguments: str, stdout: int = subprocess.PIPE, environment: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[str]]:
    """A command that goes on, as a shell starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "actwright", *arguments],
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    with ended(process):
        yield process
