"""How long programs take from their start to their exit, one after another in each turn, each with a fresh home.

The budget of the import is for what it adds to bare Python, that of a script for all of it. Beside a script with one
empty flow stand the same without an understudy, and one with history in memory: what that process and the file cost.
The loop is the one that the script's actors run on. Bytecode is there, as it is at a user's second start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from measuring.comparisons import beside
from measuring.loops import LOOPS
from measuring.table import Row
from measuring.turns import Spread, take_turns


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each program is started."""

    turns: int = 11
    warm_up: int = 1
    """Writes the bytecode, which users pay for once."""


QUICK: Final = Sizes(turns=1, warm_up=0)

IMPORT_BUDGET_MS: Final = 200.0
SCRIPT_BUDGET_MS: Final = 800.0

IMPORTING = "from actwright import flow, task"
EMPTY_FLOW = (Path(__file__).parent / "measuring" / "peer_programs" / "actwright_script.py").read_text(encoding="utf-8")
IN_MEMORY = """
import sys

import anyio
from actwright import Runtime, flow, run_flow

@flow
async def empty():
    pass

async def main():
    async with Runtime(journal="memory"):
        await run_flow(empty)

if __name__ == "__main__":
    backend, _, has_uvloop = sys.argv[1].partition("+")
    options = {"use_uvloop": bool(has_uvloop)} if backend == "asyncio" else {}
    anyio.run(main, backend=backend, backend_options=options)
"""

BACKENDS: Final = {"asyncio": "asyncio", "uvloop": "asyncio+uvloop", "trio": "trio"}
"""The loop -> how the setting `background_backend` calls it."""

NO_UNDERSTUDY: Final = {"ACTWRIGHT_UNDERSTUDY": "false"}
SCRIPTS: Final[tuple[tuple[str, str, Mapping[str, str], float | None], ...]] = (
    ("a script with one empty flow", EMPTY_FLOW, {}, SCRIPT_BUDGET_MS),
    ("a script with one empty flow, no understudy", EMPTY_FLOW, NO_UNDERSTUDY, None),
    ("a script with one empty flow, history in memory", IN_MEMORY, {}, None),
)


def milliseconds_to_run(program: str, environment: Mapping[str, str], *arguments: str) -> float:
    """From start to exit, with a home that nobody has used. What it prints is read to its end, as a caller would."""
    with tempfile.TemporaryDirectory(prefix="starting-") as folder:
        script, home = Path(folder, "script.py"), Path(folder, "home")
        script.write_text(program, encoding="utf-8")
        variables = {**os.environ, "ACTWRIGHT_HOME": str(home), **environment}
        command = [sys.executable, str(script), *arguments]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder, env=variables)
        return (time.perf_counter() - began) * 1e3


def bare_python() -> float:
    return milliseconds_to_run("pass", {})


def imports(sizes: Sizes) -> Iterator[Row]:
    """The same on each loop: no loop has run yet."""
    contestants: dict[str, Callable[[], float]] = {
        "ours": partial(milliseconds_to_run, IMPORTING, {}),
        "bare": bare_python,
    }
    taken = take_turns(contestants, sizes.turns, warm_up=sizes.warm_up)
    added = [ours - bare for ours, bare in zip(taken["ours"], taken["bare"], strict=True)]
    row = partial(Row, IMPORTING, "any", "ms", against="bare Python")
    yield beside(row, *([[each] for each in taken[name]] for name in ("ours", "bare")))
    yield Row(
        f"{IMPORTING}, what it adds to bare Python",
        "any", "ms", Spread.of(added), budget=IMPORT_BUDGET_MS, judged_by="median",
    )  # fmt: skip


def scripts(sizes: Sizes) -> Iterator[Row]:
    """Of each script on each loop, all by turns; bare Python comes once in each turn."""
    programs = {
        (name, loop): partial(
            milliseconds_to_run, program, {**environment, "ACTWRIGHT_BACKGROUND_BACKEND": backend}, backend
        )
        for name, program, environment, _ in SCRIPTS
        for loop, backend in BACKENDS.items()
    }
    contestants: dict[str, Callable[[], float]] = {
        **{str(key): run for key, run in programs.items()},
        "bare": bare_python,
    }
    taken = take_turns(contestants, sizes.turns, warm_up=sizes.warm_up)
    bare = [[each] for each in taken["bare"]]
    for name, _, _, budget in SCRIPTS:
        for loop in LOOPS:
            row = partial(Row, name, loop, "ms", against="bare Python", budget=budget, judged_by="median")
            yield beside(row, [[each] for each in taken[str((name, loop))]], bare)


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    yield imports(sizes)
    yield scripts(sizes)
