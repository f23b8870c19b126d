"""DBOS: workflows and steps, each step's result committed before its caller goes on.

Arguments: a folder, and `as-it-comes` or `wal`. By default DBOS opens SQLite with a rollback journal, and
synchronous=FULL; `wal` has the file as Actwright has it, by an engine of our own, which `system_database_engine` is for
(https://docs.dbos.dev/python/reference/configuration). Nothing of its Conductor, and no OTLP, is on by default.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any

import sqlalchemy
from answering import Round, answer, timed
from dbos import DBOS, DBOSConfig


@DBOS.step()
async def nothing() -> None: ...


@DBOS.step()
def nothing_in_sync_code() -> None: ...


is_second_attempt = itertools.cycle([False, True])


# The interval may be 0: it is only slept (dbos/_core.py, `on_exception`). https://docs.dbos.dev/python/tutorials/step-tutorial
# A step that is tried again has one record, of how it ended; the attempt that failed is kept nowhere.
@DBOS.step(retries_allowed=True, interval_seconds=0, max_attempts=2)
async def fails_once() -> None:
    if not next(is_second_attempt):
        raise RuntimeError("not yet")


@DBOS.workflow()
async def awaited_steps(count: int) -> None:
    for _ in range(count):
        await nothing()


# What the documentation has for steps at once: https://docs.dbos.dev/python/tutorials/workflow-tutorial
@DBOS.workflow()
async def gathered_steps(count: int) -> None:
    await asyncio.gather(*(nothing() for _ in range(count)))


@DBOS.workflow()
async def retried_steps(count: int) -> None:
    for _ in range(count):
        await fails_once()


@DBOS.workflow()
def sync_steps(count: int) -> None:
    for _ in range(count):
        nothing_in_sync_code()


@DBOS.workflow()
async def empty() -> None: ...


@DBOS.workflow()
async def child_workflows(count: int) -> None:
    for _ in range(count):
        await empty()


async def workflows(count: int) -> None:
    for _ in range(count):
        await empty()


async def workflows_at_once(count: int) -> None:
    await asyncio.gather(*(empty() for _ in range(count)))


async def sync_steps_in_a_thread(count: int) -> None:
    await asyncio.to_thread(sync_steps, count)


WORKS = {
    "awaited": awaited_steps,
    "gathered": gathered_steps,
    "called": sync_steps_in_a_thread,
    "retried": retried_steps,
    "flows": workflows,
    "flows at once": workflows_at_once,
    "subflows": child_workflows,
}


def engine_with_wal(url: str) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(url)

    def prepare(connection: Any, _record: object) -> None:
        # The first three are what DBOS sets on an engine of its own (dbos/_sys_db_sqlite.py).
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    sqlalchemy.event.listen(engine, "connect", prepare)
    return engine


async def main(home: Path, mode: str) -> None:
    url = f"sqlite:///{home / 'dbos.sqlite'}"
    config: DBOSConfig = {"name": "benchmark", "system_database_url": url, "log_level": "ERROR"}
    if mode == "wal":
        config["system_database_engine"] = engine_with_wal(url)
    DBOS(config=config)
    DBOS.launch()
    rounds: dict[str, Round] = {name: timed(work) for name, work in WORKS.items()}
    try:
        await answer(rounds)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
