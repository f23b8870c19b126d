"""Measure what Actwright costs: `python benchmarks`, or `python benchmarks runs hooks`. See README.md here.

A section is a module beside this one with a `Sizes`, a `QUICK` one, and `measures(sizes)`, which yields groups of rows.
Each runs in a process of its own, so that none pays for what another one has imported or left behind.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from measuring.processes import in_a_fresh_process
from measuring.sections import measure
from measuring.table import Row, document, machine, write_json

SECTIONS: Final = (
    "runs", "hooks", "retries", "cancelling", "journal", "growth", "memory", "starting", "recovery", "actors", "peers"
)  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what Actwright costs.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"all, or some of {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    return options


def tell_budgets(measured: Mapping[str, Iterable[Row]]) -> None:
    """How many budgets were held, and which were not."""
    judged = [(name, row) for name, rows in measured.items() for row in rows if row.held is not None]
    missed = [(name, row) for name, row in judged if not row.held]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} budgets are held{'; these are not:' if missed else '.'}")
    for name, row in missed:
        against = f", against {row.against}" if row.judged_by == "ratio" else ""
        print(f"  {name}: {row.measure}{against} ({row.loop})")


def main() -> None:
    options = arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs that are started here have theirs, as at a user's
    print("Medians of turns.", *(f"{name} {is_}" for name, is_ in machine().items()), sep="  ")
    if options.quick:
        print("With --quick, the figures mean nothing: they only show that the benchmarks run.")
    measured: dict[str, list[Row]] = {}
    sizes: dict[str, dict[str, Any]] = {}
    seconds: dict[str, float] = {}
    for section in options.sections or SECTIONS:
        print(f"\n== {section} ==", flush=True)
        began = perf_counter()
        measured[section], sizes[section] = in_a_fresh_process(measure, section, options.quick)
        seconds[section] = round(perf_counter() - began, 1)
        print(f"\n({section} took {seconds[section]:.0f} s)", flush=True)
        if options.json is not None:  # after each, so that a section that fails takes no other's figures with it
            write_json(options.json, document(measured, quick=options.quick, sizes=sizes, seconds=seconds))
    if not options.quick:
        tell_budgets(measured)


if __name__ == "__main__":
    main()
