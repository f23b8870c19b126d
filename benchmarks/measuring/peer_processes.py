"""Programs of `peer_programs`: started once and asked for a round at a time, or started for each round.

All that was started is ended, by its id.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from time import perf_counter
from typing import Any, Final

from measuring.process_trees import end, started_by

__all__ = ["Failed", "Program", "Seconds", "Starts", "running", "versions_in"]

_PROGRAMS: Final = Path(__file__).resolve().parent / "peer_programs"
_START_SECONDS: Final = 180.0
_ROUND_SECONDS: Final = 300.0
_END_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 30.0
_EXIT_SECONDS: Final = 120.0

# A user's own settings, an API key of a cloud among them, are nobody's business here.
_NOT_INHERITED: Final = ("ACTWRIGHT_", "DASK_", "DBOS_", "PREFECT_", "RAY_", "PYTHONDONTWRITEBYTECODE")
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
            raise Failed(self._name, _last_words(self._log)) from None
        return Seconds(**self._answer(_ROUND_SECONDS))

    def _answer(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        # An answer is one line, written at once, and only asked for when the one before has been read.
        if not select.select([self._process.stdout], [], [], patience)[0]:
            raise Failed(self._name, f"no answer within {patience:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(
                self._name, _last_words(self._log) if self._ended(_END_SECONDS) else "it said no more, and hung"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Let it leave, and stop what it has started; then end what is left of that. Blocks until all is gone."""
        started = started_by(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it is dead already
        self._ended(_STOP_SECONDS)
        self._process.stdout.close()
        end(started)

    def _ended(self, patience: float) -> bool:
        """Whether it ends by itself in that time; killed when it does not. Blocks until it has ended."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            _kill(self._process.pid)
            self._process.wait()
            return False
        return True


@dataclass(frozen=True, slots=True)
class Starts:
    """A Python that is started for each round, and ends."""

    program: str
    """Whose it is."""
    python: Path
    importing: str
    """Code that does no more than that."""
    script: str
    """A program of `peer_programs`."""
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def round_of(self, work: str, count: int) -> Seconds:
        """From its start to its exit, so many times one after another, each with a home that nobody has used. Blocks.

        Raises:
            Failed: it ended with an error; or not in time, and was killed.
        """
        said = ["-c", self.importing] if work == "import" else [str(_PROGRAMS / f"{self.script}.py")]
        took = sum(self._seconds_to_exit(said) for _ in range(count))
        return Seconds(took, took)

    def _seconds_to_exit(self, said: Sequence[str]) -> float:
        with _a_folder() as folder:
            began = perf_counter()
            command = [str(self.python), *said, str(folder / "home"), *self.arguments]
            process = _start(command, folder, self.settings, subprocess.DEVNULL)
            # A wait with a timeout looks every 50 ms, one without it returns at once.
            limit = Timer(_EXIT_SECONDS, _kill, [process.pid])
            limit.start()
            try:
                status = process.wait()
                took = perf_counter() - began
            except BaseException:
                _kill(process.pid)  # we are told to leave
                raise
            finally:
                limit.cancel()
                limit.join()
                end(started_by(process.pid))
            if status != 0:
                late = f"it did not end within {_EXIT_SECONDS:.0f} s"
                raise Failed(self.program, late if took >= _EXIT_SECONDS else _last_words(folder / "stderr"))
            return took


@contextmanager
def running(
    python: Path, program: str, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """That program, once it is ready, with a folder of its own as first argument, which is removed afterwards.

    Raises:
        Failed: it did not start.
    """
    with _a_folder() as folder:
        command = [str(python), str(_PROGRAMS / f"{program}.py"), str(folder / "home"), *arguments]
        running_program = Program(program, _start(command, folder, settings or {}, subprocess.PIPE), folder / "stderr")
        try:
            running_program.wait_until_ready()
            yield running_program
        finally:
            running_program.stop()


@contextmanager
def _a_folder() -> Iterator[Path]:
    """A new folder with a home in it, which is removed afterwards."""
    # Short, since the names of Ray's sockets begin with it, and may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="peer-"))
    try:
        (folder / "home").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: Sequence[str], folder: Path, settings: Mapping[str, str], talk: int) -> subprocess.Popen[bytes]:
    """Start it at home in that folder, in a session of its own. `talk` is what its stdin and stdout are."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    home = str(folder / "home")
    environment |= {**_QUIET, "HOME": home, "ACTWRIGHT_HOME": home}  # Ray writes to ~/.ray, wherever its folder is
    with (folder / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            command,
            stdin=talk,
            stdout=talk,
            stderr=stderr,
            env=environment | dict(settings),
            cwd=folder,  # no prefect.toml, no dbos-config.yaml
            start_new_session=True,
        )


def _kill(leader: int) -> None:
    """End a process that leads a session, and all that it has started. Blocks until that is gone."""
    started = started_by(leader)  # once it is dead, what has left its session is nobody's child
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all have just ended
    end(started)


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it ended and said nothing")
