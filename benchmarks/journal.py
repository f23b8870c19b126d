"""What history on disk costs: beside the same in memory, beside bare SQLite that writes the same rows, and in bytes.

A sequential async task run without hooks, the same with one CPU-bound sync body alive, a flow run with its final state
committed, and a flow run with one hook. The clock stops when the last row is committed.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

from hooks import hooked_flow, in_turn
from measuring.comparisons import ON_THE_SAME_LOOP, Comparison, Timed, beside, compare, on
from measuring.homes import a_home_of_its_own, run_in_a_home, run_in_memory
from measuring.loops import LOOPS, run_on
from measuring.sample_rows import RunRows, bare_file, rows_of_task_runs, schema_of, text_bytes, write_bare
from measuring.table import Row
from measuring.turns import take_turns
from runs import awaited, awaited_beside_a_busy_thread, awaited_tasks, flow_runs, timed

from actwright import Runtime, run_flow
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 7
    long_turns: int = 5
    """Of what is measured beside a busy thread."""
    warm_up: int = 1
    runs: int = 300
    kept_turns: int = 3
    kept: int = 5_000
    """Runs whose bytes are counted."""


QUICK: Final = Sizes(turns=1, long_turns=1, warm_up=0, runs=10, kept_turns=1, kept=50)


def beside_memory(sizes: Sizes) -> Iterator[tuple[Comparison, int]]:
    """What is compared, and in how many turns."""
    for measure, subject, turns, budget in (
        ("async task run, awaited", awaited, sizes.turns, 1.6),
        ("async task run, awaited, one sync body computing", awaited_beside_a_busy_thread, sizes.long_turns, None),
        ("flow run, awaited", timed(flow_runs), sizes.turns, None),
        ("flow run with a sync hook, awaited", in_turn(hooked_flow), sizes.turns, None),
    ):
        comparison = Comparison(
            measure=measure,
            subject=subject,
            against="the same, history in memory",
            floors=on(ON_THE_SAME_LOOP, subject, run_in_memory),
            times=sizes.runs,
            budget=budget,
            runner=run_in_a_home,
        )
        yield comparison, turns


@dataclass(frozen=True, slots=True)
class Written:
    """What task runs wrote: the size of the file that grew by them, their rows, and the schema they are in."""

    bytes: int
    runs: list[RunRows]
    schema: list[str]


def written_on(loop: str, count: int) -> Written:
    """By a flow with that many task runs, in a home of its own."""
    with a_home_of_its_own():
        database = get_current_settings().database
        run_on(loop, _run, 1)
        before = _size(database)
        run_on(loop, _run, count)
        after = _size(database)
        return Written(after - before, rows_of_task_runs(database)[1:], schema_of(database))


async def _run(count: int) -> None:
    async with Runtime():
        await run_flow(awaited_tasks, count)


def _size(database: Path) -> int:
    """Of the file when all is in it, and of what still lies beside it; the next run opens it anew."""
    close_journals()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))


def bare_sqlite(written: Written) -> Timed:
    """Writes the rows of so many of these runs into a file of its own."""

    def seconds_each(count: int) -> float:
        with (
            tempfile.TemporaryDirectory(prefix="actwright-benchmark-") as folder,
            bare_file(Path(folder, "bare.db"), written.schema) as connection,
        ):
            began = perf_counter()
            write_bare(connection, written.runs[:count])
            return (perf_counter() - began) / count

    return seconds_each


def beside_bare_sqlite(sizes: Sizes) -> Comparison:
    written = written_on("asyncio", sizes.runs)
    return Comparison(
        measure="async task run, awaited, until its last row is committed",
        subject=awaited,
        against="bare sqlite3: the same rows, 50 runs a transaction",
        floors=dict.fromkeys(LOOPS, bare_sqlite(written)),
        times=sizes.runs,
        runner=run_in_a_home,
    )


def bytes_kept(sizes: Sizes) -> Iterator[Row]:
    """Of a file as it is after a checkpoint. Half of it are indexes."""
    taken = take_turns({loop: partial(written_on, loop, sizes.kept) for loop in LOOPS}, sizes.kept_turns, warm_up=0)
    for loop, turns in taken.items():
        row = partial(
            Row, f"journal file, for each of {sizes.kept:,} task runs", loop, "bytes", against="the values, as text"
        )
        kept = [[written.bytes / sizes.kept] for written in turns]
        yield beside(row, kept, [[text_bytes(run) for run in written.runs] for written in turns])


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    for comparison, turns in beside_memory(sizes):
        yield compare(comparison, turns, warm_up=sizes.warm_up)
    yield compare(beside_bare_sqlite(sizes), sizes.turns, warm_up=sizes.warm_up)
    yield bytes_kept(sizes)
