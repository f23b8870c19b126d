"""The OS process of one isolated body, as its Runtime sees it: started, spoken to, ended, waited for."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from actwright.isolation.channel import Channel
from actwright.nodes.bodies import BODY_VARIABLE, group_ends
from actwright.nodes.program import Program
from actwright.nodes.understudy import above_streams

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["BodyProcess", "how_it_ended"]

_GROUP_SECONDS: Final = 5.0
"""How long it is waited for what a body's process left in its group, once that is killed."""

_FIRST_LOOK_SECONDS: Final = 0.0005
_LOOK_SECONDS: Final = 0.02


class BodyProcess:
    """A process in a session, and so in a group, of its own.

    Its exit is not taken note of before its group is killed: until then the number of the group is nobody else's.

    Args:
        token: what its environment tells it, and all that it starts, by.
        title: for people who look at processes.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, token: str, title: str) -> None:
        ours, theirs = (_above_streams(end) for end in socket.socketpair())
        with theirs, ExitStack() as stack:
            stack.push(ours)
            reading, self._lifeline = (above_streams(each) for each in os.pipe())
            stack.callback(os.close, self._lifeline)
            try:
                with _own_pidfd() as pidfd:
                    self._process = _started((theirs.fileno(), reading, pidfd), token, title)
            finally:
                os.close(reading)
            stack.pop_all()
        self.pid = self._process.pid
        self._mutex = threading.Lock()
        self._is_dead = self._is_over = False
        self._status: int | None = None  # its exit, once that was taken note of
        try:
            self.channel = Channel(ours, self.has_died, _pidfd(self.pid))
        except BaseException:  # there are no descriptors left, say
            ours.close()
            self._kill()
            self._took_note(0)
            os.close(self._lifeline)
            raise
        _processes.add(self)

    def terminate(self) -> None:
        """Tell it to stop: SIGTERM. In any thread; once it has ended nothing happens."""
        with self._mutex:
            if not (self._is_dead or self._is_over):
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it has started. In any thread; once it has ended nothing happens."""
        with self._mutex:
            self._kill()

    def _kill(self) -> None:
        if not self._is_over:
            with suppress(ProcessLookupError, PermissionError):  # the latter of the dead, on macOS
                os.killpg(self.pid, signal.SIGKILL)

    def has_died(self) -> bool:
        """Whether it has ended. In any thread."""
        with self._mutex:
            self._is_dead = self._is_dead or self._has_exited()
            return self._is_dead

    def _has_exited(self) -> bool:
        if sys.platform == "darwin":  # which cannot tell without that note is taken
            return self._took_note(os.WNOHANG)
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:
            return True

    def dies(self, patience: float = math.inf) -> bool:
        """Wait until it has died; whether that came within so many seconds."""
        deadline, pause = time.monotonic() + patience, _FIRST_LOOK_SECONDS
        while not (dead := self.has_died()) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, _LOOK_SECONDS)
        return dead

    def end(self) -> int | None:
        """Wait until it has ended, and end what it has left in its group.

        Returns:
            Its exit code, negative for the signal that killed it; None where somebody else has waited for it.
        """
        self.dies()
        with self._mutex:
            self._kill()
            if self._status is None:
                self._took_note(0)
            self._is_over = True
        group_ends(self.pid, _GROUP_SECONDS)
        self.let_go()
        return None if self._status is None else os.waitstatus_to_exitcode(self._status)

    def let_go(self) -> None:
        """Close what leads to it: it ends, if it has not."""
        if not self.channel.is_closed:
            self.channel.close()
            os.close(self._lifeline)

    def leave_to_parent(self) -> None:
        """In a forked child: what leads to it is the other process's."""
        if not self.channel.is_closed:
            self.channel.leave_to_parent()
            os.close(self._lifeline)

    def _took_note(self, flags: int) -> bool:
        """Take note of its exit, under the mutex; whether it is over."""
        try:
            pid, status = os.waitpid(self.pid, flags)
        except ChildProcessError:
            pid, status = self.pid, None
        if pid:
            self._status, self._process.returncode = status, 0  # or the destructor would look for it
        return bool(pid)


def how_it_ended(pid: int, code: int | None, *, was_killed: bool) -> str:
    """The end of a process whose body has not told how that ended.

    Args:
        code: its exit code, negative for a signal.
        was_killed: it was its own Runtime that killed it.
    """
    process = f"Its process (pid {pid})"
    if code is None:
        return f"{process} has ended, and something else in this program has taken its exit code."
    if code >= 0:
        return f"{process} exited with code {code} before its body had ended."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name != "SIGKILL" or was_killed:
        return f"{process} was killed by {name}."
    return (
        f"{process} was killed by SIGKILL, which its Runtime did not send: the kernel's out-of-memory killer is a "
        "likely cause."
    )


def _started(descriptors: tuple[int, ...], token: str, title: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*Program.of_this_process().body_command(), *map(str, descriptors), title],
        stdin=subprocess.DEVNULL,
        env={**os.environ, BODY_VARIABLE: token},
        pass_fds=[each for each in descriptors if each >= 0],
        start_new_session=True,
    )


def _pidfd(pid: int) -> int | None:
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or a sandbox: there is the socket
            return above_streams(os.pidfd_open(pid))
    return None


@contextmanager
def _own_pidfd() -> Generator[int]:
    """One that lives for the block; -1 where there is none."""
    pidfd = _pidfd(os.getpid())
    try:
        yield -1 if pidfd is None else pidfd
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _above_streams(end: socket.socket) -> socket.socket:
    return socket.socket(fileno=above_streams(end.detach()))


_processes = WeakSet[BodyProcess]()


def _close_in_forked_child() -> None:
    """A copy of our end would keep the socket open after our death, and is no business of a forked child's."""
    for process in list(_processes):
        process.leave_to_parent()


os.register_at_fork(after_in_child=_close_in_forked_child)
