"""Services in processes of their own, as `actwright serve` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.control.shell import act, printed
from tests.recovery.trial import within

from actwright.client.submitting import submit
from actwright.journal.database import Database
from actwright.settings import get_current_settings

__all__ = ["PATIENCE_SECONDS", "ROOT", "Running", "a_service", "journal", "soon", "state_of", "states_of", "submitted"]

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0


class Running:
    """`actwright serve` in a process of its own.

    Args:
        log: the file that has what it says.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return self._log.read_text(encoding="utf-8")

    def has_said(self, words: str) -> bool:
        return words in self.said

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        return self._process.wait(PATIENCE_SECONDS)


@contextmanager
def a_service(*flows: str, **environment: str) -> Generator[Running]:
    """A service of these flows, once it serves: those of `tests.serving.flows`, where no other module is named."""
    names = [flow if ":" in flow else f"tests.serving.flows:{flow}" for flow in flows]
    descriptor, log = tempfile.mkstemp(dir=Path(os.environ["TOLD"]).parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "actwright", "serve", *names],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, env={**os.environ, **environment},
    )  # fmt: skip
    os.close(descriptor)
    with process:
        try:
            running = Running(process, Path(log))
            soon(lambda: running.has_said("Serving"))
            yield running
        finally:
            process.kill()


@contextmanager
def journal() -> Generator[Database]:
    opened = Database.open(get_current_settings().database)
    yield opened
    opened.close()


def submitted(subject: Any, parameters: dict[str, Any] | None = None, **options: Any) -> str:
    with journal() as database:
        return str(submit(database, subject, parameters or {}, options).id)  # type: ignore[arg-type]


def soon(holds: Callable[[], bool]) -> None:
    assert within(PATIENCE_SECONDS, holds), act("runs", "ls").output + act("nodes").output + act("hooks", "ls").output


def state_of(run_id: str) -> str:
    found: str = printed("runs", "inspect", run_id)["state_name"]
    return found


def states_of(run_id: str) -> list[str]:
    return [each["name"] for each in printed("runs", "inspect", run_id)["transitions"]]
