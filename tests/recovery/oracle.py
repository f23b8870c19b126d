"""What has to be true after a process was killed and all has settled, told from the ledger.

The journal is asked only what the ledger cannot know: whether it agrees.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwright.journal.database import Database
from actwright.journal.upkeep import check

if TYPE_CHECKING:
    from tests.recovery.ledger import Line

__all__ = ["History", "violations"]


@dataclass(frozen=True)
class History:
    """What one trial left.

    Attributes:
        ledger: in the order in which it was written.
        killed: the processes that were killed.
        runs, deliveries: rows of the journal, by id.
        findings: what the journal's own check says.
        logs: of understudies and replay processes.
    """

    ledger: list[Line]
    killed: frozenset[int]
    runs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    deliveries: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    findings: tuple[str, ...] = ()
    logs: str = ""

    @classmethod
    def of(cls, ledger: list[Line], killed: frozenset[int], home: Path) -> History:
        """Read what is in that home."""
        logs = "".join(path.read_text() for path in home.glob("nodes/*.log"))
        path = home / "actwright.db"
        if not path.exists() or not any(line["what"] == "committed" for line in ledger):
            return cls(ledger, killed, logs=logs)  # it died before it had a journal
        with closing(Database.open(path, create=False)) as database:
            findings = tuple(str(finding) for finding in check(database))
        with closing(sqlite3.connect(path)) as journal:
            journal.row_factory = sqlite3.Row
            runs, deliveries = (
                {row["id"]: dict(row) for row in journal.execute(f"SELECT * FROM {table}")}
                for table in ("runs", "hook_deliveries")
            )
        return cls(ledger, killed, runs, deliveries, findings, logs)

    def lines(self, what: str) -> Iterator[Line]:
        return (line for line in self.ledger if line["what"] == what)

    def facts(self, what: str = "committed") -> Iterator[tuple[Line, dict[str, Any]]]:
        """What commits said, each with the line of its commit."""
        return ((line, fact) for line in self.lines(what) for fact in line["records"])


def violations(history: History) -> list[str]:
    """Each promise that was broken, in words; nothing when all is well."""
    rules = (
        _bodies_that_began_have_their_hook, _nothing_began_before_its_commit, _runs_are_final, _what_was_due_ran,
        _hooks_run_as_often_as_they_may, _bodies_run_in_their_own_process, _the_journal_agrees_with_itself,
    )  # fmt: skip
    return [said for rule in rules for said in rule(history)]


def _bodies_that_began_have_their_hook(history: History) -> Iterator[str]:
    ran = {(line["run"], line["event"]) for line in history.lines("hook ends")}
    final = {fact["run"]: fact["state"] for _, fact in history.facts() if fact.get("final")}
    in_doubt = {fact["run"] for _, fact in history.facts("committing") if fact.get("final")} - final.keys()
    for line in history.lines("body starts"):
        run, title = line["run"], f"{line['label']}, attempt {line['attempt']}"
        if "on_end" in line["must"] and (run, "on_end") not in ran:
            yield f"the body of {title} began, and its on_end never ran"
        if "on_crashed or final" in line["must"] and (run, "on_crashed") not in ran:
            row = history.runs.get(run)
            state = final.get(run) or (row["state_type"] if row and run in in_doubt else None)
            if state in (None, "CRASHED"):
                yield f"the body of {title} began, and its on_crashed never ran"


def _nothing_began_before_its_commit(history: History) -> Iterator[str]:
    committed = set[tuple[str, int]]()
    for line in history.ledger:
        if line["what"] == "committed":
            for fact in line["records"]:
                if fact.get("state") == "RUNNING":
                    committed.add((fact["run"], fact["attempt"]))
                if fact.get("status") == "RUNNING":
                    committed.add((fact["delivery"], fact["attempt"]))
        elif line["what"] == "body starts" and line["must"] and (line["run"], line["attempt"]) not in committed:
            yield f"the body of {line['label']} began before its Running was committed"
        elif line["what"] == "hook starts" and (line["delivery"], line["attempt"]) not in committed:
            yield f"{_title(line)} began before its start was committed"


def _runs_are_final(history: History) -> Iterator[str]:
    for run in history.runs.values():
        if run["ended_at"] is None:
            yield f"{run['subject_name']} ({run['id']}) is {run['state_name']} for ever"
    for _, fact in history.facts():
        if fact.get("final"):
            now = history.runs.get(fact["run"], {}).get("state_type")
            if now != fact["state"]:
                yield f"{fact['label']} was {fact['state']}, which is final; now it is {now}"


def _what_was_due_ran(history: History) -> Iterator[str]:
    due = {delivery for _, fact in history.facts() for delivery in fact.get("due", ())} | history.deliveries.keys()
    started = {line["delivery"] for line in history.lines("hook starts")}
    ended = {line["delivery"] for line in history.lines("hook ends")}
    for delivery in due:
        row = history.deliveries.get(delivery)
        if row is None:
            yield f"delivery {delivery} was due, and the journal does not know it"
            continue
        title = f"{row['hook_name']} in {row['event']} ({delivery})"
        skipped = row["status"] == "SKIPPED" and row["event"] == "on_running"
        if skipped and delivery in started:
            yield f"{title} was skipped although it had begun"
        elif not skipped and row["status"] != "SUCCEEDED":
            yield f"{title} is {row['status']}: {row['error']}"
        elif not skipped and delivery not in ended:
            yield f"{title} has succeeded, says the journal; it never ran to its end"


def _hooks_run_as_often_as_they_may(history: History) -> Iterator[str]:
    """Once; and once more for each process that was killed between the commits of the start and of the end."""
    began, over = set[tuple[int, str]](), set[tuple[int, str]]()
    for line, fact in history.facts("committing"):
        if fact.get("status") == "RUNNING":
            began.add((line["pid"], fact["delivery"]))
    for line, fact in history.facts():
        if fact.get("status") == "SUCCEEDED":
            over.add((line["pid"], fact["delivery"]))
    starts: dict[str, list[Line]] = defaultdict(list)
    for line in history.lines("hook starts"):
        starts[line["delivery"]].append(line)
    for delivery, lines in starts.items():
        cuts = sum((pid, delivery) in began - over for pid in history.killed)
        if len(lines) > 1 + cuts:
            yield f"{_title(lines[0])} began {len(lines)} times, and was cut {cuts} times"
        attempts = [line["attempt"] for line in lines]
        if attempts != sorted(set(attempts)):
            yield f"{_title(lines[0])} had the attempts {attempts}"


def _bodies_run_in_their_own_process(history: History) -> Iterator[str]:
    bodies = list(history.lines("body starts"))
    own = {line["pid"] for line in bodies}
    if len(own) > 1:
        yield f"bodies ran in the processes {own}"
    programs = {line["pid"] for line in history.lines("point") if line["role"] == "PROGRAM"}
    for line in history.lines("hook starts"):
        if line["replayed"] == (line["pid"] in programs):
            yield f"{_title(line)} says that replayed is {line['replayed']}"


def _the_journal_agrees_with_itself(history: History) -> Iterator[str]:
    yield from history.findings
    if "Traceback" in history.logs:
        yield f"something raised in a replay: {history.logs}"


def _title(line: Line) -> str:
    return f"{line['hook']} in {line['event']} of {line['label']}"
