"""Whether a journal is what it should be: its pages, its rows, and what its rows say of each other."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, exists, func, or_, select, text

from actwright.journal import keeping
from actwright.journal.invariants import DeliveryRow, Entry, Finding, broken_in_delivery, broken_in_history
from actwright.journal.rows import unreadable, words_or_mark
from actwright.journal.schema import hook_deliveries, nodes, runs, stored_objects, transitions
from actwright.models.deliveries import DeliveryStatus
from actwright.models.values_at_rest import UNREADABLE, kept_parameters, tags_from_rest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actwright.journal.database import Database

__all__ = ["check"]

_OPEN: Final = (DeliveryStatus.DUE.value, DeliveryStatus.RUNNING.value)


def check(database: Database) -> list[Finding]:
    """What in the journal cannot be, damaged pages first; an empty list when all is well. It sees one moment.

    Raises:
        JournalCorrupt: it is damaged so that it cannot be read at all.
    """
    with database.reading() as connection:
        damage = [said for said in connection.scalars(text("PRAGMA integrity_check")) if said != "ok"]
        if damage:  # what rows say is worth nothing then
            return [Finding("the file is whole", str(database.path), said) for said in damage]
        return [
            *_unreadable_runs(connection),
            *_broken_histories(connection),
            *_broken_deliveries(connection),
            *_younger_callers(connection),
            *_broken_references(connection),
            *_open_in_settled_nodes(connection),
            *_unreadable_kept(connection),
        ]


def _unreadable_runs(connection: Connection) -> Iterator[Finding]:
    """Those with a column that is not what it should be."""
    rule = "a run can be read"
    for row in connection.execute(select(runs)).mappings():
        subject = f"run {row['id']}"
        if UNREADABLE in kept_parameters(row["parameters"]):
            yield Finding(rule, subject, f"its parameters are no JSON object: {_beginning(row['parameters'])}")
        if tags_from_rest(row["tags"]) == [UNREADABLE]:
            yield Finding(rule, subject, f"its tags are no JSON list of words: {_beginning(row['tags'])}")
        for column in unreadable(row):
            yield Finding(rule, subject, f"its {column} cannot be read: {_beginning(row[column])}")


def _unreadable_kept(connection: Connection) -> Iterator[Finding]:
    """Variables and blocks that are no JSON. What they are instead is not shown: it may have been a secret."""
    for variable in keeping.variables(connection):
        if variable.error is not None:
            yield Finding("a variable can be read", f"variable {variable.name}", "its value is no JSON")
        if variable.name == UNREADABLE:
            yield Finding("a variable can be read", f"variable {variable.name}", "its name is no text")
    for block in keeping.blocks(connection):
        if not keeping.is_object(block.document):
            yield Finding("a block can be read", f"block {block.slug}/{block.name}", "its document is no JSON object")
        if UNREADABLE in (block.slug, block.name):
            yield Finding("a block can be read", f"block {block.slug}/{block.name}", "its type or name is no text")


def _beginning(text: Any) -> str:
    said = repr(text)
    return said if len(said) <= 60 else f"{said[:60]}..."


def _broken_histories(connection: Connection) -> Iterator[Finding]:
    entered = (transitions.c.id, transitions.c.type, transitions.c.name, transitions.c.run_count)
    joined = (
        select(runs.c.id, runs.c.state_id, runs.c.state_type, runs.c.state_name, runs.c.run_count, runs.c.ended_at)
        .add_columns(*(column.label(f"entered_{column.name}") for column in entered))
        .outerjoin_from(runs, transitions, transitions.c.run_id == runs.c.id)
        .order_by(runs.c.id, transitions.c.seq)
    )
    for run_id, group in groupby(connection.execute(joined), key=lambda row: row.id):
        rows: list[Row[Any]] = list(group)
        run = rows[0]
        entries = [
            Entry(row.entered_id, row.entered_type, words_or_mark(row.entered_name), row.entered_run_count)
            for row in rows
            if row.entered_id is not None
        ]
        current = Entry(run.state_id, run.state_type, words_or_mark(run.state_name), run.run_count)
        yield from broken_in_history(run_id, current, run.ended_at, entries)


def _broken_deliveries(connection: Connection) -> Iterator[Finding]:
    columns = ("id", "status", "attempt", "started_at", "ended_at", "error", "next_at", "untold")
    for row in connection.execute(select(*(hook_deliveries.c[name] for name in columns))):
        yield from broken_in_delivery(DeliveryRow(*row))


def _younger_callers(connection: Connection) -> Iterator[Finding]:
    """History is a prefix of what happened: who called has a row, and an older one."""
    first = select(transitions.c.run_id, func.min(transitions.c.seq).label("seq")).group_by(transitions.c.run_id)
    own, callers = first.cte("own"), first.cte("callers")
    for caller in (runs.c.parent_flow_run_id, runs.c.parent_task_run_id):
        younger = (
            select(runs.c.id, caller)
            .join_from(runs, own, own.c.run_id == runs.c.id)
            .outerjoin(callers, callers.c.run_id == caller)
            .where(caller.is_not(None), or_(callers.c.seq.is_(None), callers.c.seq > own.c.seq))
        )
        for run_id, caller_id in connection.execute(younger):
            detail = f"its caller, run {caller_id}, is not there or came later"
            yield Finding("a run's caller came before it", f"run {run_id}", detail)


def _broken_references(connection: Connection) -> Iterator[Finding]:
    """Rows that lead to one that is not there."""
    its_run = exists().where(runs.c.id == transitions.c.run_id)
    for transition_id, run_id in connection.execute(select(transitions.c.id, transitions.c.run_id).where(~its_run)):
        yield Finding("a transition has its run", f"transition {transition_id}", f"there is no run {run_id}")
    deliveries = hook_deliveries.c
    its_transition = exists().where(
        transitions.c.id == deliveries.transition_id, transitions.c.run_id == deliveries.run_id
    )
    for delivery_id, state_id in connection.execute(
        select(deliveries.id, deliveries.transition_id).where(~its_transition)
    ):
        detail = f"its run did not enter the state {state_id}"
        yield Finding("a delivery has its transition", f"delivery {delivery_id}", detail)
    its_hooks = exists().where(stored_objects.c.hash == runs.c.registration)
    registered = select(runs.c.id, runs.c.registration).where(runs.c.registration.is_not(None))
    for run_id, registration in connection.execute(registered.where(~its_hooks)):
        yield Finding("a run's hooks are stored", f"run {run_id}", f"there is no stored object {registration}")


def _open_in_settled_nodes(connection: Connection) -> Iterator[Finding]:
    rule = "a settled node has nothing open"
    settled = select(nodes.c.id).where(nodes.c.settled_at.is_not(None))
    open_runs = select(runs.c.id, runs.c.node_id, runs.c.state_name).where(
        runs.c.ended_at.is_(None), runs.c.node_id.in_(settled)
    )
    for run_id, node_id, state in connection.execute(open_runs):
        yield Finding(rule, f"run {run_id}", f"it is {state}, and its node {node_id} is settled")
    open_deliveries = select(hook_deliveries.c.id, hook_deliveries.c.node_id, hook_deliveries.c.status).where(
        hook_deliveries.c.status.in_(_OPEN), hook_deliveries.c.node_id.in_(settled)
    )
    for delivery_id, node_id, status in connection.execute(open_deliveries):
        yield Finding(rule, f"delivery {delivery_id}", f"it is {status}, and its node {node_id} is settled")
