"""The understudy: steps in for a process that died. (Only the lock file's primitives so far.)

What it shares with `nodes.locks` stands here, since a script that is run with `-I -S` imports nothing of ours.
"""

# ruff: noqa: PTH116  # pathlib would cost a waiting process memory
from __future__ import annotations

import fcntl
import os
import struct
import sys

__all__ = ["above_streams", "leads_to", "lock_file", "lock_owner"]

# `struct flock`, which the two systems order differently.
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi0q"


def lock_file(path: str, *, create: bool) -> int | None:
    """Open a file and take its POSIX record lock, without waiting.

    Returns its descriptor, which holds the lock until *any* descriptor of that file is closed in this process; None
    when another process holds the lock. A file that was unlinked while it was being locked is not the one meant: once
    more.

    Raises:
        FileNotFoundError: there is no such file, and `create` is false (or there is no folder for it).
        OSError: it cannot be opened or locked.
    """
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    while True:
        descriptor = above_streams(os.open(path, flags, 0o600))
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if leads_to(path, descriptor):
                return descriptor
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def leads_to(path: str, descriptor: int) -> bool:
    """Whether that path still leads to the file that is open here."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def lock_owner(descriptor: int) -> int | None:
    """The id of the *other* process that holds the lock of this open file; None when none does.

    It is 0 for a process that has no id here, as one in another container. Asking takes nothing: a test by locking
    would be in the way of somebody who wants the lock just then.
    """
    fields = {"l_type": fcntl.F_WRLCK, "l_whence": os.SEEK_SET, "l_start": 0, "l_len": 0, "l_pid": 0}
    order = ("l_start", "l_len", "l_pid", "l_type", "l_whence")
    if sys.platform != "darwin":
        order = ("l_type", "l_whence", "l_start", "l_len", "l_pid")
    answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_FLOCK, *(fields[name] for name in order)))
    found = dict(zip(order, struct.unpack(_FLOCK, answer), strict=True))
    return None if found["l_type"] == fcntl.F_UNLCK else max(found["l_pid"], 0)


def above_streams(descriptor: int) -> int:
    """The same file under a number that no standard stream has, in case this process was started without those."""
    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
