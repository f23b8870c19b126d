"""How much there is in a journal that has not ended, in a few numbers. Each function reads on a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import runs as r
from actwright.models.deliveries import DeliveryStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

__all__ = ["open_runs_by_state", "unsettled_hooks_by_status"]

_ENDED_WELL: Final = (DeliveryStatus.SUCCEEDED.value, DeliveryStatus.SKIPPED.value)


def open_runs_by_state(connection: Connection) -> dict[str, int]:
    """The name of a state -> how many runs, of flows and tasks, are in it and have not ended."""
    query = select(r.c.state_name, func.count()).where(r.c.ended_at.is_(None))
    return _counts(connection, query.group_by(r.c.state_name).order_by(r.c.state_name))


def unsettled_hooks_by_status(connection: Connection) -> dict[str, int]:
    """DUE, RUNNING, FAILED -> how many deliveries are."""
    statuses = [status.value for status in DeliveryStatus if status.value not in _ENDED_WELL]
    query = select(d.c.status, func.count()).where(d.c.status.in_(statuses)).group_by(d.c.status)
    found = _counts(connection, query)
    return {status: found.get(status, 0) for status in statuses}


def _counts(connection: Connection, query: Select[Any]) -> dict[str, int]:
    return {name: count for name, count in connection.execute(query)}  # noqa: C416  # rows are no pairs to a type checker
