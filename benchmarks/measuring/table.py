"""What was measured, as rows: printed for people, written as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from measuring.turns import Spread

__all__ = ["Judged", "Row", "document", "machine", "show", "write_json"]

Judged = Literal["ratio", "median", "highest"]
"""What of a row a budget is for: the median ratio to its floor, the median figure, or the highest one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure on one loop, beside its floor where there is one. The budget is the most that there may be of what
    `judged_by` says; with `at_least`, which is for rates, the least."""

    measure: str
    loop: str
    unit: str = ""
    figure: Spread | None = None
    against: str = ""
    floor: Spread | None = None
    ratio: Spread | None = None
    budget: float | None = None
    note: str = ""
    judged_by: Judged = "ratio"
    at_least: bool = False

    def __post_init__(self) -> None:
        if self.budget is not None and self.judged_by == "ratio" and not self.against:
            raise ValueError(f"{self.measure!r} has a budget for its ratio, and no floor. Say what it is judged by.")

    @property
    def held(self) -> bool | None:
        """Whether the budget is; None without one, or without a figure."""
        judged = self.ratio if self.judged_by == "ratio" else self.figure
        if self.budget is None or judged is None:
            return None
        value = judged.highest if self.judged_by == "highest" else judged.median
        return value >= self.budget if self.at_least else value <= self.budget


@cache
def machine() -> dict[str, str | int | float | None]:
    """What the figures depend on, as far as a program can tell, as it was when it was first asked."""
    versions = {name: version(name) for name in ("anyio", "trio", "uvloop", "pydantic", "sqlalchemy")}
    return {
        "commit": _commit(), "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "system": platform.platform(),
        "python": platform.python_version(), **versions, "sqlite": sqlite3.sqlite_version, "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _commit() -> str:
    """Of what is measured, if that is a clone."""
    if shutil.which("git") is None:
        return "unknown"
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip() or "unknown"


def show(rows: Iterable[Row]) -> None:
    """Print a table for each measure."""
    for (measure, against, unit), group in groupby(rows, key=lambda row: (row.measure, row.against, row.unit)):
        floor = f"{'floor':>10}{'ratio (lowest-highest)':>25}" if against else " " * 35
        print(f"\n{measure}, against {against}" if against else f"\n{measure}")
        print(f"  {'':8}{f'{unit} (lowest-highest)':>29}{floor}{'budget':>18}{'held':>6}")
        for row in group:
            print(f"  {row.loop:8}{_cells(row)}".rstrip(), flush=True)


def _cells(row: Row) -> str:
    if row.figure is None:
        return f"{'-':>29}  {row.note}"
    floor = "" if row.floor is None else _short(row.floor.median)
    held = {None: "-", True: "yes", False: "NO"}[row.held]
    return f"{_spread(row.figure):>29}{floor:>10}{_spread(row.ratio):>25}{_budget(row):>18}{held:>6}  {row.note}"


def _budget(row: Row) -> str:
    if row.budget is None:
        return "-"
    what = {"ratio": "x", "median": "", "highest": " at worst"}[row.judged_by]
    return f"{'>=' if row.at_least else '<='} {row.budget:g}{what}"


def _spread(of: Spread | None) -> str:
    return "" if of is None else f"{_short(of.median)} ({_short(of.lowest)}-{_short(of.highest)})"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def document(sections: Mapping[str, Iterable[Row]], **more: Any) -> dict[str, Any]:
    """All rows, each with the name of its section, and on what they were measured."""
    rows = [
        {"section": name, **asdict(row), "held": row.held} for name, measured in sections.items() for row in measured
    ]
    return {"machine": machine(), **more, "rows": rows}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write it for programs to read."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
