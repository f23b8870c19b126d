"""How far schedules have been seen to, in the database of the journal. Each function works on a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from actwright.journal.rows import iso
from actwright.journal.schema import schedules as s

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Mark", "begin_anew", "mark_of", "note_through"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a schedule stands.

    Attributes:
        known_since: when its present rule was first seen.
        through: up to there all its times are settled; None if none is.
    """

    known_since: datetime
    through: datetime | None = None


def mark_of(connection: Connection, name: str, rule: str, now: datetime) -> Mark:
    """Where it stands; at `now` where the schedule is new, or has another rule than it had."""
    row = connection.execute(select(s).where(s.c.name == name)).mappings().one_or_none()
    if row is None:
        connection.execute(insert(s).values(name=name, rule=rule, known_since=iso(now)))
        return Mark(now)
    if row["rule"] != rule:
        changed = {"rule": rule, "known_since": iso(now), "through": None}
        connection.execute(update(s).where(s.c.name == name).values(changed))
        return Mark(now)
    through = None if row["through"] is None else datetime.fromisoformat(row["through"])
    return Mark(datetime.fromisoformat(row["known_since"]), through)


def begin_anew(connection: Connection, name: str, moment: datetime) -> None:
    """Forget what was noted before: it was noted by a clock that was wrong."""
    connection.execute(update(s).where(s.c.name == name).values(known_since=iso(moment), through=iso(moment)))


def note_through(connection: Connection, name: str, through: datetime) -> None:
    """All its times up to there are settled."""
    connection.execute(update(s).where(s.c.name == name).values(through=iso(through)))
