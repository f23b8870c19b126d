"""A replay process: it goes on as a node that died, under its next epoch.

`python -c ... DATABASE NODE --watcher-fd=N`, as `nodes.program` makes it. Whoever starts it holds the node's lock,
watches it, and starts another when it dies; when its watcher dies, so does it. Its exit code says what is left.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actwright.exceptions import Fenced
from actwright.journal.database import Database
from actwright.journal.sql_journal import SqlJournal
from actwright.nodes import rows
from actwright.nodes.bodies import end_bodies
from actwright.nodes.node import dead_among
from actwright.replay.loading import preparing
from actwright.replay.settling import LAST_SECONDS
from actwright.replay.takeover import Takeover, take_over
from actwright.settings import get_current_settings, tolerate_wrong_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FENCED", "MORE", "NOTHING_LEFT", "main", "replay"]

NOTHING_LEFT: Final = 0
MORE: Final = 75
FENCED: Final = 77
_WATCHER_DIED: Final = 76
_JOURNAL_GONE: Final = 78
_LOOK_SECONDS: Final = 0.5

logger = logging.getLogger("actwright.replay")


def main() -> None:
    """Replay what the command line names, and exit with what is left."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _keep_running_when_told_to_stop()
    database, node_id, watcher = _arguments(sys.argv[1:])
    if watcher is not None:
        _die_with(watcher)
    _go_on_whatever_is_set(database)
    _end_without(database, get_current_settings().journal_wait_seconds)
    ending = _Ending()
    with closing(Database.open(database, create=False)) as opened:
        ending.code = replay(opened, node_id, ending.begin)
    sys.exit(ending.code)


class _Ending:
    """The end of this process, which waits a moment for what hooks left behind, and no longer.

    Python joins threads that are no daemons when it ends, and a loop those of its executor when it closes: one that
    never returns would hold up every later hook of the node, and its lock. A moment they get, since a hook's thread may
    send what its hook was for. After that the process ends past them, and past what is to run at exit; but not before
    the journal has what hooks did, or they would be run again.

    Attributes:
        code: the exit code. Until more is known another process has to look.
    """

    def __init__(self) -> None:
        self.code = MORE

    def begin(self, journal: SqlJournal) -> None:
        timer = threading.Timer(LAST_SECONDS, self._end, [journal])
        timer.daemon = True
        timer.start()

    def _end(self, journal: SqlJournal) -> None:
        # Not by `logging`: what never returns may hold a lock of a handler.
        try:
            journal.close()
            others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
            which = ", ".join(each.name for each in others) or "what is to run at exit"
            os.write(2, f"Ends without waiting for what hooks left behind: {which}\n".encode(errors="replace"))
            sys.stdout.flush()
        finally:
            os._exit(self.code)


def _nothing(_: object) -> None: ...


def replay(database: Database, node_id: str, delivered: Callable[[SqlJournal], object] = _nothing) -> int:
    """Settle a node, run the hooks that may share this process, and say what is left, as an exit code.

    `delivered` is called with the journal when hooks have run, before anything is waited for that they may have left.
    """
    settings = get_current_settings()
    folder = database.path.parent / "nodes"
    end_bodies(folder, node_id)
    takeover = take_over(database, node_id, settings.max_deaths)
    end_bodies(folder, node_id)  # one that is taken over by force may have begun another meanwhile
    if takeover.due:
        try:
            _deliver(database, takeover, delivered)
        except Fenced:
            return FENCED
    with database.writing() as connection:
        return NOTHING_LEFT if rows.settle(connection, node_id) else MORE


def _deliver(database: Database, takeover: Takeover, delivered: Callable[[SqlJournal], object]) -> None:
    from actwright.replay.delivering import deliver  # the engine is loaded only where a hook is due

    dead = partial(dead_among, database)
    journal = SqlJournal(database, takeover.node.id, takeover.node.epoch, dead_among=dead)
    try:
        program = takeover.node.program
        with preparing(program.argv, program.cwd, program.sys_path):
            deliver(journal, takeover, partial(delivered, journal))
    finally:
        journal.close()


def _arguments(given: Sequence[str]) -> tuple[Path, str, int | None]:
    database, node_id, *options = given
    fds = [int(option.removeprefix("--watcher-fd=")) for option in options if option.startswith("--watcher-fd=")]
    return Path(database), node_id, fds[0] if fds else None


def _go_on_whatever_is_set(database: Path) -> None:
    """The files are those of the dead program's folder, as they are by now: a mistake there must not keep its hooks
    from running. What hooks run themselves goes where its history is, should that have been set in such a file."""
    if (wrong := tolerate_wrong_settings()) is None:
        return
    logger.warning("%s It is left out: the other settings count, and else the defaults.", wrong)
    os.environ["ACTWRIGHT_HOME"] = str(database.parent)
    get_current_settings.cache_clear()


def _keep_running_when_told_to_stop() -> None:
    # Handlers, since what is ignored would be ignored by whatever a hook starts as well.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: logger.warning("Signal %d: hooks are running; they go on.", number))


def _end_without(database: Path, patience: float) -> None:
    """End when the journal's file has been gone for so many seconds: what hooks do can be written down nowhere, and who
    deleted it does not look for them."""

    def look() -> None:
        seen_at = time.monotonic()
        while (now := time.monotonic()) - seen_at < patience:
            if database.exists():
                seen_at = now
            time.sleep(min(_LOOK_SECONDS, patience))
        os.write(2, os.fsencode(f"{database} is gone: what hooks did is written down nowhere. This process ends.\n"))
        os._exit(_JOURNAL_GONE)

    threading.Thread(target=look, name="actwright-journal-watch", daemon=True).start()


def _die_with(watcher: int) -> None:
    """End as soon as the other end of this pipe is closed: nobody would know that this process lives, and another may
    take the node over."""
    os.set_inheritable(watcher, False)

    def wait() -> None:
        os.read(watcher, 1)
        os._exit(_WATCHER_DIED)

    threading.Thread(target=wait, name="actwright-watcher", daemon=True).start()
