"""Where the work of one task run goes: an async one, awaited in a flow, in bytecodes that Python executes for it.

Two hands do it: the event loop's thread, and the journal's, which turns what a run went through into rows. What C does
for either (SQLite's inserts, pydantic's validation) is not counted.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

from measuring.bytecodes import Bytecodes
from measuring.loops import LOOPS, run_on

from actwright import Runtime, flow, run_flow, task
from actwright.journal.batch import Batch, Entry
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import Record, Transition

RUNS = 50
BAR = 40
"""Characters of the longest bar."""

PARTS: dict[str, tuple[str, ...]] = {  # the first that has a file's path in it
    "rows for the journal": ("actwright/journal/",),
    "two log lines": ("authoring/logging.py", "models/log_fields.py", "/logging/"),
    "the run's actor and its messages": ("actwright/engine/", "<string>"),  # of dataclasses
    "actors: mailboxes, tasks, their ends": ("actwright_actors/",),
    "states and snapshots: pydantic, ids": ("actwright/models/", "/pydantic/", "uuid.py", "/copy.py", "/enum.py"),
    "the call: arguments, context, future": ("actwright/", "/inspect.py", "/concurrent/", "/threading.py"),
    "cancel scopes": ("/anyio/", "/sniffio/", "/weakref.py", "_weakrefset.py", "/contextlib.py"),
    "the event loop": ("/asyncio/", "/selectors.py", "/trio/", "/outcome/", "<attrs", "/collections/"),
}


@task
async def nothing() -> None: ...


@flow
async def tasks(times: int) -> None:
    for _ in range(times):
        await nothing()


class RecordedJournal(MemoryJournal):
    """Keeps what comes in for whoever would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        parameters = tuple("{}" for record in records if isinstance(record, Transition))
        self.entries.append(Entry(records, parameters, committed))
        if committed is not None:
            committed()


async def count_runs(journal: RecordedJournal) -> Counter[tuple[str, str]]:
    """Bytecodes by place, of one task run in the thread of the loop."""
    async with Runtime(journal=journal):
        await run_flow(tasks, 2)
        with Bytecodes() as few:
            await run_flow(tasks, 2)
        journal.entries.clear()
        with Bytecodes() as many:
            await run_flow(tasks, 2 + RUNS)
    many.by_place.subtract(few.by_place)
    return many.by_place


def count_rows(entries: list[Entry]) -> Counter[tuple[str, str]]:
    """The same in the journal's thread, for what those runs have added, in batches of ten runs."""
    each = len(entries) // RUNS
    with Bytecodes() as counted:
        for start in range(0, len(entries), 10 * each):
            Batch.of(entries[start : start + 10 * each], "node")
    return counted.by_place


def shares(by_place: Counter[tuple[str, str]]) -> dict[str, float]:
    """Part -> bytecodes of one run."""
    found = dict.fromkeys([*PARTS, "else"], 0.0)
    for (file, _), count in by_place.items():
        if file == __file__:
            continue
        part = next((part for part, marks in PARTS.items() if any(mark in file for mark in marks)), "else")
        found[part] += count / RUNS
    return {part: count for part, count in found.items() if count >= 1}


def bars(title: str, found: dict[str, float], longest: float) -> Iterator[str]:
    yield f"{title}: {sum(found.values()):,.0f} bytecodes"
    for part, count in sorted(found.items(), key=lambda each: -each[1]):
        yield f"  {part:38}{count:7,.0f}  {'█' * max(1, round(BAR * count / longest))}"


def anatomy(loop: str) -> dict[str, dict[str, float]]:
    """Thread -> part -> bytecodes of one task run."""
    journal = RecordedJournal()
    in_loop = shares(run_on(loop, count_runs, journal))
    in_loop.pop("rows for the journal", None)  # of this program's own journal
    return {"the loop's thread": in_loop, "the journal's thread": shares(count_rows(journal.entries))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    loop: str = parser.parse_args().loop
    found = anatomy(loop)
    longest = max(count for parts in found.values() for count in parts.values())
    for thread, parts in found.items():
        print("\n".join(bars(f"One task run on {loop}, {thread}", parts, longest)))


if __name__ == "__main__":
    main()
