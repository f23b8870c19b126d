"""The processes of isolated bodies, as others find them when the process that started them has died.

Each leads a process group of its own, and holds a POSIX record lock on a file of its own, `<node>.<token>.body` beside
the lock of its node. The kernel frees that at death, and says whose it is until then: no process that has got a dead
one's number is taken for it. The group may outlive its leader: then a member of it is known by the token in its
environment, which it has from the leader; and as long as one member lives, the group's number is nobody else's.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actwright.nodes.understudy import has_open, lock_file, owner_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = [
    "BODY_VARIABLE", "body_files", "claim", "claim_path", "end_bodies", "group_ends", "remove_body_files", "token_of",
]  # fmt: skip

logger = logging.getLogger("actwright.nodes")

BODY_VARIABLE: Final = "ACTWRIGHT_ISOLATED_BODY"
"""The variable of the environment that tells the processes of a body from all others."""

_PATIENCE_SECONDS: Final = 10.0
"""How long recovery waits for killed processes to be gone. One that hangs in the kernel must not keep hooks waiting."""

_TIMES_TO_READ: Final = 20
_LOOK_SECONDS: Final = 0.002


def claim_path(folder: Path, node_id: str, token: str) -> Path:
    """The file of one body's process. `folder` is where the lock of its node is."""
    return folder / f"{node_id}.{token}.body"


def token_of(path: Path) -> str:
    """The token in such a file's name."""
    return path.name.split(".")[-2]


def claim(path: str) -> None:
    """Have this process found, for as long as it lives. It leads a group.

    Raises:
        OSError: the file cannot be made or locked.
    """
    descriptor = lock_file(path, create=True)
    if descriptor is None:
        raise OSError(f"{path} is held by another process.")
    os.write(descriptor, b"%d" % os.getpid())


def end_bodies(folder: Path, node_id: str) -> None:
    """Kill what isolated bodies of a node have left, and wait until it is gone. For whoever holds the node's lock."""
    for path in sorted(folder.glob(f"{node_id}.*.body")):
        group = _group_of(path)
        if group:
            logger.info("Process group %d of an isolated body is ended: the process of its Runtime is gone.", group)
            with suppress(ProcessLookupError, PermissionError):  # it ended; it became another user's
                os.killpg(group, signal.SIGKILL)
            if not group_ends(group, _PATIENCE_SECONDS):
                logger.error("Process group %d was killed and does not end; recovery goes on.", group)
        with suppress(FileNotFoundError):
            path.unlink()


def body_files(folder: Path) -> list[Path]:
    """The files of all nodes' bodies."""
    return list(folder.glob("*.body"))


def remove_body_files(files: Iterable[Path], of_nodes_but: Collection[str]) -> None:
    """Remove these files, except those of bodies of these nodes. Nobody looks for them any more."""
    for path in files:
        if path.name.partition(".")[0] not in of_nodes_but:
            with suppress(FileNotFoundError, PermissionError):
                path.unlink()


def group_ends(group: int, patience: float) -> bool:
    """Wait until no process of a group runs any more; whether that came within so many seconds."""
    deadline = time.monotonic() + patience
    while _lives(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _group_of(path: Path) -> int | None:
    """The process group of a body, if any of it lives."""
    try:
        owner, written = owner_of(str(path)), path.read_bytes()
    except FileNotFoundError:
        return None
    group = owner or int(written or b"0")
    if owner == 0:
        logger.error("%s is held by a process of another container, which cannot be ended from here.", path)
        return None
    if owner is not None or not group:
        return owner
    is_leader = has_open(group, str(path), unless_told=False)  # its lock was lost, as by a copy of the folder in there
    return group if is_leader or any(_has_token(pid, token_of(path)) for pid in _members(group)) else None


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # the latter of the dead that nobody has waited for, on macOS
        return False
    return sys.platform != "linux" or any(True for _ in _members(group))


def _members(group: int) -> Iterator[int]:
    """The processes of a group that run. Only Linux tells."""
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            state, _, its_group = (each / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                yield int(each.name)


def _has_token(pid: int, token: str) -> bool:
    return f"{BODY_VARIABLE}={token}".encode() in _environment_of(pid).split(b"\0")


def _environment_of(pid: int) -> bytes:
    """Empty where it cannot be read. In the midst of an exec it is empty for a moment, too."""
    for _ in range(_TIMES_TO_READ):
        try:
            if found := Path(f"/proc/{pid}/environ").read_bytes():
                return found
        except OSError:
            break
        time.sleep(_LOOK_SECONDS)
    return b""
