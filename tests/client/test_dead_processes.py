"""Runs of processes that died with nobody to step in, as the client meets them."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import anyio
import anyio.to_thread
import pytest
from tests.engine.scripts import started
from tests.nodes.stage import wait_until

from actwright.client import get_client
from actwright.settings import get_current_settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.costly]

PROGRAM = """
import time
from actwright import flow, runtime

def hook(flow, run, state):
    pass  # a run that has one is in history before its body begins

@flow(on_crashed=[hook])
def waits():
    print(runtime.flow_run.id, flush=True)
    print("ready", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    waits()
"""


def killed_run(folder: Path) -> UUID:
    """A run that is Running, and whose process is gone."""
    with started(folder, PROGRAM, understudy="false") as program:
        program.says("ready")
        program.send(signal.SIGKILL)
        assert program.exit_code() == 128 + signal.SIGKILL
    return UUID(program.lines[0])


def is_settled() -> bool:
    with closing(sqlite3.connect(get_current_settings().database)) as journal:
        return not journal.execute("SELECT id FROM nodes WHERE settled_at IS NULL").fetchall()


@pytest.mark.parametrize("is_async", [True, False])
async def test_who_follows_the_events_of_a_run_of_a_dead_process_sees_its_end(is_async: bool, tmp_path: Path) -> None:
    run_id = await anyio.to_thread.run_sync(killed_run, tmp_path)

    def follow() -> list[str]:
        with get_client(sync_client=True) as client:
            return [event.state.name for event in client.get_run(run_id).events()]

    async def follow_async() -> list[str]:
        async with get_client() as client:
            return [event.state.name async for event in (await client.get_run(run_id)).events()]

    seen = await follow_async() if is_async else await anyio.to_thread.run_sync(follow)
    assert seen == ["Pending", "Running", "Crashed"]
    await anyio.to_thread.run_sync(wait_until, is_settled)  # or its recovery would outlive its journal
