"""Node locks: a node is alive while it holds the POSIX record lock on `nodes/<node id>.lock`.

The kernel frees such a lock when its process dies, whatever the cause, and it is not inherited by forked children. It
has traps, for which this module keeps a registry, one for the whole process:

- Any close of the file, anywhere in the process, frees the lock; so each file is opened once, here, and nothing else
  may open it. Files are told apart by inode, as the kernel does: no second path to the same file slips through. User
  code may do it nevertheless (a copy of the folder, say); so the lock is taken again every second (`nodes.pulse`), and
  nobody takes a free lock for a death while its process has the file open.
- The process that holds it would be granted a second one; so the registry is asked first.
- A forked child holds nothing of what its parent held: its registry starts empty. (What it inherits is an open file
  without a lock, and closing that does not touch the parent's. It is left open: that is one descriptor, shut by exec.)
- After `exec` it is free although the process lives on: the program that ran has ended, and that is what it stands for.

Files are unlinked under their lock only: whoever locks one that was unlinked meanwhile finds that out, and starts anew.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from actwright.nodes.understudy import has_open, leads_to, lock_file, owner_of

__all__ = ["NodeLock", "hold", "holder", "is_held", "is_ours"]

_Inode = tuple[int, int]


class NodeLock:
    """A lock that this process holds: until it is released, or the process ends. Made by `hold`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.inode = _inode(os.fstat(descriptor))
        self._descriptor = descriptor

    def keep(self) -> bool:
        """Take the lock again if it was lost: something in this process has closed the file, or it was deleted by hand.

        Whether this process has it now. False: another one does, and has taken the node over; or it was released.

        Raises:
            OSError: the file cannot be made anew.
        """
        with _registry.mutex:
            if not _registry.remove(self):
                return False
            try:
                return self._lock_again() if self._leads_to_it() else self._make_anew()
            finally:
                _registry.add(self)

    def _lock_again(self) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            return False
        return True

    def _make_anew(self) -> bool:
        descriptor = lock_file(str(self.path), create=True)
        if descriptor is None:
            return False
        self._close()
        self._descriptor, self.inode = descriptor, _inode(os.fstat(descriptor))
        return True

    def _leads_to_it(self) -> bool:
        return self._is_open() and leads_to(str(self.path), self._descriptor)

    def _is_open(self) -> bool:
        """A program that becomes a daemon closes whatever is open, and others then get the numbers."""
        try:
            return _inode(os.fstat(self._descriptor)) == self.inode
        except OSError:
            return False

    def _close(self) -> None:
        if self._is_open():
            os.close(self._descriptor)

    def release(self, *, unlink: bool) -> None:
        """Give the lock back; with `unlink`, remove its file first. Again, or in a forked child: nothing happens."""
        with _registry.mutex:
            if not _registry.remove(self):
                return
            try:
                if unlink and self._leads_to_it():
                    self.path.unlink()
            finally:
                self._close()

    def __repr__(self) -> str:
        return f"<NodeLock {self.path}>"


class _Registry:
    """What this process holds. Whoever opens or closes a lock file has the mutex."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self._locks: dict[_Inode, NodeLock] = {}

    def add(self, lock: NodeLock) -> NodeLock:
        self._locks[lock.inode] = lock
        return lock

    def remove(self, lock: NodeLock) -> bool:
        """Whether it was there."""
        is_there = self._locks.get(lock.inode) is lock
        if is_there:
            del self._locks[lock.inode]
        return is_there

    def has(self, path: Path) -> bool:
        """Asked without opening the file."""
        try:
            return _inode(path.stat()) in self._locks
        except FileNotFoundError:
            return False

    def forget(self) -> None:
        self.mutex = threading.Lock()  # whichever thread has the old one, it is not in this process
        self._locks = {}


def hold(path: Path) -> NodeLock | None:
    """Take the lock of a node, without waiting. The file is made where it is missing, for its owner alone.

    None: somebody else holds it, or this process does already.

    Raises:
        OSError: the file cannot be made, opened or locked.
    """
    path = path.absolute()
    with _registry.mutex:
        if _registry.has(path):
            return None
        descriptor = lock_file(str(path), create=True)
        return None if descriptor is None else _registry.add(NodeLock(path, descriptor))


def is_held(path: Path) -> bool:
    """Whether a process, this one or another, holds the lock of that file. No such file: none does.

    Raises:
        OSError: the file cannot be opened.
    """
    return holder(path) is not None


def holder(path: Path, pid: int | None = None) -> int | None:
    """The id of the process that holds the lock; None when none does, or there is no such file.

    It is 0 for a process that has no id here, as one in another container.

    Args:
        pid: of the process whose node it is, where that runs on this machine. As long as it has the file open, it
            counts as the holder of a free lock: it is about to take that again.

    Raises:
        OSError: the file cannot be opened.
    """
    found = _holder(path)
    if found is None and pid is not None and has_open(pid, str(path), unless_told=False):
        return pid
    return found


def _holder(path: Path) -> int | None:
    with _registry.mutex:
        if _registry.has(path):
            return os.getpid()
        return owner_of(str(path))


def is_ours(path: Path) -> bool:
    """Whether this process holds the lock of that file."""
    with _registry.mutex:
        return _registry.has(path)


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


_registry = _Registry()
os.register_at_fork(after_in_child=_registry.forget)
