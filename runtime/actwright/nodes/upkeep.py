"""What a process that opens a journal does for it besides: old runs are pruned, and what dead nodes left is removed."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actwright.exceptions import JournalError, RuntimeClosed
from actwright.models.health import Takeover
from actwright.nodes import locks
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from actwright.journal.database import Database

__all__ = [
    "Pruning",
    "note_that_the_first_process_waits",
    "remove_lock_files",
    "takeover_of_this_process",
    "where_the_understudy_dies_too",
]

logger = logging.getLogger("actwright.nodes")

_BETWEEN_PRUNINGS_SECONDS: Final = 24 * 3600.0

_MARKS_OF_CONTAINERS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files that Docker and Podman make in each."""


def remove_lock_files(folder: Path, of_nodes_but: Collection[str]) -> None:
    """Remove the lock files that nobody holds, and that nobody will look for: all but those of these nodes."""
    for path in folder.glob("*.lock"):
        if path.stem in of_nodes_but or locks.is_ours(path):
            continue
        with suppress(PermissionError):  # another user's
            _remove_free(path)


def _remove_free(path: Path) -> None:
    lock = None if locks.is_held(path) else locks.hold(path)
    if lock is not None:  # else somebody was quicker
        lock.release(unlink=True)


def where_the_understudy_dies_too() -> str | None:
    """Why a process's understudy is not likely to outlive it, in words; None where it is."""
    if os.getpid() == 1:
        return "this process is the first of its container, which ends with it"
    if os.getppid() == 1 and _is_in_container() and not _first_process_waits:
        return "the first process of its container started it, and most end with what they have started"
    if "INVOCATION_ID" in os.environ and os.getppid() == 1:
        return "systemd ends all processes of a service with it, unless its unit says KillMode=process"
    return None


_first_process_waits = False


def note_that_the_first_process_waits() -> None:
    """Process 1 of this container is one that lets the understudy end its work: see `serving.first_process`."""
    global _first_process_waits
    _first_process_waits = True


def _is_in_container() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in _MARKS_OF_CONTAINERS)


def takeover_of_this_process() -> Takeover:
    """When the hooks of this process run, should it be killed."""
    is_alone = not get_current_settings().understudy or where_the_understudy_dies_too() is not None
    return Takeover.AT_NEXT_START if is_alone else Takeover.AT_ONCE


class Pruning:
    """Deletes what history keeps no longer, in a daemon thread, at most once a day for each journal.

    Args:
        database: of the journal.
        retention: how old a finished run becomes; None keeps all.
        folder: where a file tells when it was done last.
    """

    def __init__(self, database: Database, retention: timedelta | None, folder: Path) -> None:
        self._database = database
        self._retention = retention
        self._done = folder / "pruned"
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if it is time."""
        if self._retention is None or not self._is_due():
            return
        self._done.touch(mode=0o600)  # first: of several processes that begin now, one is enough
        self._thread = threading.Thread(
            target=self._prune, args=(self._retention,), name="actwright-pruning", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait for its end; the database is closed, and so that is near."""
        if self._thread is not None:
            self._thread.join()

    def _is_due(self) -> bool:
        try:
            return time.time() - self._done.stat().st_mtime > _BETWEEN_PRUNINGS_SECONDS
        except FileNotFoundError:
            self._done.touch(mode=0o600)  # a new journal has nothing that is old
            return False

    def _prune(self, retention: timedelta) -> None:
        from actwright.journal.upkeep import prune

        try:
            counts = prune(self._database, datetime.now(UTC) - retention)
        except RuntimeClosed:
            return  # this process ends: another one goes on, in a day
        except JournalError as error:
            logger.warning("Old runs could not be pruned: %s", error)
            return
        if counts.runs:
            logger.info("Pruned %d runs that ended more than %s ago.", counts.runs, retention)
