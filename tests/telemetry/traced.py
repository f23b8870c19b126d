"""Flows of programs that are traced: other processes find them here by name."""

from __future__ import annotations

import os
import time
from pathlib import Path

from opentelemetry import baggage
from tests.serving.flows import note
from tests.telemetry import exporting
from tests.telemetry.heard import current_id, own_span

from actwright import flow, task

__all__ = ["apart", "dies", "exporting", "part", "quick"]


@flow
async def quick() -> None:
    note(f"tenant {baggage.get_baggage('tenant')}")


@flow(crash_retries=1)
def dies() -> None:
    """Its process dies, once."""
    began = Path(os.environ["TOLD"]).read_text(encoding="utf-8").splitlines().count("body")
    note("body")
    if began == 0:
        os.kill(os.getpid(), 9)
        time.sleep(60)


@task
def part() -> int:
    return current_id()


@flow(isolation="process")
def apart() -> tuple[int, int, int]:
    """The spans that it is in, that it makes, and that of what it calls."""
    around = current_id()
    with own_span():
        return around, current_id(), part()


@flow(isolation="process")
async def apart_on_a_loop() -> tuple[int, int, int]:
    around = current_id()
    with own_span():
        return around, current_id(), await part.submit()
