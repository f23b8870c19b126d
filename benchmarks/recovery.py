"""How long hooks wait after a SIGKILL, in seconds: until the first one starts, and until all is settled.

A script with one open run, and one with many, is killed when all its bodies have begun; its understudy does the rest.
Trials come one after another, each with a home of its own. Bytecode is there, as it is at a user's second start. The
floor is what no recovery can do without: the death is heard of, and another bare Python started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from measuring.comparisons import beside
from measuring.loops import LOOPS
from measuring.table import Row
from measuring.turns import Spread, take_turns


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often a program is killed, and how much it leaves."""

    turns: int = 11
    turns_of_many: int = 3
    many: int = 2_000


QUICK: Final = Sizes(turns=1, turns_of_many=1, many=20)

BUDGET_SECONDS: Final = 1.0  # for the first hook of one run
PATIENCE_SECONDS: Final = 120.0

PROGRAM = """
import sys, time
from pathlib import Path

import anyio
from actwright import Runtime, flow, run_flow
from measuring.loops import run_on

count, loop, told = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
begun = 0

def tell(flow, flow_run, state):
    with told.open("a") as file:
        file.write(f"{time.monotonic()}\\n")

@flow(on_crashed=[tell])
async def work():
    global begun
    begun += 1
    if begun == count:
        print("ready", flush=True)
    await anyio.sleep_forever()

async def main(count):
    async with Runtime(), anyio.create_task_group() as flows:
        for _ in range(count):
            flows.start_soon(run_flow, work)

if __name__ == "__main__":
    run_on(loop, main, count)
"""
BARE_PROGRAM = "import time; print('ready', flush=True); time.sleep(1_000)"
BARE_HOOK = "import time; print(time.monotonic())"


class Recovered(NamedTuple):
    """Seconds from the kill to the first hook's start, and to the end of the recovery."""

    first: float
    settled: float


def killed(open_runs: int, loop: str) -> Recovered:
    """In a folder of its own, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="actwright-recovery-"))
    try:
        return _killed(folder, open_runs, loop)
    finally:
        shutil.rmtree(folder)


def _killed(folder: Path, open_runs: int, loop: str) -> Recovered:
    script, told = folder / "program.py", folder / "told"
    script.write_text(PROGRAM, encoding="utf-8")
    environment = {
        **os.environ, "ACTWRIGHT_HOME": str(folder / "home"), "ACTWRIGHT_UNDERSTUDY": "true",
        "PYTHONPATH": str(Path(__file__).parent),
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = _kill_when_ready([sys.executable, str(script), str(open_runs), loop, str(told)], environment)
    wait_until(lambda: told.exists() and told.read_text(encoding="utf-8").count("\n") == open_runs)
    wait_until(lambda: not list(folder.glob("home/nodes/*.lock")))
    settled = time.monotonic()
    return Recovered(float(told.read_text(encoding="utf-8").splitlines()[0]) - began, settled - began)


def _kill_when_ready(command: list[str], environment: dict[str, str]) -> float:
    """Start a program, kill it when it says so, and return when that was. It is dead when this returns."""
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as program,
        killed_when_late(program),
    ):
        assert program.stdout is not None
        if program.stdout.readline() != b"ready\n":
            raise RuntimeError("the program ended before it was to be killed, or did not get ready")
        began = time.monotonic()
        program.kill()
    return began


@contextmanager
def killed_when_late(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within the block it has a bounded time."""
    timer = threading.Timer(PATIENCE_SECONDS, program.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def bare_restart() -> Recovered:
    """From the kill of a bare Python to the first statement of another one, started when the first is dead."""
    began = _kill_when_ready([sys.executable, "-c", BARE_PROGRAM], dict(os.environ))
    told = subprocess.run([sys.executable, "-c", BARE_HOOK], check=True, capture_output=True, text=True)
    first = float(told.stdout) - began
    return Recovered(first, first)


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE_SECONDS:.0f} s not all hooks have run")
        time.sleep(0.005)


def recoveries(open_runs: int, turns: int, budget: float | None = None) -> Iterator[Row]:
    runs = "one open run" if open_runs == 1 else f"{open_runs:,} open runs"
    contestants: dict[str, Callable[[], Recovered]] = {loop: partial(killed, open_runs, loop) for loop in LOOPS}
    taken = take_turns({**contestants, "bare": bare_restart}, turns, warm_up=0)
    bare = [[each.first] for each in taken["bare"]]
    for loop in LOOPS:
        row = partial(
            Row, f"SIGKILL with {runs}, until the first hook starts", loop, "s",
            against="a bare Python that is started then", budget=budget, judged_by="median",
        )  # fmt: skip
        yield beside(row, [[each.first] for each in taken[loop]], bare)
    for loop in LOOPS:
        settled = Spread.of([each.settled for each in taken[loop]])
        yield Row(f"SIGKILL with {runs}, until all is settled", loop, "s", settled)


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    yield recoveries(1, sizes.turns, BUDGET_SECONDS)
    yield recoveries(sizes.many, sizes.turns_of_many)
