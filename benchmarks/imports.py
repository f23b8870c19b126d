"""What `from actwright import flow, task` adds to a bare start of Python: the median of 11 interleaved pairs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 11
BUDGET_SECONDS = 0.2


def seconds_to_run(program: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - began


def main() -> None:
    seconds_to_run("from actwright import flow, task")  # writes the bytecode, which users pay for once
    pairs = [(seconds_to_run("pass"), seconds_to_run("from actwright import flow, task")) for _ in range(ROUNDS)]
    added = statistics.median(imported - bare for bare, imported in pairs)
    print(f"from actwright import flow, task: {added * 1000:.0f} ms (budget {BUDGET_SECONDS * 1000:.0f} ms)")


if __name__ == "__main__":
    main()
