"""What services say of themselves, in the database of the journal. Each function works on a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import delete, select
from sqlalchemy.dialects import sqlite

from actwright.journal.rows import iso, time_or_none
from actwright.journal.schema import nodes
from actwright.journal.schema import services as s
from actwright.models.health import Health

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

__all__ = ["KnownService", "every", "forget", "note"]


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service, as it was when it was last heard of.

    Attributes:
        said_at: when that was; None where that cannot be read.
        health: None where it cannot be read: another version may have other words.
    """

    id: str
    node_id: str
    said_at: datetime | None
    health: Health | None


def note(connection: Connection, service_id: str, node_id: str, health: Health) -> None:
    """Note how a service is, in the place of what it said before; and forget those whose processes have died, with
    nothing left to do for them."""
    values = {"id": service_id, "node_id": node_id, "said_at": iso(health.at), "health": health.model_dump_json()}
    put = sqlite.insert(s).values(values)
    changes = {name: put.excluded[name] for name in ("said_at", "health")}
    connection.execute(put.on_conflict_do_update(index_elements=["id"], set_=changes))
    alive = select(nodes.c.id).where(nodes.c.settled_at.is_(None))
    connection.execute(delete(s).where(s.c.node_id.not_in(alive), s.c.id != service_id))


def forget(connection: Connection, service_id: str) -> None:
    """A service has ended well."""
    connection.execute(delete(s).where(s.c.id == service_id))


def every(connection: Connection) -> list[KnownService]:
    """All that have not ended well, and those that died are among them; those heard of first come first."""
    rows = connection.execute(select(s).order_by(s.c.said_at, s.c.id)).mappings()
    return [
        KnownService(row["id"], row["node_id"], time_or_none(row["said_at"]), _health_or_none(row["health"]))
        for row in rows
    ]


def _health_or_none(text: str) -> Health | None:
    try:
        return Health.model_validate_json(text)
    except ValidationError:
        return None
