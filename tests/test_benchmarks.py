"""The benchmark of the actors runs and tells all that it promises. How fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "benchmarks" / "actors.py"
LOOPS = ["asyncio", "uvloop", "trio"]

# Words of each measure that has a budget -> that budget.
BUDGETS = {
    "tell in a burst": 2.0,
    "spawn, stop, stopped": 3.0,
    "the latest timer": 50.0,
    "stop 20 children": 3.0,
    "resident memory": 8.0,
}
# Words of what an ask is compared with -> the highest ratio there may be.
ASK_BUDGETS = {"a deque and a Future (": 3.0, "pykka": 1.0, "xoscar by message": 1.0, "xoscar in the caller's": 1.0}
WITHOUT_BUDGET = ["two actors that tell each other", "start 20 children"]


@dataclass(frozen=True)
class QuickRun:
    printed: str
    document: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.document["rows"]
        return rows

    @property
    def measured(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["figure"] is not None]


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> QuickRun:
    file = tmp_path_factory.mktemp("benchmark") / "figures.json"
    command = [sys.executable, "-W", "error", str(PROGRAM), "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    return QuickRun(done.stdout, json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("words", "budget"), BUDGETS.items())
def test_each_measure_has_a_row_and_its_budget_on_each_loop(quick_run: QuickRun, words: str, budget: float) -> None:
    rows = [row for row in quick_run.rows if row["measure"].startswith(words)]
    assert [(row["loop"], row["budget"]) for row in rows] == [(loop, budget) for loop in LOOPS]


@pytest.mark.parametrize(("words", "budget"), ASK_BUDGETS.items())
def test_an_ask_stands_beside_the_bare_loop_and_both_peers(quick_run: QuickRun, words: str, budget: float) -> None:
    rows = [row for row in quick_run.rows if row["measure"].startswith("ask") and words in row["against"]]
    assert [(row["loop"], row["budget"]) for row in rows] == [(loop, budget) for loop in LOOPS]


@pytest.mark.parametrize("words", WITHOUT_BUDGET)
def test_what_has_no_budget_is_shown_on_each_loop_without_a_verdict(quick_run: QuickRun, words: str) -> None:
    rows = [row for row in quick_run.rows if row["measure"].startswith(words)]
    assert [(row["loop"], row["budget"], row["held"]) for row in rows] == [(loop, None, None) for loop in LOOPS]


def test_an_ask_on_trio_stands_beside_the_floor_of_asyncio_too(quick_run: QuickRun) -> None:
    rows = [row for row in quick_run.rows if row["against"].endswith("a Future of an asyncio loop")]
    assert [(row["loop"], row["held"]) for row in rows] == [("trio", None)]


def test_a_row_without_a_figure_says_how_to_install_the_peer_that_is_missing(quick_run: QuickRun) -> None:
    for row in quick_run.rows:
        if row["figure"] is None:
            assert "pip install -e '.[bench-peers]'" in row["note"]
            assert row["note"] in quick_run.printed


def test_every_figure_is_a_median_between_its_lowest_and_its_highest_sample(quick_run: QuickRun) -> None:
    spreads = [row[part] for row in quick_run.measured for part in ("figure", "floor", "ratio") if row[part]]
    assert len(spreads) > len(quick_run.measured)
    assert [spread for spread in spreads if not 0 < spread["lowest"] <= spread["median"] <= spread["highest"]] == []


def test_a_verdict_is_of_the_median_ratio_or_else_of_the_highest_figure(quick_run: QuickRun) -> None:
    judged = [row for row in quick_run.measured if row["budget"] is not None]
    for row in judged:
        value = row["ratio"]["median"] if row["ratio"] else row["figure"]["highest"]
        assert row["held"] == (value <= row["budget"]), row


def test_whatever_stands_against_a_floor_has_a_ratio(quick_run: QuickRun) -> None:
    for row in quick_run.measured:
        assert (row["floor"] is not None) == (row["ratio"] is not None) == bool(row["against"]), row


def test_the_table_names_every_measure_that_the_file_holds(quick_run: QuickRun) -> None:
    assert [row["measure"] for row in quick_run.rows if row["measure"] not in quick_run.printed] == []


def test_the_file_says_on_what_and_how_much_was_measured(quick_run: QuickRun) -> None:
    assert set(quick_run.document["machine"]) == {"python", "anyio", "trio", "uvloop", "cores"}
    assert quick_run.document["sizes"]["turns"] >= 1
