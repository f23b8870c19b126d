"""Programs of their own, as a user starts them: written to a file, run, talked to by signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent

from actwright_actors.backends import BackendName

__all__ = ["EACH_BACKEND", "WATCHDOG_SECONDS", "Program", "ended", "run_file", "run_script", "started"]

EACH_BACKEND: tuple[BackendName, ...] = ("asyncio", "asyncio+uvloop", "trio")
WATCHDOG_SECONDS = 30.0


def run_file(path: Path, *args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. `settings` become `ACTWRIGHT_...` in its environment."""
    return subprocess.run(
        [sys.executable, "-W", "error", path, *args],
        capture_output=True, text=True, timeout=WATCHDOG_SECONDS, check=False, env=_environment(settings),
    )  # fmt: skip


def run_script(folder: Path, source: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The same for a program that is given as text."""
    return run_file(_written(folder, source), **settings)


class Program:
    """A program that runs. It speaks in lines; one at a time is waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []

    def says(self, line: str) -> None:
        """Wait until it prints this line; other lines before it are kept in `lines`."""
        assert self._process.stdout is not None
        for said in self._process.stdout:
            self.lines.append(said.rstrip("\n"))
            if self.lines[-1] == line:
                return
        raise AssertionError(f"it ended without saying {line!r}; it said {self.lines}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def send_line(self, line: str) -> None:
        """Write a line to its standard input; one that has ended already does not read it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def lines_of(self, subject: str) -> list[str]:
        """What it said of a flow or task: of "work: Cancelled" the last word."""
        return [line.removeprefix(f"{subject}: ") for line in self.lines if line.startswith(f"{subject}: ")]

    def exit_code(self) -> int:
        """Wait for its end, reading what it says until then; as a shell reports it: 128 + the signal that killed it."""
        assert self._process.stdout is not None
        self.lines += self._process.stdout.read().splitlines()
        code = self._process.wait()
        return code if code >= 0 else 128 - code


@contextmanager
def started(folder: Path, source: str, **settings: str) -> Generator[Program]:
    """Start a program, and see to its end. One that hangs is killed, and so ends with 137."""
    command = [sys.executable, "-W", "error", str(_written(folder, source))]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(settings)
    )
    with ended(process):
        yield Program(process)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Generator[None]:
    """See to the end of a process: when the block is left, and when it hangs."""
    with process:
        watchdog = threading.Timer(WATCHDOG_SECONDS, process.kill)  # a read of a pipe has no timeout of its own
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
            watchdog.join()
            process.kill()


def _written(folder: Path, source: str) -> Path:
    path = folder / "program.py"
    path.write_text(dedent(source), encoding="utf-8")
    return path


def _environment(settings: dict[str, str]) -> dict[str, str]:
    own = {f"ACTWRIGHT_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **own}
