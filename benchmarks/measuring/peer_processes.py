"""A program of `peer_programs` in a process of its own: started once, asked for a round at a time, ended by its id."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Failed", "Program", "Seconds", "running", "versions_in"]

_PROGRAMS: Final = Path(__file__).resolve().parent / "peer_programs"
_START_SECONDS: Final = 180.0
_ROUND_SECONDS: Final = 300.0
_END_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 30.0

# A user's own settings, an API key of a cloud among them, are nobody's business here.
_NOT_INHERITED: Final = ("ACTWRIGHT_", "DASK_", "DBOS_", "PREFECT_", "RAY_")
_QUIET: Final = {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}

_ASK_VERSIONS: Final = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Failed(Exception):
    """A program ended, or did not answer in time.

    Attributes:
        program: its name.
    """

    def __init__(self, program: str, message: str) -> None:
        super().__init__(message)
        self.program = program


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long a round took: until its caller had all results, and until all that is kept of it was kept, too."""

    awaited: float
    settled: float


def versions_in(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that this Python has."""
    asked = [str(python), "-c", _ASK_VERSIONS, *packages]
    found: dict[str, str] = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    return found


class Program:
    """One that runs."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    def wait_until_ready(self) -> None:
        """Raises:
        Failed: it did not start.
        """
        self._answer(_START_SECONDS)

    def round_of(self, work: str, count: int) -> Seconds:
        """Have it make a round, and wait for that.

        Raises:
            Failed: it did not; the message is what it said last.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"work": work, "count": count}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._name, self._last_words()) from None
        return Seconds(**self._answer(_ROUND_SECONDS))

    def _answer(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        # An answer is one line, written at once, and only asked for when the one before has been read.
        if not select.select([self._process.stdout], [], [], patience)[0]:
            raise Failed(self._name, f"no answer within {patience:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(self._name, self._last_words() if self._ended(_END_SECONDS) else "it said no more, and hung")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it ended and said nothing")

    def stop(self) -> None:
        """Let it leave, and stop what it has started; then end what is left of that. Blocks until all is gone."""
        started = _started_by(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it is dead already
        self._ended(_STOP_SECONDS)
        self._process.stdout.close()
        _end(started)

    def _ended(self, patience: float) -> bool:
        """Whether it ends by itself in that time; killed when it does not. Blocks until it has ended."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its own group: it was started in a session of its own
            self._process.wait()
            return False
        return True


@contextmanager
def running(
    python: Path, program: str, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """That program, once it is ready, with a folder of its own as first argument, which is removed afterwards.

    Raises:
        Failed: it did not start.
    """
    # Short, since the names of Ray's sockets begin with it, and may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="peer-"))
    home = folder / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    environment |= _QUIET
    environment |= {"HOME": str(home), "ACTWRIGHT_HOME": str(home)}  # Ray writes to ~/.ray, wherever its folder is
    log = folder / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [str(python), str(_PROGRAMS / f"{program}.py"), str(home), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment | dict(settings or {}),
            cwd=folder,  # no prefect.toml, no dbos-config.yaml
            start_new_session=True,
        )
    running_program = Program(program, process, log)
    try:
        running_program.wait_until_ready()
        yield running_program
    finally:
        running_program.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _started_by(pid: int) -> dict[int, str]:
    """The processes that it and those started, with the time of each one's start. None where there is no /proc.

    It leads a session: what is in there is its own, too, if those have ended which started it.
    """
    children: dict[int, list[int]] = {}
    starts: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name is in parentheses, and may hold anything.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        process, parent, session = int(stat.parent.name), int(fields[1]), int(fields[3])
        starts[process] = fields[19]
        for above in {parent, session} - {process}:
            children.setdefault(above, []).append(process)
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        below = [each for each in children.get(todo.pop(), []) if each not in found]
        found |= {each: starts[each] for each in below}
        todo += below
    return found


def _end(processes: Mapping[int, str]) -> None:
    """Wait a little for them to end by themselves, as daemons do when who started them has; kill those that do not."""
    deadline = time.monotonic() + 10
    left = {pid for pid, start in processes.items() if _start_of(pid) == start}
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid for pid in left if _start_of(pid) == processes[pid]}
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was about to end


def _start_of(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
