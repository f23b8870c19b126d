"""Node locks: a node is alive while it holds the POSIX record lock on `nodes/<node id>.lock`.

The kernel frees such a lock when its process dies, whatever the cause, and it is not inherited by forked children. It
has traps, for which this module keeps a registry, one for the whole process:

- Any close of the file, anywhere in the process, frees the lock; so each file is opened once, here, and nothing else
  may open it. Files are told apart by inode, as the kernel does: no second path to the same file slips through.
- The process that holds it would be granted a second one; so the registry is asked first.
- A forked child holds nothing of what its parent held: its registry starts empty. (What it inherits is an open file
  without a lock, and closing that does not touch the parent's. It is left open: that is one descriptor, shut by exec.)
- After `exec` it is free although the process lives on: the program that ran has ended, and that is what it stands for.

Files are unlinked under their lock only: whoever locks one that was unlinked meanwhile finds that out, and starts anew.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from actwright.nodes.understudy import leads_to, lock_file, lock_owner

__all__ = ["NodeLock", "hold", "holder", "is_held", "is_ours"]

_Inode = tuple[int, int]


class NodeLock:
    """A lock that this process holds: until it is released, or the process ends. Made by `hold`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self, *, unlink: bool) -> None:
        """Give the lock back; with `unlink`, remove its file first. Again, or in a forked child: nothing happens."""
        with _registry.mutex:
            if not _registry.remove(self):
                return
            try:
                if unlink and leads_to(str(self.path), self._descriptor):
                    self.path.unlink()
            finally:
                os.close(self._descriptor)

    def __repr__(self) -> str:
        return f"<NodeLock {self.path}>"


class _Registry:
    """What this process holds. Whoever opens or closes a lock file has the mutex."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self._locks: dict[_Inode, NodeLock] = {}

    def add(self, path: Path, descriptor: int) -> NodeLock:
        lock = NodeLock(path, descriptor)
        self._locks[_inode(os.fstat(descriptor))] = lock
        return lock

    def remove(self, lock: NodeLock) -> bool:
        """Whether it was there."""
        for inode, held in self._locks.items():
            if held is lock:
                del self._locks[inode]
                return True
        return False

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
        return None if descriptor is None else _registry.add(path, descriptor)


def is_held(path: Path) -> bool:
    """Whether the node of that lock file is alive, in this process or another. No such file: it is not.

    Raises:
        OSError: the file cannot be opened.
    """
    return holder(path) is not None


def holder(path: Path) -> int | None:
    """The id of the process that holds the lock; None when none does, or there is no such file.

    It is 0 for a process that has no id here, as one in another container.

    Raises:
        OSError: the file cannot be opened.
    """
    with _registry.mutex:
        if _registry.has(path):
            return os.getpid()
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return lock_owner(descriptor)
        finally:
            os.close(descriptor)


def is_ours(path: Path) -> bool:
    """Whether this process holds the lock of that file."""
    with _registry.mutex:
        return _registry.has(path)


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


_registry = _Registry()
os.register_at_fork(after_in_child=_registry.forget)
