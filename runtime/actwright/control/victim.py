"""The program that `actwright demo` copies to a folder, runs, and kills. It stands here as anybody would write it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import anyio

from actwright import Flow, FlowRun, State, flow, run_flow, runtime

__all__ = ["NOTES", "export", "note"]

NOTES = "notes.txt"


def note(subject: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """The hook: it notes that it was called, when, and where."""
    notes = Path(__file__).with_name(NOTES)
    being_written = notes.with_suffix(".new")
    being_written.write_text(f"{runtime.hook.delivery_id} {time.time()} {os.getpid()}")
    being_written.rename(notes)  # whoever sees it sees all of it


@flow(on_crashed=[note])
async def export() -> None:
    print("The body has begun.", flush=True)
    await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(run_flow, export)
