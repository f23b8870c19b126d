"""The benchmarks run, section by section, and tell all that they promise. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOOPS = ["asyncio", "uvloop", "trio"]
ANY = ["any"]
ASYNCIO = ["asyncio"]
DEFAULT = ["default"]

# When what is set beside a peer is over.
AT_ONCE = ""
EITHER = [", until the caller has the results", ", sustained: until all states are committed"]
COMMITTED = ", until all is committed"

# Section -> words that a measure begins with -> its budget. Each has a row on each loop that `loops_of` says.
PROMISED: dict[str, dict[str, float | None]] = {
    "runs": {
        "async task run, awaited": 200,
        "async task run, awaited, history in memory": None,
        "async task run with an int, a str and a model, awaited": None,
        "async task run, submitted, wait for all": 250,
        "async task run, mapped, wait for all": None,
        "sync task run, submitted in an async flow, wait for all": None,
        "sync task run, called in a sync flow": None,
        "flow run, awaited by run_flow, final state committed": 600,
        "subflow run, awaited in a flow": None,
        "async task run, awaited, one sync body computing": 10,
        "async task run, submitted, wait for all, gc.set_threshold(10_000)": None,
        "20 flow runs at once, each": None,
    },
    "hooks": {
        "end of a task's body to the start of its sync hook": 0.5,
        "end of a task's body to the start of its async hook": 0.5,
        "end of a flow's body to the start of its sync hook": 0.5,
        "end of a flow's body to the start of its async hook": 0.5,
        "sync hooks, one for each submitted task run": 3_000,
        "async hooks, one for each submitted task run": 3_000,
        "async task run with a sync hook, awaited": None,
        "async task run with an async hook, awaited": None,
        "flow run with a sync hook, awaited": None,
    },
    "retries": {
        "one of 10 attempts of an async task": None,
        "one of 10 attempts of a sync task": None,
    },
    "cancelling": {
        "one of 20 runs, until Cancelling is committed": 5,
        "a flow with 20 running tasks, until it is final": 2,
        "a flow with 20 running tasks, until it is final, a hook for each": 2,
        "a cancel by a command, from its request until it is committed": 0.2,
        "a cancel by a command, from its start until it is committed": 0.2,
    },
    "journal": {
        "async task run, awaited": 1.6,
        "async task run, awaited, one sync body computing": None,
        "flow run, awaited": None,
        "flow run with a sync hook, awaited": None,
        "async task run, awaited, until its last row is committed": None,
        "journal file, for each of 50 task runs": None,
    },
    "growth": {
        "async task run, one of 10 in a flow": None,
        "async task run, one of 20 in a flow": None,
        "async task run, one of 50 in a flow": None,
        "async task run, one of 50 in a flow, against one of 20 in a flow": 1.3,
        "async task run, awaited, journal with 300 transitions of 100 runs": None,
    },
    "memory": {
        "resident memory of each of 300 sleeping task runs": None,
        "resident memory that stays of each of 300 sleeping task runs when all have ended": None,
        "resident memory after 400 finished task runs, more than after 50": 50,
        "objects of live runs, the flow's own included, after 100 finished task runs": 3,
    },
    "starting": {
        "from actwright import flow, task": None,
        "from actwright import flow, task, what it adds to bare Python": 200,
        "a script with one empty flow": 800,
        "a script with one empty flow, no understudy": None,
        "a script with one empty flow, history in memory": None,
    },
    "recovery": {
        "SIGKILL with one open run, until the first hook starts": 1,
        "SIGKILL with one open run, until all is settled": None,
        "SIGKILL with 20 open runs, until the first hook starts": None,
        "SIGKILL with 20 open runs, until all is settled": None,
    },
    "actors": {
        "tell in a burst, per message": 2,
        "ask, one after the other, against a deque and a Future (trio: a deque and park/reschedule)": 3,
        "ask, one after the other, against ask of pykka": 1,
        "ask, one after the other, against a call of xoscar by message (trio: xoscar on asyncio)": 1,
        "ask, one after the other, against a call of xoscar in the caller's own task, its fastest"
        " (trio: xoscar on asyncio)": 1,
        "spawn, stop, stopped, one after the other": 3,
        "two actors that tell each other, one message at a time": None,
        "the latest timer, due every 10 ms, while an actor handles 5,000 messages": 50,
        "start 20 children of a supervisor": None,
        "stop 20 children of a supervisor in order": 3,
        "resident memory of each of 1,000 idle actors": 8,
    },
    "peers": {
        "from actwright import flow, task, from python to exit": None,
        "a script with one empty flow, from python to exit, fresh home": None,
        **{
            f"{work}{until}": None
            for work, untils in {
                "async task run awaited in a flow, one after another": [AT_ONCE, *EITHER, COMMITTED],
                "async task run awaited in a flow, all at once by asyncio.gather": [*EITHER, COMMITTED],
                "async task run submitted in a flow, all at once, then awaited": [AT_ONCE, *EITHER],
                "async task run mapped in a flow, then awaited": [AT_ONCE, *EITHER],
                "sync task run called in a sync flow, one after another": [AT_ONCE, *EITHER, COMMITTED],
                "sync task run submitted in a sync flow, all at once, then awaited": [AT_ONCE],
                "async task run with an async on_completion hook, one after another": EITHER,
                "async task run that fails once and is tried again at once, one after another": [*EITHER, COMMITTED],
                "empty async flow run, one after another": [*EITHER, COMMITTED],
                "empty async flow run, all at once by asyncio.gather": [*EITHER, COMMITTED],
                "empty async subflow run awaited in a flow, one after another": [*EITHER, COMMITTED],
                "empty async flow run with an async on_completion hook, one after another": EITHER,
            }.items()
            for until in untils
        },
    },
}
# No loop has run yet.
ON_NO_LOOP = [
    measure for each in ("starting", "peers") for measure in PROMISED[each] if measure.startswith("from actwright")
]
# Measures against more than one floor are told apart by it.
BY_FLOOR = ["ask, one after the other", "async task run, one of 50 in a flow"]
# What a few runs leave in memory may be nothing.
MAY_BE_NOUGHT = ("resident memory that stays", "resident memory after")


@dataclass(frozen=True)
class QuickRun:
    """What `python benchmarks SECTION --quick` said."""

    section: str
    printed: str
    document: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.document["rows"]
        return rows

    @property
    def measured(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["figure"] is not None]


def run(*arguments: str, peers_python: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks"), *arguments]
    environment = os.environ | ({"BENCH_PEERS_PYTHON": str(peers_python)} if peers_python else {})
    return subprocess.run(command, capture_output=True, text=True, timeout=55, env=environment)


def bare_python(folder: Path) -> Path:
    """One that has no library at all. Beside peers, even a quick run takes a minute: to start their servers."""
    venv.create(folder / "bare", symlinks=True, with_pip=False)
    return folder / "bare" / "bin" / "python"


def loops_of(section: str, measure: str) -> list[str]:
    if measure in ON_NO_LOOP:
        return ANY
    if section != "peers":
        return LOOPS
    return DEFAULT if measure.startswith("a script") else ASYNCIO


def named(row: dict[str, Any]) -> str:
    measure: str = row["measure"]
    is_ambiguous = measure in BY_FLOOR and f"{measure}, against {row['against']}" in PROMISED[row["section"]]
    return f"{measure}, against {row['against']}" if is_ambiguous else measure


def misses_its_peer(row: dict[str, Any]) -> bool:
    """Whether it has Actwright's figure alone."""
    return row["section"] == "peers" and row["floor"] is None


def each_measure_has_a_row_and_its_budget_on_each_loop(quick: QuickRun) -> None:
    expected = {
        (measure, loop, budget)
        for measure, budget in PROMISED[quick.section].items()
        for loop in loops_of(quick.section, measure)
    }
    rows = [row for row in quick.rows if not row["against"].endswith("a Future of an asyncio loop")]
    # Beside several peers, a measure has a row for each.
    distinct = {(row["measure"], row["against"]) for row in rows} if quick.section == "peers" else expected
    assert len(rows) == len(distinct)
    assert {(named(row), row["loop"], row["budget"]) for row in rows} == expected


def every_row_says_of_which_section_it_is(quick: QuickRun) -> None:
    assert {row["section"] for row in quick.rows} == {quick.section}


def only_what_needs_a_peer_that_is_missing_has_no_figure(quick: QuickRun) -> None:
    for row in quick.rows:
        if row["figure"] is None or misses_its_peer(row):
            assert "pip install -e '.[bench-peers]'" in row["note"]
            assert row["note"] in quick.printed


def every_figure_is_a_median_between_its_lowest_and_its_highest_sample(quick: QuickRun) -> None:
    for row in quick.measured:
        for spread in filter(None, (row["figure"], row["floor"], row["ratio"])):
            assert spread["lowest"] <= spread["median"] <= spread["highest"], row
            assert spread["lowest"] > 0 or row["measure"].startswith(MAY_BE_NOUGHT), row


def a_verdict_is_of_what_the_row_is_judged_by(quick: QuickRun) -> None:
    for row in quick.measured:
        judged = {"ratio": row["ratio"], "median": row["figure"], "highest": row["figure"]}[row["judged_by"]]
        if row["budget"] is None:
            assert row["held"] is None, row
        else:
            value = judged["highest" if row["judged_by"] == "highest" else "median"]
            assert row["held"] == (value >= row["budget"] if row["at_least"] else value <= row["budget"]), row


def whatever_stands_against_a_floor_has_a_ratio(quick: QuickRun) -> None:
    for row in quick.measured:
        stands_against_one = bool(row["against"]) and not misses_its_peer(row)
        assert (row["floor"] is not None) == (row["ratio"] is not None) == stands_against_one, row


def the_table_has_every_row_that_the_file_holds(quick: QuickRun) -> None:
    for row in quick.rows:
        title = f"{row['measure']}, against {row['against']}" if row["against"] else row["measure"]
        table = quick.printed.split(f"\n{title}\n")[1].split("\n\n")[0]
        assert f"\n  {row['loop']}" in table


def the_file_says_on_what_and_how_much_was_measured(quick: QuickRun) -> None:
    machine, sizes = quick.document["machine"], quick.document["sizes"]
    assert {"commit", "at", "system", "python", "anyio", "trio", "uvloop", "sqlite", "cores", "load"} <= set(machine)
    assert quick.document["quick"]
    assert "the figures mean nothing" in quick.printed
    assert sizes[quick.section]["turns"] >= 1


def an_ask_on_trio_stands_beside_the_floor_of_asyncio_too(quick: QuickRun) -> None:
    rows = [row for row in quick.rows if row["against"].endswith("a Future of an asyncio loop")]
    assert [(row["loop"], row["held"]) for row in rows] == ([("trio", None)] if quick.section == "actors" else [])


def only_the_budget_of_a_rate_is_the_least_that_there_may_be(quick: QuickRun) -> None:
    rates = [row["unit"] == "per second" for row in quick.rows]
    assert any(rates) == (quick.section == "hooks")
    assert rates == [row["at_least"] for row in quick.rows]


# One test for all of them, since a section takes seconds to run, and pytest's processes share nothing.
@pytest.mark.parametrize("section", PROMISED)
def test_a_section_runs_and_tells_all_that_it_promises(section: str, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    python = bare_python(tmp_path) if section == "peers" else None
    done = run(section, "--quick", "--json", str(figures), peers_python=python)
    assert done.returncode == 0, done.stderr
    quick = QuickRun(section, done.stdout, json.loads(figures.read_text(encoding="utf-8")))
    each_measure_has_a_row_and_its_budget_on_each_loop(quick)
    every_row_says_of_which_section_it_is(quick)
    only_what_needs_a_peer_that_is_missing_has_no_figure(quick)
    every_figure_is_a_median_between_its_lowest_and_its_highest_sample(quick)
    a_verdict_is_of_what_the_row_is_judged_by(quick)
    whatever_stands_against_a_floor_has_a_ratio(quick)
    the_table_has_every_row_that_the_file_holds(quick)
    the_file_says_on_what_and_how_much_was_measured(quick)
    an_ask_on_trio_stands_beside_the_floor_of_asyncio_too(quick)
    only_the_budget_of_a_rate_is_the_least_that_there_may_be(quick)


def test_sections_that_are_named_are_measured_in_that_order_and_no_other(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = run("retries", "actors", "--quick", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    document = json.loads(figures.read_text(encoding="utf-8"))
    assert list(document["sizes"]) == list(document["seconds"]) == ["retries", "actors"]
    assert list(dict.fromkeys(row["section"] for row in document["rows"])) == ["retries", "actors"]


def test_a_section_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = run("speed")
    assert done.returncode == 2
    assert f"there is no section 'speed'; there are {', '.join(PROMISED)}" in " ".join(done.stderr.split())
