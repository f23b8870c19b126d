"""A service under siege: others submit all the time, it is killed at random and started again, and runs are cancelled.

`python -m tests.serving.soak --minutes 10` prints its figures, and ends with 1 if something was lost or left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from tests.serving import soak_flows

from actwright.client.requests import ask
from actwright.client.steps import run_steps
from actwright.client.submitting import submit
from actwright.exceptions import RunError
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.models.commands import CommandKind
from actwright.settings import get_current_settings

__all__ = ["Soak", "main"]

ROOT: Final = Path(__file__).parents[2]
_SETTLE_SECONDS: Final = 120.0
_EARLY_SECONDS: Final = 5.0


@dataclass
class Soak:
    """One siege.

    Attributes:
        seconds: for how long others submit.
        per_second: how many flows they submit.
        kill_every: about how many seconds the service lives.
    """

    seconds: float
    per_second: float = 20.0
    kill_every: float = 15.0
    submitted: list[UUID] = field(default_factory=list[UUID])
    kills: int = 0
    cancels: int = 0
    resident: list[int] = field(default_factory=list[int])
    service: subprocess.Popen[bytes] | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def run(self, folder: Path) -> list[str]:
        """All of it; what is wrong in the end."""
        os.environ |= {"ACTWRIGHT_HOME": str(folder / "home"), "TOLD": str(folder / "told")}
        get_current_settings.cache_clear()
        database = Database.open(get_current_settings().database)
        with self._kept_up(folder):
            threads = [threading.Thread(target=each, args=[database]) for each in (self._submit, self._cancel)]
            for thread in threads:
                thread.start()
            self._kill_now_and_then()
            self.is_over.set()
            for thread in threads:
                thread.join()
            settled = self._all_ended(database)
        wrong = [] if settled else ["runs are open"]
        wrong += self._wrong(database, folder)
        database.close()
        return wrong

    @contextmanager
    def _kept_up(self, folder: Path) -> Generator[None]:
        """As a process manager does: whenever the service has ended, it is started again."""
        stop = threading.Event()

        def keep_up() -> None:
            with (folder / "log").open("ab") as log:
                while not stop.is_set():
                    self.service = subprocess.Popen(
                        [sys.executable, "-m", "actwright", "serve", "tests.serving.soak_flows:work", "--limit", "40"],
                        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    )  # fmt: skip
                    self.service.wait()

        thread = threading.Thread(target=keep_up)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            if self.service is not None:
                self.service.terminate()
            thread.join()

    def _submit(self, database: Database) -> None:
        began, number = time.monotonic(), 0
        while not self.is_over.is_set():
            parameters = {"number": number, "seconds": self.chance.random() * 0.4}
            self.submitted.append(submit(database, soak_flows.work, parameters, {}).id)
            number += 1
            self.is_over.wait(max(began + number / self.per_second - time.monotonic(), 0))

    def _cancel(self, database: Database) -> None:
        while not self.is_over.wait(1.0):
            for run_id in self.chance.sample(self.submitted[-40:], min(2, len(self.submitted))):
                with suppress(RunError):  # it has ended, say; a request that has no answer yet is kept
                    run_steps(ask(database, run_id, CommandKind.CANCEL, {"reason": "by chance"}, 0.0))
                self.cancels += 1

    def _kill_now_and_then(self) -> None:
        ends = time.monotonic() + self.seconds
        while (left := ends - time.monotonic()) > 0:
            life = self.kill_every * (0.5 + self.chance.random())
            time.sleep(min(_EARLY_SECONDS, left))
            self._note_memory()
            time.sleep(max(min(life, left) - _EARLY_SECONDS, 0))
            if self.service is not None and time.monotonic() < ends:
                self._note_memory()
                self.service.send_signal(signal.SIGKILL)
                self.kills += 1

    def _note_memory(self) -> None:
        if self.service is not None:
            with suppress(OSError, ValueError):
                pages = Path(f"/proc/{self.service.pid}/statm").read_text().split()[1]
                self.resident.append(int(pages) * os.sysconf("SC_PAGE_SIZE") // 1_000_000)

    @staticmethod
    def _all_ended(database: Database) -> bool:
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            open_runs, due = _rows(
                database,
                "SELECT (SELECT count(*) FROM runs WHERE ended_at IS NULL), "
                "(SELECT count(*) FROM hook_deliveries WHERE status IN ('DUE', 'RUNNING'))",
            )[0]
            if not (open_runs or due):
                return True
            time.sleep(0.2)
        return False

    def _wrong(self, database: Database, folder: Path) -> list[str]:
        wrong = [str(each) for each in check(database)]
        finals = Counter(
            row[0]
            for row in _rows(
                database,
                "SELECT run_id FROM transitions WHERE type IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')",
            )
        )
        wrong += [f"{each} has {finals[str(each)]} final states" for each in self.submitted if finals[str(each)] != 1]
        for status, count in _rows(database, "SELECT status, count(*) FROM hook_deliveries GROUP BY status"):
            if status not in ("SUCCEEDED", "SKIPPED"):
                wrong.append(f"{count} hooks are {status}")
        states = {row[0] for row in _rows(database, "SELECT id FROM transitions")}
        done = {row[0] for row in _rows(database, "SELECT id FROM hook_deliveries WHERE status = 'SUCCEEDED'")}
        told = [line.split() for line in (folder / "told").read_text().splitlines()]
        wrong += [f"a hook ran for {state}, which is not in history" for _, state in told if state not in states]
        wrong += [f"hook {each} is done, and never ran" for each in done - {delivery for delivery, _ in told}]
        if slots := _rows(database, "SELECT count(*) FROM slots")[0][0]:
            wrong.append(f"{slots} slots are held")
        return wrong

    def figures(self, folder: Path, database_path: Path) -> str:
        told = [line.split()[0] for line in (folder / "told").read_text().splitlines()]
        again = sum(count - 1 for count in Counter(told).values())
        did = f"{len(self.submitted)} submissions, {self.kills} kills, {self.cancels} cancels"
        ran = f"{len(set(told))} hooks ran, {again} of them once more"
        size = f"journal {database_path.stat().st_size // 1_000_000} MB"
        return f"{did}; {ran}; MB resident, 5 s after each start and before each kill: {self.resident}; {size}"


def _rows(database: Database, query: str) -> list[Any]:
    with database.reading() as connection:
        return list(connection.exec_driver_sql(query).all())


def main() -> int:
    """The exit code: 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--per-second", type=float, default=20.0)
    parser.add_argument("--kill-every", type=float, default=15.0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(given.minutes * 60, given.per_second, given.kill_every)
    wrong = soak.run(folder)
    print(soak.figures(folder, get_current_settings().database))
    for each in wrong[:50]:
        print(f"WRONG: {each}")
    if not wrong:
        shutil.rmtree(folder)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
