"""Services in this process, and what becomes of what they are given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
from anyio.to_thread import run_sync
from tests.engine.watched import WATCHDOG_SECONDS, until

from actwright import FlowRun
from actwright.client import RemoteRun, get_client
from actwright.client.submitting import submit
from actwright.journal.sql_journal import SqlJournal
from actwright.serving.service import Service
from actwright_actors.testing import ManualClock

__all__ = ["Told", "ended", "journal_of", "serving", "states_of", "submitted", "time_passes_until"]

Told = Callable[[], list[str]]


@asynccontextmanager
async def serving(*served: Any, **options: Any) -> AsyncGenerator[Service]:
    """A service; a test that hangs in it fails."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with Service(*served, **options) as service:
            yield service


def journal_of(service: Service) -> SqlJournal:
    journal = service.runtime.journal
    assert isinstance(journal, SqlJournal)
    return journal


async def submitted(service: Service, subject: Any, parameters: dict[str, Any], **options: Any) -> FlowRun:
    database = journal_of(service).database
    return await run_sync(lambda: submit(database, subject, parameters, options))  # type: ignore[arg-type]


async def states_of(service: Service, run_id: UUID) -> list[str]:
    """The names of the states that a run has entered."""
    steps = await run_sync(service.runtime.journal.transitions, run_id)
    return [step.run.state.name for step in steps]


async def ended(run_id: UUID) -> RemoteRun:
    """The run, once it has."""
    async with get_client() as client:
        run = await client.get_run(run_id)
        await run.wait()
        return run


async def time_passes_until(clock: ManualClock, holds: Callable[[], bool], seconds: float = 0.05) -> None:
    """Let so much time pass again and again, until it holds."""

    def holds_later() -> bool:
        clock.advance(seconds)
        return holds()

    await until(holds_later)
