"""A node that died: its process wrote what it did, and is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from tests.journal.records import NOW, delivery_for, new_run

from actwright.authoring.hooks import Hook
from actwright.authoring.registration import Registration, due_for
from actwright.journal.database import Database
from actwright.journal.protocol import DeliveryChanged, Record, Transition
from actwright.journal.schema import hook_deliveries, nodes, runs, transitions
from actwright.journal.sql_journal import SqlJournal
from actwright.models.deliveries import HookDelivery
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import Running, State
from actwright.nodes import rows
from actwright.nodes.program import Program

__all__ = ["DeadNode", "dead_node", "entering"]

NODE = "node-1"


@dataclass(frozen=True, slots=True)
class DeadNode:
    """Its journal; `write` is what its process did before it died."""

    database: Database
    id: str = NODE

    def write(self, *records: Record) -> None:
        journal = SqlJournal(self.database, self.id, self.epoch)
        journal.append(*records)
        journal.close()

    @property
    def epoch(self) -> int:
        with self.database.reading() as connection:
            return int(connection.execute(select(nodes.c.epoch)).scalar_one())

    @property
    def is_settled(self) -> bool:
        with self.database.reading() as connection:
            return connection.execute(select(nodes.c.settled_at)).scalar_one() is not None

    def states(self) -> dict[UUID, str]:
        with self.database.reading() as connection:
            return {UUID(row.id): row.state_name for row in connection.execute(select(runs.c.id, runs.c.state_name))}

    def entered(self) -> list[tuple[UUID, str]]:
        """Which runs entered which states, in order."""
        query = select(transitions.c.run_id, transitions.c.name).order_by(transitions.c.seq)
        with self.database.reading() as connection:
            return [(UUID(row.run_id), row.name) for row in connection.execute(query)]

    def deliveries(self) -> dict[UUID, tuple[str, int, int]]:
        """Each one's status, attempt and cuts."""
        query = select(hook_deliveries)
        with self.database.reading() as connection:
            found = connection.execute(query).mappings()
            return {UUID(row["id"]): (row["status"], row["attempt"], row["cuts"]) for row in found}


@contextmanager
def dead_node(folder: Path) -> Generator[DeadNode]:
    with closing(Database.open(folder / "home" / "actwright.db")) as database:
        with database.writing() as connection:
            rows.add(connection, NODE, os.getpid(), socket.gethostname(), Program.of_this_process())
        yield DeadNode(database)


def entering(
    state: State[Any],
    subject: Any,
    *,
    backend: str = "asyncio",
    run: FlowRun | TaskRun | None = None,
    begun: int = 0,
    on_hook_failure: Any = None,
) -> tuple[Any, list[HookDelivery], list[Record]]:
    """A run of `subject` that has entered `state`, its deliveries, and what it wrote; of the first `begun` of these
    the hooks were under way."""
    told = None if on_hook_failure is None else Hook(on_hook_failure)
    registration = Registration.of(subject, {}, told, backend=backend)
    first: Any = run or new_run(flow_name=subject.name)
    steps = [first] if state.is_pending() or state.is_running() else [first, first.entered(Running())]
    last = steps[-1] if state.is_pending() else steps[-1].entered(state)
    dues = [
        delivery_for(last, due.position, due.event, hook_name=due.name, due_at=NOW)
        for due in due_for(registration, last.state)
    ]
    records: list[Record] = [Transition(step, (), registration) for step in steps]
    if last is not steps[-1]:
        records.append(Transition(last, tuple(dues), registration))
    dues[:begun] = [due.started(NOW) for due in dues[:begun]]
    records += [DeliveryChanged(due) for due in dues[:begun]]
    return last, dues, records
