"""One trial: a program is started, killed, and nobody does anything more. Then: is everything as it has to be?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.recovery import ledger
from tests.recovery.oracle import History, violations
from tests.recovery.points import BREAK, KILL

if TYPE_CHECKING:
    from tests.recovery.ledger import Line

__all__ = ["SETTLE_SECONDS", "Trial", "Verdict", "within"]

SETTLE_SECONDS: Final = 5.0
"""Within which all has to be settled after a kill."""

_PATIENCE_SECONDS: Final = 30.0
"""After which what has not settled never will."""

_ROOT: Final = Path(__file__).parents[2]
_IMPORT_FROM: Final = (_ROOT / "tests" / "recovery" / "inside", _ROOT, _ROOT / "actors", _ROOT / "runtime")


@dataclass(frozen=True)
class Verdict:
    """How a trial went.

    Attributes:
        violations: what must not be, in words.
        seconds: from the kill until all was settled; None when it was not.
        first_hook: from the kill until a replayed hook started; None when none had to.
    """

    violations: list[str]
    seconds: float | None = None
    first_hook: float | None = None

    @property
    def is_late(self) -> bool:
        return self.seconds is not None and self.seconds > SETTLE_SECONDS


@dataclass
class Trial:
    """A program in a folder of its own.

    Attributes:
        killed: the processes that were killed.
        killed_at: when the first was.
    """

    folder: Path
    backend: str = "asyncio"
    killed: set[int] = field(default_factory=set[int])
    killed_at: float | None = None

    def start(
        self, at: str | None = None, replay_at: str | None = None, breaks: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the program; `at` and `replay_at`: where it, and its first replay process that gets there, die."""
        more = {f"{KILL}PROGRAM": at, f"{KILL}REPLAY": replay_at, BREAK: breaks}
        return self.run("-m", "tests.recovery.program", self.backend, **more)

    def run(self, *arguments: str, **more: str | None) -> subprocess.Popen[bytes]:
        """Start Python with this folder's home, and points in it."""
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, **self._environment(), **{name: value for name, value in more.items() if value}},
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {
            "ACTWRIGHT_HOME": str(self.home), "ACTWRIGHT_UNDERSTUDY": "true", ledger.FOLDER: str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "",  # a replay process that has to compile all it imports takes twice as long
            "PYTHONPATH": os.pathsep.join(map(str, _IMPORT_FROM)),
        }  # fmt: skip

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def ledger(self) -> list[Line]:
        return ledger.read(self.folder)

    def said(self) -> str:
        """What the program printed."""
        return (self.folder / "output").read_text()

    def kill(self, pid: int) -> None:
        """Now."""
        self.killed_at = self.killed_at or time.monotonic()
        self.killed.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def locks(self) -> list[Path]:
        return list(self.home.glob("nodes/*.lock"))

    def processes(self) -> list[int]:
        """Those that are at work on this home."""
        return [pid for pid, arguments in _all_processes() if str(self.folder) in arguments]

    def has_begun(self) -> bool:
        """Whether anything was committed: before that nobody can know of it, and nothing has begun."""
        return any(line["what"] == "committed" and line["records"] for line in self.ledger)

    def understudies(self) -> list[int]:
        """Those that wait for this home's program."""
        return [pid for pid, arguments in _all_processes() if f"lock={self.home}" in arguments]

    def judge_unharmed(self) -> list[str]:
        """What must not be after a program that was not killed."""
        left = [] if within(SETTLE_SECONDS, lambda: not self.processes()) else ["processes are left"]
        return [*left, *violations(History.of(self.ledger, frozenset(), self.home))]

    def judge(self) -> Verdict:
        """Wait until all is settled, and look at what there is."""
        is_settled = not self.has_begun() or within(_PATIENCE_SECONDS, lambda: not self.locks())
        self._read_marks()
        seconds = None if self.killed_at is None or not is_settled else time.monotonic() - self.killed_at
        found = [] if is_settled else ["it has not settled: a lock is there"]
        if is_settled and not within(2.0, lambda: not self.processes()):
            found.append(f"processes are left: {self.processes()}")
        history = History.of(self.ledger, frozenset(self.killed), self.home)
        return Verdict([*found, *violations(history)], seconds, self._first_hook(history))

    def _read_marks(self) -> None:
        """Of the processes that killed themselves. The time counts from the last of them."""
        marks = [path.read_text().split(maxsplit=2) for path in self.folder.glob("killed.*")]
        self.killed |= {int(pid) for _, pid, _ in marks}
        times = [float(at) for at, _, _ in marks] + ([] if self.killed_at is None else [self.killed_at])
        self.killed_at = max(times, default=None)

    def _first_hook(self, history: History) -> float | None:
        starts = [line["at"] for line in history.lines("hook starts") if line["replayed"]]
        return min(starts) - self.killed_at if starts and self.killed_at is not None else None


def within(seconds: float, happens: Callable[[], object]) -> bool:
    """Whether it happens within that time; for what other processes do, which tell nobody of it."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _all_processes() -> list[tuple[int, str]]:
    """Of those that have not ended, the id and the arguments. It is asked often, and to start `ps` takes seven times
    as long as to look into `/proc`."""
    if sys.platform == "linux":
        found = ((int(each.name), _arguments(each)) for each in Path("/proc").iterdir() if each.name.isdigit())
        return [(pid, arguments) for pid, arguments in found if arguments]
    listing = subprocess.run(["ps", "-axww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in listing.stdout.splitlines()]
    return [(int(pid), arguments) for pid, state, arguments in rows if not state.startswith("Z")]


def _arguments(process: Path) -> str:
    """Empty for one that has ended, whether it was waited for or not."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
