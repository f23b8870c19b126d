"""Taking over a node that died: one transaction that raises its epoch and settles what it left."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import and_, select

from actwright.authoring.registration import Registration
from actwright.journal import reading, submissions
from actwright.journal.batch import Batch, Entry
from actwright.journal.commands import open_commands
from actwright.journal.protocol import CommandAnswered, DeliveryChanged
from actwright.journal.reading import runs_with_cause
from actwright.journal.rows import delivery_of, run_of
from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import runs as r
from actwright.journal.schema import stored_objects
from actwright.journal.schema import transitions as t
from actwright.journal.slots import free_nodes
from actwright.journal.statements import write
from actwright.models.commands import Answer, Command, CommandKind, Outcome
from actwright.models.deliveries import DeliveryStatus
from actwright.models.outcomes import described
from actwright.nodes import rows
from actwright.replay.settling import OpenDelivery, OpenRun, settled_delivery, settled_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Select

    from actwright.journal.database import Database
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.nodes.rows import NodeRow

__all__ = ["Registrations", "Takeover", "open_deliveries", "take_over"]

logger = logging.getLogger("actwright.replay")


@dataclass(frozen=True, slots=True)
class Takeover:
    """A node that this process goes on as.

    Attributes:
        node: as it is now, under its new epoch.
        due: its open deliveries, in the order in which they became due.
        callers: of each run for which something is due, and of those around it, the one that called it.
    """

    node: NodeRow
    due: list[OpenDelivery]
    callers: Mapping[UUID, UUID | None]


class Registrations:
    """The hooks that were registered for runs; each registration is read once.

    Args:
        connection: to the journal's database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Registration | None] = {}

    def of_runs(self, ids: Select[Any]) -> dict[UUID, Registration | None]:
        """What was registered for the runs whose ids a query finds; None for one that has no hooks."""
        found = self._connection.execute(select(r.c.id, r.c.registration).where(r.c.id.in_(ids)))
        return {UUID(id): self.get(hash) for id, hash in found}

    def get(self, hash: str | None) -> Registration | None:
        """A registration by its hash; None also where it cannot be read."""
        if hash is None:
            return None
        if hash not in self._known:
            self._known[hash] = self._read(hash)
        return self._known[hash]

    def _read(self, hash: str) -> Registration | None:
        query = select(stored_objects.c.payload).where(stored_objects.c.hash == hash)
        try:
            return Registration.from_json(self._connection.execute(query).scalar_one().decode())
        except Exception as error:  # of one run: the hooks of all others are to run
            logger.error("The hooks that were registered under %s cannot be read: %s", hash, described(error))
            return None


def take_over(database: Database, node_id: str, max_deaths: int) -> Takeover:
    """Settle what a dead node left, under a new epoch, in one transaction.

    Only for whoever holds the node's lock, or was told to by whoever does.

    Raises:
        LookupError: there is no such node.
    """
    with database.writing() as connection:
        found = rows.read(connection, node_id)
        if found is None:
            raise LookupError(f"There is no node {node_id} in {database.path}.")
        node = replace(found, epoch=rows.take_over(connection, node_id))
        free_nodes(connection, [node_id])  # what it held, and waited for
        at = datetime.now(UTC)
        registrations = Registrations(connection)
        _settle_deliveries(connection, registrations, node_id, max_deaths, at)
        _settle_runs(connection, registrations, node, at)
        due = open_deliveries(connection, registrations, node_id)
        callers = reading.callers(connection, select(d.c.run_id).where(_is_open(node_id)))
    return Takeover(node, due, callers)


def _is_open(node_id: str) -> ColumnElement[bool]:
    return and_(d.c.node_id == node_id, d.c.status.in_([DeliveryStatus.DUE.value, DeliveryStatus.RUNNING.value]))


def open_deliveries(connection: Connection, registrations: Registrations, node_id: str) -> list[OpenDelivery]:
    """What is due, or was under way, on a node, in the order in which it became due."""
    is_open = _is_open(node_id)
    query = select(d).join(t, t.c.id == d.c.transition_id).where(is_open).order_by(t.c.seq, d.c.position)
    deliveries = [delivery_of(row) for row in connection.execute(query).mappings()]
    entered = reading.runs_as_they_were(connection, select(d.c.transition_id).where(is_open))
    known = registrations.of_runs(select(d.c.run_id).where(is_open))
    return [OpenDelivery(delivery, entered[delivery.transition_id], known[delivery.run_id]) for delivery in deliveries]


def _settle_deliveries(
    connection: Connection, registrations: Registrations, node_id: str, max_deaths: int, at: datetime
) -> None:
    found = open_deliveries(connection, registrations, node_id)
    changes = tuple(DeliveryChanged(_settled(each, max_deaths, at)) for each in found)
    _write(connection, Entry(changes, ()), node_id)


def _settled(each: OpenDelivery, max_deaths: int, at: datetime) -> HookDelivery:
    if each.registration is None:
        # Whom to tell is in there too.
        lost = each.delivery.changed(replayed=True, untold=None)
        return lost.failed(at, "what was registered for its run cannot be read")
    tells = each.known.on_hook_failure is not None
    return settled_delivery(each.delivery, each.hook, max_deaths, at, tells=tells)


def _settle_runs(connection: Connection, registrations: Registrations, node: NodeRow, at: datetime) -> None:
    query = runs_with_cause().where(r.c.node_id == node.id, r.c.ended_at.is_(None))
    found = {row["id"]: row for row in connection.execute(query).mappings()}
    open_runs = [OpenRun(run_of(row), registrations.get(row["registration"])) for row in found.values()]
    why = f"Its process (pid {node.pid} on {node.host}) died."
    asked = open_commands(connection, node.id)
    cancels = {
        command.run_id: command.reason
        for command in reversed(asked)  # the first one's reason counts
        if command.kind is CommandKind.CANCEL
    }
    crash_retries = submissions.crash_retries_left(connection, [each.run.id for each in open_runs])
    settled = settled_runs(open_runs, why, at, cancels, crash_retries)
    parameters = tuple(str(found[str(each.run.id)]["parameters"]) for each in settled.steps)
    _write(connection, Entry(tuple(settled.steps), parameters), node.id)
    submissions.put_back(connection, settled.unbegun)
    submissions.put_back(connection, settled.retried, deaths=1)
    _answer(connection, node, asked, at)


def _answer(connection: Connection, node: NodeRow, asked: Iterable[Command], at: datetime) -> None:
    states = {each.run_id: reading.run(connection, each.run_id) for each in asked}
    answers = (CommandAnswered(each.id, at, _answer_for_the_dead(each, states[each.run_id])) for each in asked)
    _write(connection, Entry(tuple(answers), ()), node.id)


def _answer_for_the_dead(command: Command, run: FlowRun | TaskRun | None) -> Answer:
    """What whoever asked something of a run hears whose process died before it answered, from what became of it."""
    if run is None or command.kind is not CommandKind.CANCEL:
        return Answer(Outcome.REFUSED, "its process died before it answered.")
    return Answer(Outcome.ACCEPTED) if run.state.is_cancelled() else Answer(Outcome.FINAL, run.state.name)


def _write(connection: Connection, entry: Entry, node_id: str) -> None:
    write(connection, Batch.of([entry], node_id))
