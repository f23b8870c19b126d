"""How much there is in a journal that has not ended, in a few numbers. Each function reads on a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import runs as r
from actwright.models.deliveries import DeliveryStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["open_runs_by_state", "unsettled_hooks_by_status"]

_ENDED_WELL: Final = (DeliveryStatus.SUCCEEDED.value, DeliveryStatus.SKIPPED.value)


def open_runs_by_state(connection: Connection) -> dict[str, int]:
    """The name of a state -> how many runs, of flows and tasks, are in it and have not ended."""
    query = select(r.c.state_name, func.count().label("number")).where(r.c.ended_at.is_(None))
    found = connection.execute(query.group_by(r.c.state_name).order_by(r.c.state_name)).mappings()
    return {row["state_name"]: row["number"] for row in found}


def unsettled_hooks_by_status(connection: Connection) -> dict[str, int]:
    """DUE, RUNNING, FAILED -> how many deliveries are."""
    statuses = [status.value for status in DeliveryStatus if status.value not in _ENDED_WELL]
    query = select(d.c.status, func.count().label("number")).where(d.c.status.in_(statuses)).group_by(d.c.status)
    found = {row["status"]: row["number"] for row in connection.execute(query).mappings()}
    return {status: found.get(status, 0) for status in statuses}
