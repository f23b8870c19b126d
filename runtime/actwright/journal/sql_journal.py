"""The journal in a database: one ordered queue, and one thread that writes it in batches.

A batch is one transaction, and begins by looking at the fence: has another process taken over the node that this one
writes for? What nobody waits for lingers a few milliseconds, so that many records share a commit; what somebody waits
for does not.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actwright.exceptions import Fenced, JournalError, JournalUnavailable
from actwright.journal import keeping, reading, submissions
from actwright.journal.batch import Batch, Entry
from actwright.journal.command_watch import CommandWatch
from actwright.journal.protocol import CommandAnswered, Transition
from actwright.journal.queue import WriteQueue
from actwright.journal.slot_queue import SlotQueue
from actwright.journal.slots import set_tag_limit, tag_limits, unset_tag_limit
from actwright.journal.statements import own_node, write
from actwright.models.values_at_rest import parameters_at_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from uuid import UUID

    from sqlalchemy import Connection

    from actwright.exceptions import ActwrightError
    from actwright.journal.database import Database
    from actwright.journal.protocol import LogLine, Record, TakeCommand
    from actwright.models.commands import Answer, Command
    from actwright.models.deliveries import HookDelivery
    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.slots import Claim, SlotRow
    from actwright.models.submissions import Claimed, Offer

__all__ = ["REPEAT_SECONDS", "JournalLimits", "SqlJournal"]

logger = logging.getLogger("actwright.journal")

REPEAT_SECONDS: Final = 10.0
"""How often a journal that cannot write says so again."""

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

_LOOK_SECONDS: Final = 0.05
"""How often who waits for a commit looks whether there is still somebody who could make it."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How much, and how long.

    Attributes:
        wait_seconds: how long it may be unable to write before new runs are refused.
        queue_records: how many records may stand before the writer before new runs wait.
        parameters_bytes: of one run's parameters, as JSON.
    """

    wait_seconds: float = 30.0
    queue_records: int = 10_000
    parameters_bytes: int = 65_536


class SqlJournal:
    """History in a database, written for one node under one epoch.

    Args:
        before_hooks: called in the writer's thread before the first commit of a run that has hooks: by the time that
            its body starts, somebody must stand by to run them.
        dead_among: which of these nodes are dead; their slots of concurrency limits are free.
    """

    def __init__(
        self,
        database: Database,
        node_id: str,
        epoch: int,
        *,
        limits: JournalLimits | None = None,
        before_hooks: Callable[[], object] = lambda: None,
        dead_among: Callable[[Connection, Collection[str]], list[str]] = lambda _connection, _node_ids: [],
    ) -> None:
        self.database = database
        self.node_id = node_id
        self.epoch = epoch
        self.limits = limits or JournalLimits()
        self._before_hooks = before_hooks
        self._queue = WriteQueue(self.limits.queue_records)
        self._parameters: dict[UUID, tuple[dict[str, Any], str]] = {}
        self._fenced: Fenced | None = None
        self._fence_watchers: dict[object, Callable[[ActwrightError], object]] = {}
        self._lock = threading.Lock()
        self._stored: set[str] = set()  # hashes that this process has committed, since the latest pruning
        self._prunings = 0
        self._failing_since: float | None = None
        self._failure: Exception | None = None
        self._said_at = 0.0
        self._given_up = threading.Event()
        self._pid = os.getpid()
        self._commands = CommandWatch(database, node_id, self.answer)
        self._slots = SlotQueue(database, node_id, epoch, dead_among=dead_among, patience=self.limits.wait_seconds)
        self._thread = threading.Thread(target=self._write_all, name="actwright-journal", daemon=True)
        self._thread.start()

    # Writing

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        parameters = tuple(self._parameters_of(record) for record in records if isinstance(record, Transition))
        if not self._queue.add(Entry(records, parameters, committed)) and self._fenced is None:
            logger.warning("The journal is closed: %d records came too late and are not kept.", len(records))

    def _parameters_of(self, record: Transition) -> str:
        """As JSON, worked out anew only when the run has other ones."""
        run = record.run
        if not run.parameters:
            return "{}"
        known = self._parameters.get(run.id)
        if known is None or known[0] is not run.parameters:
            known = self._parameters[run.id] = (
                run.parameters,
                parameters_at_rest(run.parameters, self.limits.parameters_bytes),
            )
        if run.state.is_final():
            self._parameters.pop(run.id, None)
        return known[1]

    def _write_all(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """One batch, of which nothing is kept while it waits for the next; False when there will be none."""
        entries = self._queue.take()
        if not entries:
            return False
        self._write(entries)
        if self._fenced is not None or self._given_up.is_set():
            return False
        for tell in self._queue.written(entries):
            _call(tell)
        for entry in entries:
            if entry.committed is not None:
                _call(entry.committed)
        return True

    def _write(self, entries: list[Entry]) -> None:
        """Commit one batch; tries again until it is written, or another process has taken over, or nobody waits."""
        began = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        while not self._given_up.is_set():
            try:
                batch = Batch.of(entries, self.node_id)
                if batch.objects:
                    self._before_hooks()
                self._commit(batch)
            except Fenced as error:
                self._stop_as_fenced(error)
                return
            except Exception as error:  # a bug of ours among them: it must be heard, and lose nothing
                self._say_unavailable(error, since=began)
                self._given_up.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._say_available()
                return

    def _commit(self, batch: Batch) -> None:
        with self.database.writing() as connection:
            self._look_at_node(connection)
            for hash in self._stored & batch.objects.keys():
                del batch.objects[hash]
            write(connection, batch)
        self._stored.update(batch.objects)

    def _look_at_node(self, connection: Connection) -> None:
        """The fence; and whether what was stored may have been deleted, since no run referred to it just then."""
        prunings = self._look_at_fence(connection)
        if prunings != self._prunings:
            self._stored.clear()
            self._prunings = prunings

    def _look_at_fence(self, connection: Connection) -> int:
        """How often stored objects were deleted, if this process still writes for its node."""
        epoch, prunings = own_node(connection, self.node_id) or (None, 0)
        if epoch != self.epoch:
            raise Fenced(
                f"Another process has taken over node {self.node_id} (epoch {self.epoch} here, {epoch} there). "
                "Its runs were settled there, and their hooks run there; nothing that happens here counts any more."
            )
        return prunings

    # Submissions

    def claim(self, offers: Sequence[Offer], room: int, now: datetime) -> list[Claimed]:
        """Make submissions this process's own, at most `room` of them: they are to be begun, or put back. Blocks.

        Raises:
            Fenced: another process has taken over what this one wrote.
            JournalUnavailable: nothing was claimed.
        """
        try:
            with self.database.reading() as connection:
                self._look_at_fence(connection)  # it may write nothing for long, and go on with what is another's
                if not submissions.claimable(connection, offers, room, now):
                    return []
            self._before_hooks()  # should this process die, somebody is to put back what it has claimed
            with self.database.writing() as connection:
                self._look_at_fence(connection)
                return submissions.claim(connection, self.node_id, offers, room, now)
        except Fenced as error:
            self._stop_as_fenced(error)
            raise

    def put_back(self, run_ids: Iterable[UUID]) -> None:
        """Let others claim what this process has claimed and not begun. Blocks."""
        with self.database.writing() as connection:
            self._look_at_fence(connection)
            submissions.put_back(connection, run_ids)

    def _stop_as_fenced(self, error: Fenced) -> None:
        with self._lock:
            if self._fenced is not None:
                return
            self._fenced = error
            watchers = list(self._fence_watchers.values())
        logger.critical("%s", error)
        held_back = self._queue.close()
        self._queue.clear()
        for watcher in watchers:
            _call(partial(watcher, error))
        for tell in held_back:
            _call(tell)

    def _say_unavailable(self, error: Exception, since: float) -> None:
        now = time.monotonic()
        self._failure = error
        if self._failing_since is None:
            self._failing_since = since
        elif now - self._said_at < REPEAT_SECONDS:
            return
        self._said_at = now
        logger.error(
            "The journal cannot write, for %.0f s now; %d records wait, bodies go on, new runs wait: %s",
            now - self._failing_since, len(self._queue), error,
            exc_info=None if isinstance(error, JournalError) else error,
        )  # fmt: skip

    def _say_available(self) -> None:
        if self._failing_since is not None:
            logger.warning("The journal writes again, after %.1f s.", time.monotonic() - self._failing_since)
            self._failing_since = self._failure = None

    def check(self, wait_seconds: float | None = None) -> None:
        if self._fenced is not None:
            raise self._fenced
        since, failure = self._failing_since, self._failure
        patience = self.limits.wait_seconds if wait_seconds is None else wait_seconds
        if since is not None and (seconds := time.monotonic() - since) >= patience:
            why = f"The journal has been unable to write for {seconds:.0f} s: {failure}"
            raise JournalUnavailable(why) from failure

    @property
    def is_durable(self) -> bool:
        return True

    @property
    def own_key(self) -> None:
        return None

    def has_room(self, or_call: Callable[[], object]) -> bool:
        return self._queue.has_room(or_call)

    def on_fenced(self, fn: Callable[[ActwrightError], object]) -> Callable[[], None]:
        key = object()
        with self._lock:
            self._fence_watchers[key] = fn
            fenced = self._fenced
        if fenced is not None:
            fn(fenced)
        return lambda: (self._fence_watchers.pop(key, None), None)[1]

    def watch_commands(self, take: TakeCommand) -> Callable[[], None]:
        return self._commands.add(take)

    def answer(self, command: Command, answer: Answer) -> None:
        self.append(CommandAnswered(command.id, datetime.now(UTC), answer))

    @property
    def appended(self) -> int:
        """How many records came in, in all."""
        return self._queue.added

    def flush(self) -> bool:
        """Wait until what was appended before is committed; whether it is. Blocks, but not while nothing can be
        written."""
        done = threading.Event()
        if not self._queue.add(Entry((), (), done.set)):
            return False
        while not done.wait(_LOOK_SECONDS):
            if self._failing_since is not None or not self._thread.is_alive():
                break
        return done.is_set()

    def close(self, timeout: float | None = None) -> None:
        """Write what is left, for at most `timeout` seconds (`limits.wait_seconds`), and stop. Blocks."""
        self._commands.close()
        self._slots.close()
        if self.flush():
            self._commands.answer_last()
        for tell in self._queue.close():
            _call(tell)
        self._thread.join(self.limits.wait_seconds if timeout is None else timeout)
        if self._thread.is_alive():
            self._given_up.set()
            self._thread.join()
            if left := len(self._queue):
                why = self._failure or "it was too slow"
                logger.critical("The journal was closed before it could write %d records: %s", left, why)

    # Reading: what was appended before is there, unless it cannot be written now

    def _reading(self) -> AbstractContextManager[Connection]:
        if os.getpid() == self._pid:  # else there is no writer here, and the database says so
            self.flush()
        return self.database.reading()

    def run(self, run_id: UUID) -> FlowRun | TaskRun | None:
        with self._reading() as connection:
            return reading.run(connection, run_id)

    def runs(self) -> Sequence[FlowRun | TaskRun]:
        with self._reading() as connection:
            return reading.runs(connection)

    def transitions(self, run_id: UUID) -> Sequence[Transition]:
        with self._reading() as connection:
            return reading.transitions(connection, run_id)

    def events(self, run_id: UUID, since: int = 0) -> Sequence[RunEvent] | None:
        with self._reading() as connection:
            return reading.events(connection, run_id, since)

    def deliveries(self, run_id: UUID | None = None) -> Sequence[HookDelivery]:
        with self._reading() as connection:
            return reading.deliveries(connection, run_id)

    def lines(self, run_id: UUID) -> Sequence[LogLine]:
        with self._reading() as connection:
            return reading.lines(connection, run_id)

    # Variables and blocks: committed when the method returns, past the queue

    def variable(self, name: str) -> Any:
        with self.database.reading() as connection:
            return keeping.variable(connection, name)

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        with self.database.writing() as connection:
            keeping.set_variable(connection, name, value, overwrite=overwrite)

    def unset_variable(self, name: str) -> bool:
        with self.database.writing() as connection:
            return keeping.unset_variable(connection, name)

    def block(self, slug: str, name: str) -> bytes:
        with self.database.reading() as connection:
            return keeping.block(connection, slug, name)

    def block_names(self) -> Sequence[tuple[str, str]]:
        with self.database.reading() as connection:
            return keeping.block_names(connection)

    def set_block(self, slug: str, name: str, document: str, *, overwrite: bool) -> None:
        with self.database.writing() as connection:
            keeping.set_block(connection, slug, name, document, overwrite=overwrite)

    def unset_block(self, slug: str, name: str) -> bool:
        with self.database.writing() as connection:
            return keeping.unset_block(connection, slug, name)

    # Slots of concurrency limits, past the queue as well

    @property
    def slots(self) -> SlotQueue:
        return self._slots

    def ask_slots(self, claim: Claim) -> Future[None]:
        return self._slots.ask(claim)

    def free_slots(self, claim_id: str) -> None:
        self._slots.free(claim_id)

    def give_up_slots(self, claim_id: str) -> Future[list[SlotRow] | None]:
        return self._slots.give_up(claim_id)

    def tag_limits(self) -> dict[str, int]:
        with self.database.reading() as connection:
            return tag_limits(connection)

    def set_tag_limit(self, tag: str, slots: int) -> None:
        with self.database.writing() as connection:
            set_tag_limit(connection, tag, slots)
        self._slots.limits_changed()

    def unset_tag_limit(self, tag: str) -> bool:
        with self.database.writing() as connection:
            was_limited = unset_tag_limit(connection, tag)
        self._slots.limits_changed()
        return was_limited


def _call(tell: Callable[[], object]) -> None:
    try:
        tell()
    except Exception:  # the writer goes on: others wait to be told
        logger.exception("What was to be told by the journal raised.")
