"""What was measured, as rows: printed for people, written as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from measuring.turns import Spread

__all__ = ["Row", "machine", "show", "write_json"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure on one loop. Where there is a floor, the budget is one of the ratio between the two."""

    measure: str
    loop: str
    unit: str = ""
    figure: Spread | None = None
    against: str = ""
    floor: Spread | None = None
    ratio: Spread | None = None
    budget: float | None = None
    note: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the budget is; None without one. The median ratio counts, but of absolute figures the highest."""
        if self.budget is None or self.figure is None:
            return None
        return (self.figure.highest if self.ratio is None else self.ratio.median) <= self.budget


def machine() -> dict[str, str | int | None]:
    """What the figures depend on, as far as a program can tell."""
    versions = {name: version(name) for name in ("anyio", "trio", "uvloop")}
    return {"python": sys.version.split()[0], **versions, "cores": os.cpu_count()}


def show(rows: Iterable[Row]) -> None:
    """Print a table for each measure."""
    for (measure, against, unit), group in groupby(rows, key=lambda row: (row.measure, row.against, row.unit)):
        floor = f"{'floor':>8}{'ratio (lowest-highest)':>25}" if against else " " * 33
        print(f"\n{measure}, against {against}" if against else f"\n{measure}")
        print(f"  {'':8}{f'{unit} (lowest-highest)':>29}{floor}{'at most':>9}{'held':>6}")
        for row in group:
            print(f"  {row.loop:8}{_cells(row)}".rstrip())


def _cells(row: Row) -> str:
    if row.figure is None:
        return f"{'-':>29}  {row.note}"
    floor = "" if row.floor is None else _short(row.floor.median)
    times = "" if row.ratio is None else "x"
    budget = "-" if row.budget is None else f"{row.budget:g}{times}"
    held = {None: "-", True: "yes", False: "NO"}[row.held]
    return f"{_spread(row.figure):>29}{floor:>8}{_spread(row.ratio):>25}{budget:>9}{held:>6}  {row.note}"


def _spread(of: Spread | None) -> str:
    return "" if of is None else f"{_short(of.median)} ({_short(of.lowest)}-{_short(of.highest)})"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def write_json(path: Path, rows: Iterable[Row], sizes: Mapping[str, int]) -> None:
    """Write the rows, how much was measured for them, and on what."""
    document = {
        "machine": machine(),
        "sizes": dict(sizes),
        "rows": [{**asdict(row), "held": row.held} for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
