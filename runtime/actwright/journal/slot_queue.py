"""This process's part in the queue for slots of concurrency limits that the processes on a journal share.

One daemon thread asks for slots, gives them back, and looks whether those that are waited for are there. So nobody else
blocks: not an event loop, nor a body that is interrupted and leaves its block; and what comes at once, of a crowd of
runs, is one transaction. What is freed here is handed on here in that transaction. Nobody is told of what another
process frees, so while somebody here waits, the thread looks every 50 ms. (It reads, as `command_watch` does: a
connection that is kept open to ask for `data_version` would be open when this process forks, see `journal.forks`.)
"""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from actwright.exceptions import Fenced, ForkedRuntime, InternalError, JournalError, RuntimeClosed, WouldDeadlock
from actwright.journal import slots
from actwright.journal.statements import own_node
from actwright.models.slots import LimitKind, SlotRow, front_suffices, grants, in_the_way, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.models.slots import Claim, Grant

__all__ = ["LOOK_SECONDS", "SlotQueue"]

logger = logging.getLogger("actwright.journal")

LOOK_SECONDS: Final = 0.05
"""How often who waits for slots looks whether another process has freed them; and for how long it is taken for known
which tags have limits."""

_LOOK_AT_NODES_SECONDS: Final = 0.25
"""How often it looks whether those who stand in the way are alive."""

_PAUSE_SECONDS: Final = 0.1
"""Between two attempts to write what cannot be written just now."""

_Obstacles = list[SlotRow] | None
"""What stands in the way of a claim; None when nothing does any more, and it has its slots."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """A claim, and the answer to it: None when it has its slots."""

    claim: Claim
    answer: Future[None]


@dataclass(frozen=True, slots=True)
class _Free:
    claim_id: str


@dataclass(frozen=True, slots=True)
class _GiveUp:
    claim_id: str
    answer: Future[_Obstacles]


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction has found and done.

    Attributes:
        added: claims that have rows now, or that need none since no tag of theirs is limited.
        refused: claims that would wait for ever, and why.
    """

    limits: dict[str, int]
    added: Mapping[str, Claim]
    refused: Mapping[str, str]
    granted: list[Grant]


class SlotQueue:
    """Slots for one node under one epoch. Any thread may call it, and nothing but `close` waits.

    Args:
        dead_among: which of these nodes are dead.
        patience: for how many seconds who asks waits while the journal cannot be written.
    """

    def __init__(
        self,
        database: Database,
        node_id: str,
        epoch: int,
        *,
        dead_among: Callable[[Connection, Collection[str]], list[str]],
        patience: float,
    ) -> None:
        self._database = database
        self._node_id = node_id
        self._epoch = epoch
        self._dead_among = dead_among
        self._patience = patience
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._inbox: SimpleQueue[object] = SimpleQueue()  # None: have a look
        self._is_closing = False
        self._ended_by: Exception | None = None
        self._limited: tuple[float, frozenset[str]] = (0.0, frozenset())  # when that was read, and which tags are
        self._changes_of_limits = 0
        # Of the thread alone:
        self._new: dict[str, _Ask] = {}  # no row of it is written
        self._waiting: dict[str, _Ask] = {}
        self._held: set[str] = set()
        self._freed: set[str] = set()
        self._give_ups: list[_GiveUp] = []
        self._looked_at_nodes = 0.0
        self._seen: object = None  # what was there when nobody could be let in
        self._is_row_lost = False
        self._failing_since: float | None = None

    def may_be_limited(self, tags: Iterable[str]) -> bool:
        """Whether a run with these tags has to ask: not where no limit was kept for any of them a moment ago. Where
        that is not known, asking finds out."""
        read_at, limited = self._limited
        return time.monotonic() - read_at > LOOK_SECONDS or not limited.isdisjoint(tags)

    def ask(self, claim: Claim) -> Future[None]:
        """Ask for slots. The answer comes when they are there, in whatever thread; until `free` they are held.

        It may be an error: JournalUnavailable, WouldDeadlock, RuntimeClosed or Fenced; nothing is held then.

        Raises:
            ForkedRuntime: in a child of the process that opened this.
        """
        if os.getpid() != self._pid:
            raise ForkedRuntime(f"{self._database.path} was opened by the process that this one was forked from.")
        answer: Future[None] = Future()
        self._put(_Ask(claim, answer))
        return answer

    def free(self, claim_id: str) -> None:
        """Give slots back, or wait for them no longer. In a forked child, which holds nothing, it does nothing."""
        if os.getpid() == self._pid:
            self._put(_Free(claim_id))

    def give_up(self, claim_id: str) -> Future[_Obstacles]:
        """Wait for them no longer, and tell what stood in the way; None: they have come by now, and are held."""
        answer: Future[_Obstacles] = Future()
        self._put(_GiveUp(claim_id, answer))
        return answer

    def is_queued(self, claim_id: str) -> bool:
        """Whether it waits for slots that others have, and is not just being looked at."""
        return claim_id in self._waiting

    def limits_changed(self) -> None:
        """Limits of tags were changed in this process: they are in force at once."""
        self._changes_of_limits += 1
        self._limited = (0.0, frozenset())
        if self._thread is not None:
            self._put(None)

    def close(self) -> None:
        """Give all slots back, and end the thread. Who waits gets RuntimeClosed. Blocks."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
        if thread is None:
            self._end(self._closed())
        else:
            self._inbox.put(None)
            thread.join()

    def _closed(self) -> RuntimeClosed:
        return RuntimeClosed(f"{self._database.path} was closed.")

    def _put(self, request: object) -> None:
        self._inbox.put(request)
        with self._lock:
            if self._thread is None and not self._is_closing:
                self._thread = threading.Thread(target=self._serve, name="actwright-slots", daemon=True)
                self._thread.start()
        if self._ended_by is not None:
            self._answer_the_rest(self._ended_by)

    # In the thread

    def _serve(self) -> None:
        while self._ended_by is None:
            self._take()
            try:
                self._step()
                self._give_up_what_still_waits()
                self._failing_since = None
            except (Fenced, RuntimeClosed, ForkedRuntime) as error:
                self._end(error)
            except JournalError as error:
                self._wait_for_journal(error)
            except Exception as error:  # a bug of ours: nobody may wait for ever
                logger.exception("Slots of concurrency limits cannot be had any more.")
                self._end(InternalError(f"Slots of concurrency limits cannot be had any more: {error!r}"))
            if self._is_closing and (self._inbox.empty() or self._failing_since is not None):
                self._leave()

    def _take(self) -> None:
        """Wait for requests, and take all that are there."""
        try:
            self._note(self._inbox.get(timeout=LOOK_SECONDS if self._waiting else None))
            while True:
                self._note(self._inbox.get_nowait())
        except Empty:
            pass

    def _note(self, request: object) -> None:
        match request:
            case _Ask(claim):
                self._new[claim.id] = request
            case _GiveUp():
                self._give_ups.append(request)
            case _Free(claim_id):
                if self._new.pop(claim_id, None) is None and self._forget(claim_id):
                    self._freed.add(claim_id)
            case _:
                pass

    def _forget(self, claim_id: str) -> bool:
        """Whether there are rows of it."""
        if claim_id in self._held:
            self._held.discard(claim_id)
            return True
        return self._waiting.pop(claim_id, None) is not None

    def _give_up_what_still_waits(self) -> None:
        """After a look: whoever gives up at once had a chance."""
        if not self._give_ups:
            return
        with self._database.reading() as connection:
            rows = slots.all_rows(connection)
        late = {each.claim_id for each in self._give_ups if self._waiting.pop(each.claim_id, None) is not None}
        self._freed |= late
        self._step()
        for each in self._give_ups:
            each.answer.set_result(None if each.claim_id in self._held else in_the_way(each.claim_id, rows))
        self._give_ups.clear()

    def _step(self) -> None:
        by_name = any(want.limit.kind == LimitKind.NAME for ask in self._new.values() for want in ask.claim.wants)
        if not (self._freed or by_name or self._is_there_something_to_write()):
            return
        changes, read_at = self._changes_of_limits, time.monotonic()
        with self._database.writing() as connection:
            self._look_at_fence(connection)
            step = self._write(connection)
        self._note_limits(step.limits, changes, read_at)
        self._committed(step)

    def _is_there_something_to_write(self) -> bool:
        """One look, which waits for nobody."""
        if not (self._new or self._waiting):
            return False
        changes, read_at = self._changes_of_limits, time.monotonic()
        with self._database.reading() as connection:
            limits = slots.tag_limits(connection)
            seen = slots.traces(connection), limits
            is_news = bool(self._waiting) and seen != self._seen
            is_time = bool(self._waiting) and read_at - self._looked_at_nodes > _LOOK_AT_NODES_SECONDS
            rows = self._rows(connection, limits) if is_news or is_time else []
            dead = self._dead(connection, rows)
            if is_news:
                wanted = sum(len(ask.claim.wants) for ask in self._waiting.values())
                self._is_row_lost = slots.waiting_rows(connection, self._node_id) != wanted
        self._note_limits(limits, changes, read_at)
        for ask in [ask for ask in self._new.values() if not _limited(ask.claim, limits).wants]:
            del self._new[ask.claim.id]
            ask.answer.set_result(None)
        if self._new or dead or self._is_row_lost or (is_news and grants(self._claims(), rows, limits)):
            return True
        self._seen = seen
        return False

    def _write(self, connection: Connection) -> _Step:
        limits = slots.tag_limits(connection)
        slots.free_claims(connection, self._freed)
        rows = slots.all_rows(connection) if self._is_row_lost else self._rows(connection, limits)
        # Here, where nobody can come in between: who has a dead node's lock to run its hooks gives them slots too.
        if dead := self._dead(connection, rows):
            slots.free_nodes(connection, dead)
            rows = [row for row in rows if row.node_id not in dead]
        refused = {id: why for id, ask in self._new.items() if (why := refusal(ask.claim, rows))}
        added = {id: _limited(ask.claim, limits) for id, ask in self._new.items() if id not in refused}
        there = {row.claim_id for row in rows} if self._is_row_lost else self._waiting.keys()
        lost = [ask.claim for id, ask in self._waiting.items() if id not in there]  # by hand, say: at the end again
        slots.add_claims(connection, self._node_id, (*lost, *added.values()))
        claims = {**self._claims(), **added}
        granted: list[Grant] = []
        while True:
            came_in = grants(claims, self._rows(connection, limits, claims), limits)
            slots.hold(connection, came_in)
            granted += came_in
            if len(came_in) < slots.FRONT:  # else there may be more than were looked at
                return _Step(limits, added, refused, granted)

    def _rows(
        self, connection: Connection, limits: Mapping[str, int], claims: Mapping[str, Claim] | None = None
    ) -> list[SlotRow]:
        """What is held, and of what is waited for as much as can matter. Of thousands that wait, most do not."""
        rows = slots.front_rows(connection)
        is_enough = front_suffices((claims or self._claims()).values(), rows, limits)
        return rows if is_enough else slots.all_rows(connection)

    def _committed(self, step: _Step) -> None:
        self._freed.clear()
        self._seen, self._is_row_lost = None, False
        for claim_id, why in step.refused.items():
            self._new.pop(claim_id).answer.set_exception(WouldDeadlock(why))
        for claim_id, claim in step.added.items():
            ask = self._new.pop(claim_id)
            if claim.wants:
                self._waiting[claim_id] = replace(ask, claim=claim)
            else:
                ask.answer.set_result(None)
        for grant in step.granted:
            self._held.add(grant.claim.id)
            self._waiting.pop(grant.claim.id).answer.set_result(None)

    def _claims(self) -> dict[str, Claim]:
        return {id: ask.claim for id, ask in self._waiting.items()}

    def _note_limits(self, limits: Iterable[str], changes: int, read_at: float) -> None:
        if changes == self._changes_of_limits:  # else they were changed since they were read
            self._limited = (read_at, frozenset(limits))

    def _look_at_fence(self, connection: Connection) -> None:
        found = own_node(connection, self._node_id)
        if found is None or found[0] != self._epoch:
            raise Fenced(f"Another process has taken over node {self._node_id}: it holds no slots any more.")

    def _dead(self, connection: Connection, rows: list[SlotRow]) -> list[str]:
        """The nodes that are in the way and dead. It is looked for now and then, and again once one was found."""
        now = time.monotonic()
        if now - self._looked_at_nodes < _LOOK_AT_NODES_SECONDS:
            return []
        others = {row.node_id for row in rows} - {self._node_id}
        dead = self._dead_among(connection, others) if others else []
        self._looked_at_nodes = 0.0 if dead else now
        return dead

    def _wait_for_journal(self, error: JournalError) -> None:
        """Those who have waited for long enough get the error; what is to be given back is kept, and tried again."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
            logger.warning("Slots of concurrency limits cannot be had or given back now: %s", error)
        if now - self._failing_since > self._patience:
            self._freed.update(self._waiting)
            self._fail_all(error)
        for give_up in self._give_ups:
            if self._new.pop(give_up.claim_id, None) is None and self._forget(give_up.claim_id):
                self._freed.add(give_up.claim_id)
            give_up.answer.set_result([])
        self._give_ups.clear()
        if not self._is_closing:
            time.sleep(_PAUSE_SECONDS)
            self._inbox.put(None)  # look again, whether anybody asks or not

    def _leave(self) -> None:
        if self._ended_by is not None:
            return
        try:
            with self._database.writing() as connection:
                self._look_at_fence(connection)
                slots.free_nodes(connection, [self._node_id])
        except (JournalError, Fenced, RuntimeClosed) as error:
            logger.info("Slots of concurrency limits are left to others to free: %s", error)  # it is seen to be gone
        self._end(self._closed())

    def _end(self, error: Exception) -> None:
        self._ended_by = error
        self._fail_all(error)
        for give_up in self._give_ups:
            give_up.answer.set_result([])
        self._answer_the_rest(error)

    def _fail_all(self, error: Exception) -> None:
        asks = (*self._new.values(), *self._waiting.values())
        self._new.clear()
        self._waiting.clear()
        for ask in asks:
            ask.answer.set_exception(error)

    def _answer_the_rest(self, error: Exception) -> None:
        """Of those who come too late: the thread has ended. In any thread."""
        while True:
            try:
                request: Any = self._inbox.get_nowait()
            except Empty:
                return
            match request:
                case _Ask(answer=answer):
                    answer.set_exception(error)
                case _GiveUp(answer=answer):
                    answer.set_result([])
                case _:
                    pass


def _limited(claim: Claim, limits: Mapping[str, int]) -> Claim:
    """The claim without the tags that have no limit."""
    wants = tuple(want for want in claim.wants if want.limit.kind == LimitKind.NAME or want.limit.name in limits)
    return claim if len(wants) == len(claim.wants) else replace(claim, wants=wants)
