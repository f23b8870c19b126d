"""How long hooks wait after a SIGKILL, in seconds: until the first one starts, and until all is settled.

A script with one open run, and one with many, is killed when all its bodies have begun; its understudy does the rest.
Trials come one after another, each with a home of its own. Bytecode is there, as it is at a user's second start.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring.loops import LOOPS

TRIALS = 20
TRIALS_OF_MANY = 5
MANY = 2_000
BUDGET_SECONDS = 1.0  # for the first hook of one run
PATIENCE_SECONDS = 120.0

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


def trial(open_runs: int, loop: str) -> tuple[float, float]:
    """Seconds from the kill to the first hook's start, and to the end of the recovery."""
    folder = Path(tempfile.mkdtemp(prefix="actwright-recovery-"))
    try:
        return _killed(folder, open_runs, loop)
    finally:
        shutil.rmtree(folder)


def _killed(folder: Path, open_runs: int, loop: str) -> tuple[float, float]:
    script, told = folder / "program.py", folder / "told"
    script.write_text(PROGRAM, encoding="utf-8")
    environment = {
        **os.environ, "ACTWRIGHT_HOME": str(folder / "home"), "ACTWRIGHT_UNDERSTUDY": "true",
        "PYTHONPATH": str(Path(__file__).parent),
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, str(script), str(open_runs), loop, str(told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as program:
        assert program.stdout is not None
        if program.stdout.readline() != b"ready\n":
            raise RuntimeError("the program ended before it was killed")
        began = time.monotonic()
        program.kill()
    wait_until(lambda: told.exists() and told.read_text(encoding="utf-8").count("\n") == open_runs)
    wait_until(lambda: not list(folder.glob("home/nodes/*.lock")))
    settled = time.monotonic()
    return float(told.read_text(encoding="utf-8").splitlines()[0]) - began, settled - began


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE_SECONDS:.0f} s not all hooks have run")
        time.sleep(0.005)


def main() -> None:
    print(f"seconds from SIGKILL: median (lowest-highest), Python {platform.python_version()}")
    print(f"{'open runs':>9}  {'loop':8}{'trials':>6}  {'first hook starts':>20}  {'all is settled':>20}")
    for open_runs, trials in ((1, TRIALS), (MANY, TRIALS_OF_MANY)):
        for loop in LOOPS:
            first, settled = zip(*(trial(open_runs, loop) for _ in range(trials)), strict=True)
            is_late = open_runs == 1 and statistics.median(first) > BUDGET_SECONDS
            held = f"  more than {BUDGET_SECONDS:.0f} s" if is_late else ""
            print(f"{open_runs:>9}  {loop:8}{trials:>6}  {shown(first):>20}  {shown(settled):>20}{held}", flush=True)


def shown(seconds: tuple[float, ...]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"


if __name__ == "__main__":
    main()
