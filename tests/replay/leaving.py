"""Hooks that leave something running behind them, for a replay process of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from pathlib import Path
from typing import Any

from actwright import flow, hook

__all__ = ["NOTES", "leaves_a_job", "leaves_a_short_thread", "leaves_a_thread"]

NOTES = "NOTES"
"""The variable that names the file which they write to."""

never = threading.Event()


def note(text: str) -> None:
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.write(f"{text}\n")


def start_thread(subject: Any, run: Any, state: Any) -> None:
    print("not flushed yet")
    threading.Thread(target=never.wait, name="left by a hook", daemon=False).start()


async def start_job(subject: Any, run: Any, state: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, never.wait)


def start_short_thread(subject: Any, run: Any, state: Any) -> None:
    def end_late() -> None:
        threading.main_thread().join()
        note("thread")

    atexit.register(note, "exit")
    threading.Thread(target=end_late, daemon=False).start()


@flow(on_failure=[start_thread])
def leaves_a_thread() -> None: ...


@flow(on_failure=[hook(start_job, timeout_seconds=0.01)])
def leaves_a_job() -> None: ...


@flow(on_failure=[start_short_thread])
def leaves_a_short_thread() -> None: ...
