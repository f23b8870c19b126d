"""The last act of the demo: a program is started, killed in mid-body, and its hook waited for. Blocks."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING
from uuid import UUID

from actwright.control import victim

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE_SECONDS", "Killing", "Note", "kill_a_program", "source_of_victim", "wait_for_note"]

PATIENCE_SECONDS = 6.0
"""How long the demo waits for what other processes do."""


@dataclass(frozen=True, slots=True)
class Killing:
    """What was done: which process, when (as `time.time` tells), and where its hook leaves its note."""

    pid: int
    at: float
    notes: Path


@dataclass(frozen=True, slots=True)
class Note:
    """What the hook noted: for which delivery it was called, when, and in which process."""

    delivery_id: UUID
    at: float
    pid: int


def source_of_victim() -> str:
    """The program that is killed."""
    return Path(victim.__file__).read_text(encoding="utf-8")


def kill_a_program(home: Path) -> Killing:
    """Start the program, and kill it with SIGKILL once its body has begun. It has an understudy, whatever is set."""
    folder = Path(tempfile.mkdtemp(dir=home))
    program = folder / "program.py"
    program.write_text(source_of_victim(), encoding="utf-8")
    environment = {**os.environ, "ACTWRIGHT_UNDERSTUDY": "true"}
    process = Popen([sys.executable, program], cwd=folder, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    with process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
        finally:
            process.kill()
        return Killing(process.pid, time.time(), folder / victim.NOTES)


def wait_for_note(killing: Killing, is_recorded: Callable[[], bool]) -> Note | None:
    """Wait until the hook has noted that it ran, and history has that too; None if that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (killing.notes.exists() and is_recorded()):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)
    delivery_id, at, pid = killing.notes.read_text(encoding="utf-8").split()
    return Note(UUID(delivery_id), float(at), int(pid))
