"""Runs as another process reaches them, and what it wrote into the journal to ask."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from tests.engine.watched import at_rest

from actwright import Handle
from actwright.client import RemoteRun, get_client
from actwright.journal.command_watch import CommandWatch
from actwright.settings import get_current_settings


@asynccontextmanager
async def reached(handle: Handle[Any]) -> AsyncGenerator[RemoteRun]:
    """The run, as another process reaches it."""
    await at_rest()  # what nobody waits for is written by then
    async with get_client() as client:
        yield await client.get_run(handle.id)


def sees_nothing(_: CommandWatch) -> None:
    """In the place of a look: the process is stopped, or its thread never has a turn."""


def asked(kind: str, *run_ids: object) -> None:
    """Commands without a payload that stand in the journal, as a process of any version may have left them."""
    with sqlite3.connect(get_current_settings().database) as journal:
        row = "INSERT INTO commands (id, run_id, kind, payload, at) VALUES (?, ?, ?, '{}', '2026-01-01T00:00:00+00:00')"
        journal.executemany(row, [(str(uuid4()), str(run_id), kind) for run_id in run_ids])
    journal.close()


def commands() -> list[tuple[Any, ...]]:
    with sqlite3.connect(get_current_settings().database) as journal:
        found = journal.execute("SELECT kind, answer FROM commands ORDER BY seq").fetchall()
    journal.close()
    return found
