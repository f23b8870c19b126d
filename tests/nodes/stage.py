"""A node to be killed: its journal, a program with an understudy, and a replay process that only keeps a ledger."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import URL, Column, Table, create_engine
from tests.engine.scripts import Program, started

from actwright.journal.schema import hook_deliveries, metadata, nodes, runs
from actwright.nodes.companion import Recovery

__all__ = ["DEADLINE", "Stage", "is_asleep", "stage_in", "times_slept", "wait_until"]

DEADLINE = 20.0
"""Seconds within which what is waited for has to come; a busy machine needs some of them."""

NODE = "node-1"

REPLAY = """
import json, os, signal, sqlite3, sys, time
folder, watcher = sys.argv[1], int(sys.argv[-1].removeprefix("--watcher-fd="))

def note(what, **more):
    line = json.dumps({"what": what, "pid": os.getpid(), **more})
    with open(f"{folder}/ledger", "a") as ledger:
        ledger.write(f"{line}\\n")

def change(statement):
    journal = sqlite3.connect(f"{folder}/actwright.db", timeout=30, isolation_level=None)
    journal.execute(statement)
    journal.close()

def settle():
    change("UPDATE runs SET ended_at = 'now'")
    change("UPDATE hook_deliveries SET status = 'SUCCEEDED'")

played = open(f"{folder}/ledger").read().count('"started"') if os.path.exists(f"{folder}/ledger") else 0
note(
    "started", cwd=os.getcwd(), executable=sys.executable, parent=os.getppid(),
    plain=all(signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD))
    and not signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    descriptors=sorted(int(n) for n in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{n}")), watcher=watcher,
)
plan = open(f"{folder}/plan").read().split() if os.path.exists(f"{folder}/plan") else []
for act in (plan[played] if played < len(plan) else "settle,0").split(","):
    if act == "settle":
        settle()
    elif act == "progress":
        change("UPDATE hook_deliveries SET cuts = cuts + 1")
    elif act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "go":
        while not os.path.exists(f"{folder}/go"):
            time.sleep(0.005)
    elif act == "watcher":
        os.read(watcher, 1)
        note("watcher gone")
    else:
        note("ended")
        sys.exit(int(act))
"""

PREAMBLE = """
import os, pathlib, pickle, signal, sys, time
from actwright.nodes.companion import Companion
from actwright.nodes.locks import hold
recovery = pickle.loads(pathlib.Path(sys.argv[0]).with_name("recovery").read_bytes())

def has_understudy():
    global lock, companion
    lock, companion = hold(recovery.lock_path), Companion(recovery)
    companion.start()

def say(line):
    print(line, flush=True)
"""

BEGIN = """
if __name__ == "__main__":
    has_understudy()
    say("ready")
"""


class Stage:
    """All of it in one folder. One run of the node is open, unless `settled`."""

    def __init__(self, folder: Path, *, settled: bool = False) -> None:
        self.folder = folder
        (folder / "replay.py").write_text(REPLAY)
        command = (sys.executable, "-I", "-S", str(folder / "replay.py"), str(folder))
        self.recovery = Recovery(
            node_id=NODE, lock_path=folder / "node.lock", database=folder / "actwright.db",
            log_path=folder / "node.log", replay_command=command, cwd=str(folder),
        )  # fmt: skip
        self._make_journal(settled)

    def _make_journal(self, settled: bool) -> None:
        with closing(sqlite3.connect(self.recovery.database)) as journal:
            journal.execute("PRAGMA journal_mode = WAL")
        engine = create_engine(URL.create("sqlite", database=str(self.recovery.database)))
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(nodes.insert().values(_row(nodes, id=NODE)))
            connection.execute(runs.insert().values(_row(runs, id="run", ended_at="now" if settled else None)))
            connection.execute(
                hook_deliveries.insert().values(
                    _row(hook_deliveries, id="due", status="SUCCEEDED" if settled else "RUNNING")
                )
            )
        engine.dispose()

    def plan(self, *processes: str) -> None:
        """What each replay process does, in turn: acts with commas between them. Beyond the plan each one settles."""
        (self.folder / "plan").write_text(" ".join(processes))

    def program(self, then: str = "", **changes: object) -> AbstractContextManager[Program]:
        """A program that has an understudy, says "ready", and goes on with `then`; its functions are at hand there."""
        recovery = replace(self.recovery, **changes)  # type: ignore[arg-type]
        (self.folder / "recovery").write_bytes(pickle.dumps(recovery))
        indented = "".join(f"    {line}\n" for line in (then or "sys.stdin.read()").splitlines())
        return started(self.folder, PREAMBLE + BEGIN + indented)

    def ledger(self) -> list[dict[str, object]]:
        """What the replay processes wrote down."""
        path = self.folder / "ledger"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def replays(self) -> int:
        """How many replay processes began."""
        return sum(line["what"] == "started" for line in self.ledger())

    def log(self) -> str:
        return self.recovery.log_path.read_text()

    def understudies(self) -> list[int]:
        """The processes that have this stage's lock in their arguments."""
        return [pid for pid, arguments in _processes() if f"lock={self.recovery.lock_path}" in arguments]

    def commands(self) -> list[str]:
        """Those of all processes at work here."""
        lines = [" ".join(arguments) for _, arguments in _processes()]
        return [line for line in lines if str(self.folder) in line]

    def understudy(self) -> int:
        """The one that waits."""
        (pid,) = self.understudies()
        return pid

    def is_quiet(self) -> bool:
        """Whether nobody is at work on this stage."""
        return not self.commands()

    def is_over(self) -> bool:
        """Whether the node is recovered, or was never in need of it: nothing is left of it."""
        gone = not self.recovery.lock_path.exists() and not self.recovery.log_path.exists()
        return gone and self.is_quiet()

    def recover(self, *options: str, **values: float) -> subprocess.CompletedProcess[str]:
        """`--recover` in the foreground."""
        command = self.recovery.understudy_command("--recover", *options, **values)
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)

    def clear(self) -> None:
        """End whoever is still at work here."""
        for pid, arguments in _processes():
            if str(self.folder) in " ".join(arguments):
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
        wait_until(self.is_quiet)


@contextmanager
def stage_in(folder: Path, *, settled: bool = False) -> Generator[Stage]:
    stage = Stage(folder, settled=settled)
    yield stage
    stage.clear()


def wait_until(happens: Callable[[], object]) -> None:
    """For what other processes do, which tell nobody of it but the file system."""
    deadline = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < deadline, f"it has not happened within {DEADLINE:.0f} s"
        time.sleep(0.005)


def times_slept(pid: int) -> int:
    """How often that process has waited for something since it began."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def is_asleep(pid: int) -> bool:
    """Whether that process waits for something, at this moment."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def _row(table: Table, **given: object) -> dict[str, object]:
    """A row of which only what is given matters."""

    def filler(column: Column[object]) -> object:
        kind = column.type.python_type
        return NODE if column.name == "node_id" else kind()

    return {column.name: filler(column) for column in table.columns if not column.nullable} | given


def _processes() -> list[tuple[int, list[str]]]:
    listing = subprocess.run(["ps", "-axww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [(int(pid), arguments) for pid, state, *arguments in rows if not state.startswith("Z")]
