"""Being the first process of a container: orphans fall to it, and the kernel gives it no default for signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from actwright.nodes.upkeep import note_that_the_first_process_waits

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["leave_to_child"]

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

_LAST_SECONDS: Final = 8.0
"""How long others may go on when the service has ended: its understudy, if it was killed. Docker gives 10 s in all."""

_LOOK_SECONDS: Final = 0.02


def leave_to_child() -> None:
    """As process 1: go on in a child, and be here what passes signals on to that, reaps whoever ends, and ends with it.
    Elsewhere nothing. Before any thread, loop or journal is there."""
    if os.getpid() != 1:
        return
    child = os.fork()
    if not child:
        note_that_the_first_process_waits()
        return

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    code = _reaped_until(child)
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)  # it has ended: its number may be another's
    _reap_the_last()
    sys.exit(code)


def _reaped_until(child: int) -> int:
    """Reap until that one has ended; its exit code as a shell has it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _reap_the_last() -> None:
    deadline = time.monotonic() + _LAST_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(_LOOK_SECONDS)
