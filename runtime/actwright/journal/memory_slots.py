"""Slots of concurrency limits for a journal in memory: within its process, and no longer than that."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actwright.exceptions import WouldDeadlock
from actwright.models.slots import LimitKind, SlotRow, grants, in_the_way, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actwright.models.slots import Claim

__all__ = ["MemorySlots"]


class MemorySlots:
    """What `SlotQueue` does, at once, in the thread that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._rows: list[SlotRow] = []
        self._waiting: dict[str, tuple[Claim, Future[None]]] = {}
        self._limits: dict[str, int] = {}
        self._seq = 0

    def may_be_limited(self, tags: Iterable[str]) -> bool:
        return bool(self._limits) and not self._limits.keys().isdisjoint(tags)

    def ask(self, claim: Claim) -> Future[None]:
        answer: Future[None] = Future()
        refused: list[str | None] = []

        def put() -> None:
            refused.append(refusal(claim, self._rows))
            if refused == [None]:
                self._rows += self._rows_for(claim)
                self._waiting[claim.id] = claim, answer

        self._change(put)
        if refused[0] is not None:
            answer.set_exception(WouldDeadlock(refused[0]))
        return answer

    def free(self, claim_id: str) -> None:
        if os.getpid() == self._pid:  # a forked child holds nothing, and a lock that it inherits may be taken for ever
            self._change(lambda: self._forget(claim_id))

    def give_up(self, claim_id: str) -> Future[list[SlotRow] | None]:
        answer: Future[list[SlotRow] | None] = Future()
        found: list[SlotRow] | None = None
        with self._lock:
            if claim_id in self._waiting:
                found = in_the_way(claim_id, self._rows)
                self._forget(claim_id)
        self._change(lambda: None)  # those behind it
        answer.set_result(found)
        return answer

    def is_queued(self, claim_id: str) -> bool:
        return claim_id in self._waiting

    def tag_limits(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._limits.items()))

    def set_tag_limit(self, tag: str, slots: int) -> None:
        self._change(lambda: self._limits.update({tag: slots}))

    def unset_tag_limit(self, tag: str) -> bool:
        was_there = tag in self._limits
        self._change(lambda: self._limits.pop(tag, None))
        return was_there

    def rows(self) -> list[SlotRow]:
        """What is held and what is waited for, in order."""
        with self._lock:
            return list(self._rows)

    def _rows_for(self, claim: Claim) -> list[SlotRow]:
        at = _now()
        made: list[SlotRow] = []
        for want in claim.wants:
            kind, name = want.limit
            if kind == LimitKind.NAME or name in self._limits:
                self._seq += 1
                about = claim.run_id, claim.title, at
                made.append(SlotRow(self._seq, claim.id, "", kind, name, want.occupy, want.slots, *about))
        return made

    def _forget(self, claim_id: str) -> None:
        self._waiting.pop(claim_id, None)
        self._rows = [row for row in self._rows if row.claim_id != claim_id]

    def _change(self, change: Callable[[], object]) -> None:
        """Do it, and let in whom that lets in."""
        with self._lock:
            change()
            rowless = self._waiting.keys() - {row.claim_id for row in self._rows}
            let_in = [self._waiting.pop(claim_id)[1] for claim_id in rowless]  # no tag of theirs is limited
            for grant in grants({id: claim for id, (claim, _) in self._waiting.items()}, self._rows, self._limits):
                let_in.append(self._waiting.pop(grant.claim.id)[1])
                self._rows = [
                    row._replace(held_since=_now(), lender=grant.lenders.get(row.limit))
                    if row.claim_id == grant.claim.id
                    else row
                    for row in self._rows
                ]
        for answer in let_in:
            answer.set_result(None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
