"""Concurrency limits in the journal's database: those of tags, and whose slots are held or waited for.

Each function works on a connection that it is given. What is decided on these rows is decided in `models.slots`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite

from actwright.journal.rows import iso, utf8, words_or_mark
from actwright.journal.schema import slots as s
from actwright.journal.schema import tag_limits as t
from actwright.models.slots import SlotRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from actwright.models.slots import Claim, Grant

__all__ = [
    "FRONT",
    "add_claims",
    "all_rows",
    "free_claims",
    "free_nodes",
    "front_rows",
    "hold",
    "set_tag_limit",
    "tag_limits",
    "traces",
    "unset_tag_limit",
    "waiting_rows",
]

FRONT: Final = 64
"""How many of each queue are read where the first ones are enough."""

_ROWS: Final = select(s).order_by(s.c.seq)
_PLACES: Final = (
    select(s.c.claim_id, func.row_number().over(partition_by=(s.c.kind, s.c.name), order_by=s.c.seq).label("place"))
    .where(s.c.held_since.is_(None))
    .subquery()
)
_FIRST: Final = select(_PLACES.c.claim_id).where(_PLACES.c.place <= FRONT)
_FRONT_ROWS: Final = select(s).where(s.c.held_since.is_not(None) | s.c.claim_id.in_(_FIRST)).order_by(s.c.seq)
_TRACES: Final = select(func.count(), func.max(s.c.seq), func.count(s.c.held_since))
_WAITING: Final = select(func.count()).where(s.c.node_id == bindparam("node"), s.c.held_since.is_(None))
_TAG_LIMITS: Final = select(t.c.tag, t.c.slots).order_by(t.c.tag)
_HOLD: Final = (
    update(s)
    .where(s.c.claim_id == bindparam("claim"), s.c.kind == bindparam("of_kind"), s.c.name == bindparam("of_name"))
    .values(held_since=bindparam("since"), lender=bindparam("lent_by"))
)
_FREE: Final = delete(s).where(s.c.claim_id == bindparam("claim"))
_SET: Final = sqlite.insert(t)
_SET_TAG_LIMIT: Final = _SET.on_conflict_do_update(
    index_elements=["tag"], set_={name: _SET.excluded[name] for name in ("slots", "updated_at")}
)


def all_rows(connection: Connection) -> list[SlotRow]:
    """What is held and what is waited for, in the order in which it was asked for."""
    return [SlotRow._make(row) for row in connection.execute(_ROWS)]


def front_rows(connection: Connection) -> list[SlotRow]:
    """What is held, and of what is waited for the first `FRONT` of each limit."""
    return [SlotRow._make(row) for row in connection.execute(_FRONT_ROWS)]


def traces(connection: Connection) -> tuple[Any, ...]:
    """What differs whenever rows were added or deleted, or are held that were not."""
    return tuple(connection.execute(_TRACES).one())


def waiting_rows(connection: Connection, node_id: str) -> int:
    """How many rows of a node wait."""
    return int(connection.execute(_WAITING, {"node": node_id}).scalar_one())


def add_claims(connection: Connection, node_id: str, claims: Iterable[Claim]) -> None:
    """Put claims at the end of the queue."""
    at = iso(datetime.now(UTC))
    rows: list[dict[str, Any]] = [
        {
            "claim_id": claim.id,
            "node_id": node_id,
            "kind": str(want.limit.kind),
            "name": utf8(want.limit.name),
            "occupy": want.occupy,
            "slots": want.slots,
            "run_id": claim.run_id,
            "title": utf8(claim.title),
            "asked_at": at,
        }
        for claim in claims
        for want in claim.wants
    ]
    if rows:
        connection.execute(insert(s), rows)


def hold(connection: Connection, granted: Iterable[Grant]) -> None:
    """Note that claims have what they want."""
    at = iso(datetime.now(UTC))
    rows: list[dict[str, Any]] = [
        {
            "claim": grant.claim.id,
            "of_kind": str(want.limit.kind),
            "of_name": utf8(want.limit.name),
            "since": at,
            "lent_by": grant.lenders.get(want.limit),
        }
        for grant in granted
        for want in grant.claim.wants
    ]
    if rows:
        connection.execute(_HOLD, rows)


def free_claims(connection: Connection, claims: Iterable[str]) -> None:
    """Forget claims, held or not."""
    if rows := [{"claim": claim} for claim in claims]:
        connection.execute(_FREE, rows)


def free_nodes(connection: Connection, node_ids: Sequence[str]) -> None:
    """Forget what these nodes hold, and wait for: their processes are dead."""
    connection.execute(delete(s).where(s.c.node_id.in_(node_ids)))


def tag_limits(connection: Connection) -> dict[str, int]:
    """Tag -> slots, of each tag that has a limit; sorted."""
    return {words_or_mark(tag): slots for tag, slots in connection.execute(_TAG_LIMITS) if isinstance(slots, int)}


def set_tag_limit(connection: Connection, tag: str, slots: int) -> None:
    """Limit a tag, or change its limit."""
    connection.execute(_SET_TAG_LIMIT, {"tag": utf8(tag), "slots": slots, "updated_at": iso(datetime.now(UTC))})


def unset_tag_limit(connection: Connection, tag: str) -> bool:
    """Limit a tag no longer; whether it was."""
    return connection.execute(delete(t).where(t.c.tag == utf8(tag))).rowcount > 0
