"""Understudies as seen by who starts them: the one that a living process keeps, and one for a node that is dead."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actwright.nodes import understudy
from actwright.nodes.understudy import EXIT_HELD, EXIT_SETTLED, above_streams

if TYPE_CHECKING:
    from typing import Self

    from actwright.nodes.program import Program

__all__ = ["Companion", "Recovery", "recover_dead", "recover_now"]

_logger = logging.getLogger("actwright.nodes")

_LAUNCH_SECONDS = 30.0
"""An understudy that has not said a word after that will not; on an idle machine it takes 20 ms."""

_STABLE_SECONDS = 5.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 10.0
"""One that dies sooner than _STABLE_SECONDS is replaced after a pause, doubled each time."""


@dataclass(frozen=True)
class Recovery:
    """What it takes to recover a node, once it is dead.

    Attributes:
        node_id, lock_path, database: the node, its lock file, the journal it is in.
        log_path: what the understudy and replay processes say is appended to this file.
        replay_command: starts a replay process; see `Program.replay_command`.
        cwd: where that process starts, if the folder exists.
        fallback: the interpreter to use if that of the replay command is gone.
    """

    node_id: str
    lock_path: Path
    database: Path
    log_path: Path
    replay_command: tuple[str, ...]
    cwd: str = "/"
    fallback: str | None = None

    @classmethod
    def of(cls, program: Program, node_id: str, database: Path, folder: Path) -> Self:
        """For a node of this program, whose lock and log are in that folder."""
        return cls(
            node_id=node_id,
            lock_path=folder / f"{node_id}.lock",
            database=database,
            log_path=folder / f"{node_id}.log",
            replay_command=tuple(program.replay_command(database, node_id)),
            cwd=program.cwd,
            fallback=sys.executable or None,
        )

    def understudy_command(self, *options: str, **more: float | None) -> list[str]:
        """What starts an understudy for it."""
        paths = {"lock": self.lock_path, "database": self.database, "log": self.log_path}
        values: dict[str, object] = {"node": self.node_id, **{name: path.absolute() for name, path in paths.items()}}
        values |= {"cwd": self.cwd, "fallback": self.fallback, **more}
        given = [f"{name}={value}" for name, value in values.items() if value is not None]
        return [sys.executable, "-I", "-S", understudy.__file__, *options, *given, "--", *self.replay_command]


class Companion:
    """The understudy of this process's node, and a thread that starts another when it dies.

    Start it while the node's lock is held. In a forked child it is closed: the understudy is the parent's.
    """

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery
        self._owner = os.getpid()
        self._mutex = threading.Lock()
        self._closing = threading.Event()
        self._line: _Line | None = None
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the understudy; None while there is none."""
        line = self._line
        return line.pid if line is not None and self._owner == os.getpid() else None

    def start(self) -> None:
        """Have an understudy that waits when this returns, about 20 ms later. Again: nothing happens. Thread-safe.

        Raises:
            OSError: it cannot be started; says why, and what to do.
            RuntimeError: it was closed.
        """
        if self._owner != os.getpid():
            raise RuntimeError("This companion is the parent's of a forked process. Make a new one for this process.")
        with self._mutex:
            if self._closing.is_set():
                raise RuntimeError("This companion is closed. Make a new one.")
            if self._thread is None:
                self._line = _Line(self._recovery)
                name = f"actwright-companion-{self._recovery.node_id}"
                self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop watching, and leave the understudy to itself.

        Release the node's lock first. The understudy sees that it is free, does what there is to do, if anything, and
        ends. Again, or in a forked child: nothing happens.
        """
        if self._owner != os.getpid():
            return
        with self._mutex:
            self._closing.set()
            if self._line is not None:
                self._line.hang_up()
        if self._thread is not None:
            self._thread.join()
        if self._line is not None:
            self._line.close()
            self._line = None

    def _watch(self) -> None:
        pause = 0.0
        while self._line is not None:
            lived = self._line.wait_for_its_death()
            if self._closing.is_set():
                return
            _logger.warning(
                "The understudy of node %s (process %s) died, while the process that it stands by for lives. "
                "Another one is started.", self._recovery.node_id, self._line.pid,
            )  # fmt: skip
            pause = 0.0 if lived > _STABLE_SECONDS else _longer(pause)
            while not (self._closing.wait(pause) or self._start_another()):
                pause = _longer(pause)

    def _start_another(self) -> bool:
        try:
            line = _Line(self._recovery)
        except OSError:
            _logger.exception(
                "Hooks that are due if this process is killed wait for the next Runtime, until that works."
            )
            return False
        with self._mutex:
            if self._line is not None:
                self._line.close()
            self._line = line
            if self._closing.is_set():
                line.hang_up()
        return True


class _Line:
    """An understudy that waits, and our end of the socket to it. The end of this process closes it, and so tells it."""

    def __init__(self, recovery: Recovery) -> None:
        ours, theirs = (_above_streams(end) for end in socket.socketpair())
        _ends.update((ours, theirs))
        self._socket = ours
        try:
            with _own_pidfd() as pidfd:
                inherited = [end for end in (theirs.fileno(), pidfd) if end is not None]
                command = recovery.understudy_command(pid=os.getpid(), pipe=theirs.fileno(), pidfd=pidfd)
                process = _launch(recovery, command, inherited)
            _close(theirs)
            self.pid = _announced(ours)
            _ended(recovery, process, {EXIT_SETTLED})
            if self.pid is None:
                raise _unusable(recovery, "it ended without a word")
        except BaseException:
            _close(theirs)
            _close(ours)
            raise
        ours.settimeout(None)
        self._began = time.monotonic()

    def wait_for_its_death(self) -> float:
        """Until it has died, or `hang_up` was called; returns for how many seconds it lived."""
        with suppress(ConnectionResetError):  # an end as good as any
            self._socket.recv(1)
        return time.monotonic() - self._began

    def hang_up(self) -> None:
        with suppress(OSError):  # it is dead; some systems then have nothing to shut down
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        _close(self._socket)


def recover_dead(recovery: Recovery) -> bool:
    """Have a dead node recovered by an understudy of its own, which this process neither waits for nor has to outlive.

    False when nothing was started, since the node's lock is held: it lives, or another one recovers it.

    Raises:
        OSError: no understudy can be started.
    """
    process = _launch(recovery, recovery.understudy_command("--recover", "--detach"), [])
    return _ended(recovery, process, {EXIT_SETTLED, EXIT_HELD}) == EXIT_SETTLED


def recover_now(recovery: Recovery, *, by_force: bool = False) -> int:
    """The same, and wait for it to end; returns the understudy's exit code, which see. A refusal is said on stderr.

    With `by_force` although the node's process holds its lock.
    """
    command = recovery.understudy_command("--recover", *(["--force"] if by_force else []))
    return subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=False).returncode


def _launch(recovery: Recovery, command: list[str], inherited: list[int]) -> subprocess.Popen[bytes]:
    """In a session of its own: what a terminal sends to its programs is not for an understudy."""
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=inherited, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise _unusable(recovery, str(error)) from error


def _ended(recovery: Recovery, process: subprocess.Popen[bytes], expected: set[int]) -> int:
    """Wait until the process that was started has left its grandchild behind; its exit code, if expected."""
    with process:
        try:
            code = process.wait(_LAUNCH_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise _unusable(recovery, f"it did nothing for {_LAUNCH_SECONDS:.0f} s") from None
        if code not in expected:
            assert process.stderr is not None
            os.set_blocking(process.stderr.fileno(), False)  # a forked child of ours may have the other end
            said = (process.stderr.read() or b"").decode(errors="replace").strip()
            raise _unusable(recovery, said.splitlines()[-1] if said else f"it ended with exit code {code}")
        return code


def _unusable(recovery: Recovery, why: str) -> OSError:
    return OSError(
        f"The understudy of node {recovery.node_id}, which runs hooks if their process dies, cannot be started: {why}. "
        f"It needs to run {sys.executable!r} and to write in {str(recovery.log_path.parent)!r}. "
        "ACTWRIGHT_UNDERSTUDY=false does without: hooks of a process that was killed then wait for the next Runtime."
    )


def _announced(line: socket.socket) -> int | None:
    """The process id that the understudy tells once it waits; None if it never does."""
    line.settimeout(_LAUNCH_SECONDS)
    try:
        said = line.recv(32)
    except (TimeoutError, ConnectionResetError):
        return None
    return int(said) if said else None


@contextmanager
def _own_pidfd() -> Generator[int | None]:
    """Tells this process's death even if a child that it forked keeps the socket open. Only Linux has one."""
    descriptor = None
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or a sandbox: there are the socket, and the lock
            descriptor = above_streams(os.pidfd_open(os.getpid()))
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _above_streams(end: socket.socket) -> socket.socket:
    return socket.socket(fileno=above_streams(end.detach()))


def _longer(pause: float) -> float:
    return min(max(2 * pause, _FIRST_BACKOFF), _LONGEST_BACKOFF)


_ends = set[socket.socket]()
"""Every open end of a socket: a forked child closes its copies, lest they keep the line open after a death."""


def _close(end: socket.socket) -> None:
    _ends.discard(end)
    end.close()


def _close_in_forked_child() -> None:
    for end in list(_ends):
        _close(end)


os.register_at_fork(after_in_child=_close_in_forked_child)
