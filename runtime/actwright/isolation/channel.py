"""A socket between a process and the one that it started for a body: whole messages, and the other side's death."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel"]

_LENGTH: Final = struct.Struct("!Q")
_LOOK_SECONDS: Final = 0.1
"""How often it is looked whether the other process lives, where no descriptor tells."""


class Channel:
    """One end. Any thread may send; one thread receives.

    The other side's death is seen by end-of-file, and also where a forked child of it keeps the socket open.

    Attributes:
        is_closed: this end was closed.

    Args:
        end: the socket; closed with the channel.
        has_died: whether the other process has; asked where no descriptor tells.
        pidfd: of the other process, where the system has such; closed with the channel.
    """

    def __init__(self, end: socket.socket, has_died: Callable[[], bool], pidfd: int | None = None) -> None:
        self._socket = end
        self._has_died = has_died
        self._pidfd = pidfd
        self._is_dead = False
        self._sending = threading.Lock()
        self._waking = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self.is_closed = False
        self._poll = select.poll()
        for descriptor in (end.fileno(), self._wake_read, *([] if pidfd is None else [pidfd])):
            self._poll.register(descriptor, select.POLLIN)

    def send(self, data: bytes) -> None:
        """Send a message; waits for room.

        Raises:
            OSError: the other side is gone.
        """
        with self._sending:
            self._socket.sendall(_LENGTH.pack(len(data)))
            self._socket.sendall(data)

    def wake(self) -> None:
        """Have `receive` return None soon, once or more often. Never waits; in any thread, also after the close."""
        with self._waking:
            if not self.is_closed:
                with suppress(BlockingIOError):  # it is full of such already
                    os.write(self._wake_write, b"\0")

    def receive(self, timeout: float | None = None) -> bytes | None:
        """The next message; None where somebody called `wake`.

        Raises:
            EOFError: nothing more can come: the other side has closed its end, or its process has died.
            TimeoutError: nothing came for that many seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        header = self._read(_LENGTH.size, deadline, wakes=True)
        if header is None:
            return None
        data = self._read(_LENGTH.unpack(header)[0], deadline)
        assert data is not None  # only the first read of a message is woken
        return bytes(data)

    def is_over(self) -> bool:
        """Whether the other side is gone, what it sent before that left aside. For who receives."""
        if self._is_dead or (self._pidfd is None and self._has_died()):
            return True
        ready = dict(self._poll.poll(0))
        return (self._pidfd in ready) or bool(ready.get(self._socket.fileno(), 0) & select.POLLHUP)

    def leave_to_parent(self) -> None:
        """In a forked child: close it; a thread of the parent's may have held the lock."""
        self._waking = threading.Lock()
        self.close()

    def close(self) -> None:
        """Again: nothing happens."""
        with self._waking:
            if self.is_closed:
                return
            self.is_closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._socket.close()
        if self._pidfd is not None:
            os.close(self._pidfd)

    def _read(self, size: int, deadline: float | None, *, wakes: bool = False) -> bytearray | None:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            try:
                count = self._socket.recv_into(view[filled:], 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if self._is_dead:
                    raise EOFError from None
                if self._wait(deadline) and wakes and not filled:
                    return None
                continue
            except ConnectionError:
                raise EOFError from None
            if not count:
                raise EOFError
            filled += count
        return data

    def _wait(self, deadline: float | None) -> bool:
        """Wait until something has happened; whether somebody called `wake`."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        pauses = [left] if self._pidfd is not None else [left, _LOOK_SECONDS]
        pause = min((each for each in pauses if each is not None), default=None)
        ready = {descriptor for descriptor, _ in self._poll.poll(None if pause is None else pause * 1000)}
        if self._pidfd in ready or (self._pidfd is None and not ready and self._has_died()):
            self._is_dead = True  # what it sent before is still read
            if self._pidfd is not None:
                self._poll.unregister(self._pidfd)
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
            return True
        return False
