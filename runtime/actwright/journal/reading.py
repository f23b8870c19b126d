"""What is asked of the journal's database. Each function reads on a connection that it is given."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from actwright.journal.protocol import LogLine, Transition
from actwright.journal.rows import delivery_of, id_or_none, line_of, run_as_it_was, run_of
from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import logs
from actwright.journal.schema import runs as r
from actwright.journal.schema import transitions as t
from actwright.models.events import RunEvent

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun

__all__ = [
    "callers", "deliveries", "events", "lines", "run", "runs", "runs_as_they_were", "runs_with_cause", "transitions"
]  # fmt: skip


def runs_with_cause() -> Select[Any]:
    """Every run, with the cause of its state."""
    return select(r, t.c.cause).join(t, t.c.id == r.c.state_id)


def run(connection: Connection, run_id: UUID) -> FlowRun | TaskRun | None:
    """A run as it last was, or None."""
    row = connection.execute(runs_with_cause().where(r.c.id == str(run_id))).mappings().first()
    return None if row is None else run_of(row)


def runs(connection: Connection) -> list[FlowRun | TaskRun]:
    """All runs, in the order in which they came to be."""
    first = select(t.c.run_id, t.c.seq.label("seq")).where(t.c.type.in_(("PENDING", "SCHEDULED")), t.c.run_count == 0)
    begun = first.subquery()
    query = runs_with_cause().join(begun, begun.c.run_id == r.c.id).order_by(begun.c.seq)
    return [run_of(row) for row in connection.execute(query).mappings()]


def transitions(connection: Connection, run_id: UUID) -> list[Transition]:
    """What the run went through, in order."""
    now = run(connection, run_id)
    if now is None:
        return []
    query = select(t, r.c.result).join(r, r.c.id == t.c.run_id).where(t.c.run_id == str(run_id)).order_by(t.c.seq)
    due: defaultdict[str, list[HookDelivery]] = defaultdict(list)
    for delivery in deliveries(connection, run_id):
        due[str(delivery.transition_id)].append(delivery)
    rows = connection.execute(query).mappings()
    return [Transition(run_as_it_was(now, row), tuple(due[row["id"]])) for row in rows]


def events(connection: Connection, run_id: UUID, since: int) -> list[RunEvent] | None:
    """What the run went through after that place in history; None when it is final and that is nothing."""
    now = run(connection, run_id)
    if now is None:
        return []
    query = select(t, r.c.result).join(r, r.c.id == t.c.run_id).where(t.c.run_id == str(run_id), t.c.seq > since)
    rows = connection.execute(query.order_by(t.c.seq)).mappings()
    then = ((row["seq"], run_as_it_was(now, row)) for row in rows)
    found = [RunEvent(seq, run_id, was.state, was.run_count) for seq, was in then]
    return None if now.state.is_final() and not found else found


def runs_as_they_were(connection: Connection, transition_ids: Select[Any]) -> dict[UUID, FlowRun | TaskRun]:
    """State id -> the run when it entered that state, for the transitions whose ids a query finds.

    In as many statements for one as for thousands: their hooks wait for it.
    """
    query = select(t, r.c.result).join(r, r.c.id == t.c.run_id).where(t.c.id.in_(transition_ids))
    rows = connection.execute(query).mappings().all()
    of_these = runs_with_cause().where(r.c.id.in_(select(t.c.run_id).where(t.c.id.in_(transition_ids))))
    now = {row["id"]: run_of(row) for row in connection.execute(of_these).mappings()}
    return {UUID(row["id"]): run_as_it_was(now[row["run_id"]], row) for row in rows}


def callers(connection: Connection, run_ids: Select[Any]) -> dict[UUID, UUID | None]:
    """Of each run whose id a query finds, and of those around it, the one that called it."""
    caller = func.coalesce(r.c.parent_task_run_id, r.c.parent_flow_run_id).label("caller")
    line = select(r.c.id, caller).where(r.c.id.in_(run_ids)).cte(recursive=True)
    line = line.union(select(r.c.id, caller).join(line, r.c.id == line.c.caller))
    found = connection.execute(select(line.c.id, line.c.caller))
    return {UUID(id): id_or_none(above) for id, above in found}


def deliveries(connection: Connection, run_id: UUID | None = None) -> list[HookDelivery]:
    """The deliveries of one run, or all, in the order in which they became due."""
    query = select(d).join(t, t.c.id == d.c.transition_id).order_by(t.c.seq, d.c.position)
    if run_id is not None:
        query = query.where(d.c.run_id == str(run_id))
    return [delivery_of(row) for row in connection.execute(query).mappings()]


def lines(connection: Connection, run_id: UUID) -> list[LogLine]:
    """What the run logged, in order."""
    query = select(logs).where(logs.c.run_id == str(run_id)).order_by(logs.c.seq)
    return [line_of(row) for row in connection.execute(query).mappings()]
