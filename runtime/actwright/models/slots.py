"""Slots of concurrency limits: who asks for them, who has them, and who gets the next ones. Pure.

A limit is kept for a tag, or is given by whoever asks under a name. Whoever asks, asks for all that it needs at once,
and gets all of it or waits:

- First come, first served. An earlier one that waits for a limit keeps later ones from it, also where there would be
  room for these: one that wants many slots does not starve.
- What no limit could ever let in (a tag's limit of 0) keeps nobody back.
- Whoever has a slot lends it to what it calls, one at a time, and so do those. So nesting does not deadlock, and no
  more are at work than the limit says; GNU make's jobserver does the same.
- Who holds something already does not queue behind those who hold nothing: they may wait for just that.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Claim",
    "Grant",
    "Limit",
    "LimitKind",
    "SlotRow",
    "Want",
    "front_suffices",
    "grants",
    "in_the_way",
    "refusal",
]


class LimitKind(StrEnum):
    """What a limit is for."""

    TAG = "tag"  # runs that have it; the limit is kept
    NAME = "name"  # code inside of `concurrency(name, limit=...)`


class Limit(NamedTuple):
    """A limit by its kind and name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Want:
    """Slots of one limit.

    Attributes:
        occupy: how many.
        slots: how many the limit has, as who asks says; None for a tag's, which is kept.
    """

    limit: Limit
    occupy: int = 1
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What is asked for at once. Ids are text, as in the journal.

    Attributes:
        id: its own.
        title: who asks, for people.
        run_id: of the run that asks, or whose code does.
        runs_around: the runs that it is part of, whose slots of tags may be lent to it.
        claims_around: the blocks that it is inside of, whose slots may be lent to it.
    """

    id: str
    wants: tuple[Want, ...]
    title: str
    run_id: str | None = None
    runs_around: frozenset[str] = frozenset()
    claims_around: frozenset[str] = frozenset()


class SlotRow(NamedTuple):
    """Slots of one limit that somebody has, or waits for: a row of the journal's table.

    Attributes:
        seq: the place in the order in which they were asked for.
        node_id: of the process that asked.
        kind, name: of the limit.
        slots: as in `Want`.
        held_since: None while it waits.
        lender: the claim whose slots these are, where they are lent.
    """

    seq: int
    claim_id: str
    node_id: str
    kind: str
    name: str
    occupy: int
    slots: int | None
    run_id: str | None
    title: str
    asked_at: str
    held_since: str | None = None
    lender: str | None = None

    @property
    def limit(self) -> Limit:
        return Limit(self.kind, self.name)

    @property
    def is_held(self) -> bool:
        return self.held_since is not None


@dataclass(frozen=True, slots=True)
class Grant:
    """A claim gets what it wants.

    Attributes:
        lenders: of each limit whose slots are lent, the claim that they are of.
    """

    claim: Claim
    lenders: Mapping[Limit, str]


def grants(waiting: Mapping[str, Claim], rows: Sequence[SlotRow], tag_limits: Mapping[str, int]) -> list[Grant]:
    """Which of these claims get what they want now, in order.

    Args:
        waiting: by their ids. What else waits in `rows` is for others to let in.
        rows: all that is held or waited for, in order.
        tag_limits: tag -> slots.
    """
    tally = _Tally(rows, tag_limits)
    found: list[Grant] = []
    for claim_id, wanted in _by_claim(row for row in rows if not row.is_held).items():
        claim = waiting.get(claim_id)
        lenders = None if claim is None else tally.lenders_for(claim, wanted)
        if claim is not None and lenders is not None:
            tally.hold(wanted, lenders)
            found.append(Grant(claim, lenders))
        else:
            tally.queue(wanted)
    return found


def front_suffices(waiting: Iterable[Claim], front: Sequence[SlotRow], tag_limits: Mapping[str, int]) -> bool:
    """Whether those that come in are among the first of each queue, so that the others need not be looked at.

    Not where one that waits may overtake others, or where others pass by one that is let in by nothing.

    Args:
        waiting: those that may be let in.
        front: all that is held, and the first that wait.
    """
    tally = _Tally(front, tag_limits)
    if not all(tally.could_come_in(row) for row in front if not row.is_held):
        return False
    runs = {row.run_id for row in front if row.is_held and row.kind == LimitKind.TAG}
    claims = {row.claim_id for row in front if row.is_held}
    return all(claim.runs_around.isdisjoint(runs) and claim.claims_around.isdisjoint(claims) for claim in waiting)


def refusal(claim: Claim, rows: Sequence[SlotRow]) -> str | None:
    """Why a claim would wait for itself for ever: it wants more of a limit than those hold that it is inside of."""
    tally = _Tally(rows, {})
    for want in claim.wants:
        lender = tally.lender_of(claim, want.limit)
        if lender is not None and want.occupy > lender.occupy:
            return (
                f"{claim.title} asks for {want.occupy} slots of {want.limit.name!r}, inside of a block that holds "
                f"{lender.occupy}: they could wait for each other for ever. Take {want.occupy} in the outer block."
            )
    return None


def in_the_way(claim_id: str, rows: Sequence[SlotRow]) -> list[SlotRow]:
    """What others hold, or wait for before it, of the limits that a claim waits for."""
    own = {row.limit: row.seq for row in rows if row.claim_id == claim_id}
    return [
        row
        for row in rows
        if row.claim_id != claim_id and row.limit in own and (row.is_held or row.seq < own[row.limit])
    ]


def _by_claim(rows: Iterable[SlotRow]) -> dict[str, list[SlotRow]]:
    found: dict[str, list[SlotRow]] = {}
    for row in rows:
        found.setdefault(row.claim_id, []).append(row)
    return found


class _Tally:
    """What is held of each limit, and which limits are queued for."""

    def __init__(self, rows: Iterable[SlotRow], tag_limits: Mapping[str, int]) -> None:
        self._tag_limits = tag_limits
        self._taken: defaultdict[Limit, int] = defaultdict(int)
        self._lent: defaultdict[tuple[str, Limit], int] = defaultdict(int)
        self._held: defaultdict[Limit, list[SlotRow]] = defaultdict(list)
        self._queued: set[Limit] = set()
        for row in rows:
            if row.is_held:
                self._note(row)

    def _note(self, row: SlotRow) -> None:
        self._held[row.limit].append(row)
        if row.lender is None:
            self._taken[row.limit] += row.occupy
        else:
            self._lent[row.lender, row.limit] += row.occupy

    def hold(self, wanted: list[SlotRow], lenders: Mapping[Limit, str]) -> None:
        """They are held from here on."""
        for row in wanted:
            self._note(row._replace(held_since=row.asked_at, lender=lenders.get(row.limit)))

    def queue(self, wanted: list[SlotRow]) -> None:
        """They go on waiting, and keep later ones back; but not where they can never be let in."""
        if all(self.could_come_in(row) for row in wanted):
            self._queued.update(row.limit for row in wanted)

    def could_come_in(self, row: SlotRow) -> bool:
        """Whether its limit would let it in, were nobody there."""
        return row.occupy <= self._slots(row)

    def lenders_for(self, claim: Claim, wanted: list[SlotRow]) -> dict[Limit, str] | None:
        """Who lends what, where all that is wanted can be had; else None."""
        may_overtake = self._holds_something(claim)
        lenders: dict[Limit, str] = {}
        for row in wanted:
            lender = self.lender_of(claim, row.limit)
            if lender is not None and self._lent[lender.claim_id, row.limit] + row.occupy <= lender.occupy:
                lenders[row.limit] = lender.claim_id
                continue
            is_behind = row.limit in self._queued and not may_overtake
            if is_behind or self._taken[row.limit] + row.occupy > self._slots(row):
                return None
        return lenders

    def lender_of(self, claim: Claim, limit: Limit) -> SlotRow | None:
        """The innermost one around a claim that holds slots of that limit."""
        around = [row for row in self._held.get(limit, ()) if _is_around(row, claim)]
        return max(around, key=lambda row: row.seq, default=None)

    def _holds_something(self, claim: Claim) -> bool:
        if not (claim.runs_around or claim.claims_around):
            return False  # as most
        return any(_is_around(row, claim) for rows in self._held.values() for row in rows)

    def _slots(self, row: SlotRow) -> float:
        """How many the limit has; a tag's that is kept no longer has no end."""
        return self._tag_limits.get(row.name, float("inf")) if row.slots is None else row.slots


def _is_around(row: SlotRow, claim: Claim) -> bool:
    if row.claim_id == claim.id:
        return False
    is_of_run = row.kind == LimitKind.TAG and row.run_id in claim.runs_around
    return is_of_run or row.claim_id in claim.claims_around
