"""A program that dies, and what its hooks and its log said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from textwrap import indent
from typing import Any

from tests.recovery.trial import within

__all__ = ["DEADLINE", "WORK", "Scene"]

DEADLINE = 30.0

PREAMBLE = """
import os, signal, subprocess, sys, threading, time
import anyio
from actwright import Runtime, flow, run_flow, runtime, task

def tell(line):
    with open(os.environ["SCENE"] + "/told", "a") as file:
        file.write(f"{line}\\n")

def hook(flow, flow_run, state):
    tell(f"{flow.name}: {state.name}")

def exits(flow, flow_run, state):
    tell(f"exits in attempt {runtime.hook.attempt}")
    os._exit(9)
"""

WORK = """
@flow(on_cancellation=[hook], on_crashed=[hook])
def work():
    tell("began")
    print("ready", flush=True)
{death}

if __name__ == "__main__":
    work()
"""


class Scene:
    """A folder with a home, a program, and a file in which its hooks tell what they did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._processes: list[subprocess.Popen[str]] = []

    def environment(self) -> dict[str, str]:
        return {
            **os.environ, "ACTWRIGHT_HOME": str(self.home), "ACTWRIGHT_UNDERSTUDY": "true", "SCENE": str(self.folder),
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def start(
        self, source: str, name: str = "program.py", *, by: Sequence[str] = (), **settings: str
    ) -> subprocess.Popen[str]:
        """Start a program, in a session of its own; it says "ready" where it is told to. `by`: what starts it."""
        path = self.folder / name
        path.write_text(PREAMBLE + source)
        own = {f"ACTWRIGHT_{key.upper()}": value for key, value in settings.items()}
        process = subprocess.Popen(
            [*by, sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL, env=self.environment() | own, cwd=self.folder, start_new_session=True,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def dies(self, death: str) -> int:
        """Start a flow whose body does this, and wait until its process has ended."""
        return self.start(WORK.format(death=indent(death, "    "))).wait(DEADLINE)

    def until_ready(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line == "ready\n":
                return
        raise AssertionError(f"it ended without being ready; it said {''.join(said)}")

    def run(self, source: str, name: str = "next.py", **settings: str) -> str:
        """Run a program to its end; what it said."""
        process = self.start(source, name, **settings)
        said, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, said
        return said

    def told(self) -> list[str]:
        """What bodies and hooks told, in order."""
        path = self.folder / "told"
        return path.read_text().splitlines() if path.exists() else []

    def locks(self) -> list[Path]:
        return list(self.home.glob("nodes/*.lock"))

    def settles(self) -> bool:
        """Whether no lock is left, within the deadline."""
        return within(DEADLINE, lambda: not self.locks())

    def log(self) -> str:
        """What understudies and replay processes said."""
        return "".join(path.read_text() for path in self.home.glob("nodes/*.log"))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "actwright.db")) as journal:
            return journal.execute(query).fetchall()

    def states(self) -> list[tuple[Any, ...]]:
        """(name of the flow or task, state) of each run, in the order in which they began."""
        return self.rows("SELECT subject_name, state_name FROM runs ORDER BY rowid")

    def understudies(self) -> list[int]:
        """Those that wait for programs of this home."""
        listing = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(maxsplit=1) for line in listing.splitlines()]
        return [int(pid) for pid, arguments in rows if f"lock={self.home}" in arguments]

    def close(self) -> None:
        """End what this scene started and what still waits for it."""
        for process in self._processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, 9)
            with process:
                process.kill()
        within(DEADLINE, lambda: not self.understudies())
