"""Sees what other processes ask of this one's runs, and has it carried out.

SQLite tells nobody of a change, so one thread looks: one search by the primary key each time, and nothing more while
nothing was asked.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from actwright.exceptions import ActwrightError, ForkedRuntime, JournalError, RuntimeClosed
from actwright.journal.commands import new_commands
from actwright.journal.schema import runs
from actwright.models.commands import Answer, Outcome
from actwright.models.outcomes import described

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.journal.database import Database
    from actwright.journal.protocol import TakeCommand
    from actwright.models.commands import Command

__all__ = ["LOOK_SECONDS", "CommandWatch"]

logger = logging.getLogger("actwright.journal")

LOOK_SECONDS: Final = 0.05
"""How often a process looks for what others ask of it."""


class CommandWatch:
    """Looks for commands, in a daemon thread that begins with the first of those who carry them out.

    Args:
        node_id: commands to runs of this node are meant.
        answer: writes an answer down; in whatever thread.
    """

    def __init__(self, database: Database, node_id: str, answer: Callable[[Command, Answer], object]) -> None:
        self._database = database
        self._node_id = node_id
        self._answer = answer
        self._takers: list[TakeCommand] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._seen = 0
        self._open: list[Command] = []  # nobody took them yet, and their run has not ended
        self._failed = False

    def add(self, take: TakeCommand) -> Callable[[], None]:
        """Ask `take` of each command from now on, until the function that is returned is called."""
        with self._lock:
            self._takers.append(take)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_until_closed, name="actwright-commands", daemon=True)
                self._thread.start()

        def remove() -> None:
            with self._lock:
                self._takers.remove(take)

        return remove

    def close(self) -> None:
        """Look no longer. Blocks until the thread has ended; not to be called in it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def answer_last(self) -> None:
        """Closed, and with all history committed: tell those whose run has ended since the last look. Blocks.

        They would wait for a process that is gone. Nobody asks after this, since they would see that it has ended.
        """
        if self._thread is None:
            return
        try:
            self._see_to(())
        except JournalError as error:
            logger.warning("Whether other processes wait for an answer of this one cannot be seen now: %s", error)

    def _look_until_closed(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self._look()
                self._failed = False
            except (RuntimeClosed, ForkedRuntime):
                return
            except JournalError as error:
                if not self._failed:
                    logger.warning("Whether other processes ask something of this one cannot be seen now: %s", error)
                self._failed = True
            except Exception:  # a bug of ours: whoever asked hears that there is no answer
                logger.exception("Commands of other processes could not be seen to.")

    def _look(self) -> None:
        with self._lock:
            takers = tuple(self._takers)
        self._see_to(takers)  # also where no Runtime is open any more: runs of those that were have ended

    def _see_to(self, takers: tuple[TakeCommand, ...]) -> None:
        with self._database.reading() as connection:
            self._seen, found = new_commands(connection, self._node_id, self._seen)
        self._open += found
        for command in tuple(self._open):
            # One by one: should the next one fail, this one must not be carried out again.
            if self._is_seen_to(command, takers):
                self._open.remove(command)

    def _is_seen_to(self, command: Command, takers: tuple[TakeCommand, ...]) -> bool:
        answer = partial(self._answer, command)
        try:
            if any(take(command, answer) for take in takers):
                return True
        except ActwrightError:  # the journal, or a fork: not this command's fault
            raise
        except Exception as error:  # another version wrote it, or a bug of ours: those after it must not wait for it
            logger.exception("Command %s of another process could not be carried out.", command.id)
            answer(Answer(Outcome.REFUSED, f"it could not be carried out: {described(error)}"))
            return True
        ended_in = self._final_state(command)
        if ended_in is not None:
            answer(Answer(Outcome.FINAL, ended_in))
        return ended_in is not None

    def _final_state(self, command: Command) -> str | None:
        """The name of the state that its run ended in; None while it is open."""
        query = select(runs.c.state_name).where(runs.c.id == str(command.run_id), runs.c.ended_at.is_not(None))
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar()
        return found
