"""How long programs take from their start to their exit, one after another in each round, each with a fresh home.

The budget of the import is for what it adds to bare Python, that of a script for all of it. Beside a script with one
empty flow stand the same without an understudy, and one with history in memory: what that process and the file cost.
Bytecode is there, as it is at a user's second start.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from platform import python_version as version

ROUNDS = 11
IMPORT_BUDGET_SECONDS = 0.2
SCRIPT_BUDGET_SECONDS = 0.8

IMPORTING = "from actwright import flow, task"
EMPTY_FLOW = """
from actwright import flow

@flow
def empty():
    pass

if __name__ == "__main__":
    empty()
"""
IN_MEMORY = """
import anyio
from actwright import Runtime, flow, run_flow

@flow
async def empty():
    pass

async def main():
    async with Runtime(journal="memory"):
        await run_flow(empty)

if __name__ == "__main__":
    anyio.run(main)
"""


MEASURED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "bare Python": ("pass", {}),
    "from actwright import flow, task": (IMPORTING, {}),
    "one empty flow": (EMPTY_FLOW, {}),
    "one empty flow, no understudy": (EMPTY_FLOW, {"ACTWRIGHT_UNDERSTUDY": "false"}),
    "one empty flow, history in memory": (IN_MEMORY, {}),
}
BUDGETS = {"from actwright import flow, task": IMPORT_BUDGET_SECONDS, "one empty flow": SCRIPT_BUDGET_SECONDS}


def seconds_to_run(program: str, environment: Mapping[str, str]) -> float:
    """From start to exit, with a home that nobody has used. What it prints is read to its end, as a caller would."""
    with tempfile.TemporaryDirectory(prefix="starting-") as folder:
        script, home = Path(folder, "script.py"), Path(folder, "home")
        script.write_text(program, encoding="utf-8")
        variables = {**os.environ, "ACTWRIGHT_HOME": str(home), **environment}
        began = time.perf_counter()
        subprocess.run([sys.executable, str(script)], check=True, capture_output=True, cwd=folder, env=variables)
        return time.perf_counter() - began


def main() -> None:
    for measured in MEASURED.values():
        seconds_to_run(*measured)  # writes the bytecode, which users pay for once
    rounds = [{name: seconds_to_run(*measured) for name, measured in MEASURED.items()} for _ in range(ROUNDS)]
    print(f"milliseconds from start to exit: medians of {ROUNDS} rounds (lowest-highest), Python {version()}")
    print(f"{'':36}{'in all':>18}{'over bare Python':>22}{'budget':>10}")
    for name in MEASURED:
        whole = [each[name] for each in rounds]
        added = [each[name] - each["bare Python"] for each in rounds]
        budget = f"{1000 * BUDGETS[name]:.0f}" if name in BUDGETS else ""
        print(f"{name:36}{spread(whole):>18}{spread(added):>22}{budget:>10}")


def spread(seconds: Sequence[float]) -> str:
    lowest, median, highest = (1000 * each for each in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{median:.0f} ({lowest:.0f}-{highest:.0f})"


if __name__ == "__main__":
    main()
