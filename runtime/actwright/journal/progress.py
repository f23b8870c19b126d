"""How a run gets on: what it, what it called and their hooks went through, read bit by bit."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import select

from actwright.journal.queries import deliveries_where, last_seq, runs_where, tree_of
from actwright.journal.rows import id_or_none, run_as_it_was
from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import runs as r
from actwright.journal.schema import transitions as t

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from actwright.journal.queries import FoundDelivery, FoundRun
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["Entered", "Event", "HookChanged", "Progress", "chunks"]

_MOST_KEYS: Final = 1_000
"""Of one statement: SQLite takes 32,766 values."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A run entered a state.

    Attributes:
        run: as it was then.
    """

    run: FlowRun | TaskRun

    @property
    def at(self) -> datetime:
        return self.run.state.timestamp


@dataclass(frozen=True, slots=True)
class HookChanged:
    """A delivery became due, was begun, or ended. What was over between two looks is not seen."""

    found: FoundDelivery

    @property
    def at(self) -> datetime:
        delivery = self.found.delivery
        times = (delivery.due_at, delivery.started_at, delivery.ended_at)
        return max(time for time in times if time is not None)


Event: TypeAlias = Entered | HookChanged


class Progress:
    """A run with all that it called, and their hooks, as they were when history was last looked into.

    A look costs what has been written since the one before, however much there is already.

    Attributes:
        runs: each as it is now, by id; callers before what they called. Without the run itself, it is not there (any
            more).
        deliveries: each as it is now, by id.
    """

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        self.runs: dict[UUID, FoundRun] = {}
        self.deliveries: dict[UUID, FoundDelivery] = {}
        self._open: set[str] = set()  # the ids of deliveries that have not ended
        self._seq: int | None = None

    @property
    def root(self) -> FoundRun | None:
        """The run itself."""
        return self.runs.get(self.run_id)

    @property
    def is_over(self) -> bool:
        """Whether the run is final, and no hook of it or of what it called is due or running."""
        root = self.root
        return root is not None and root.run.state.is_final() and not self._open

    def look(self, connection: Connection) -> list[Event]:
        """What is new since the last look, oldest first; at the first, all there is. In one transaction."""
        if self._seq is None:
            return self._look_at_all(connection)
        entered = self._entered_since(connection, self._seq)
        runs = [
            found
            for ids in chunks({row["run_id"] for row in entered})
            for found in runs_where(connection, r.c.id.in_(ids))
        ]
        due = d.c.transition_id
        hooks = [
            found
            for column, keys in ((due, [row["id"] for row in entered]), (d.c.id, self._open))
            for ids in chunks(keys)
            for found in deliveries_where(connection, column.in_(ids))
        ]
        if (root := runs_where(connection, r.c.id == str(self.run_id))) == []:
            self.runs.pop(self.run_id, None)
        return self._changed([*root, *runs], entered, hooks)

    def _look_at_all(self, connection: Connection) -> list[Event]:
        within = tree_of(str(self.run_id))
        self._seq = last_seq(connection)
        runs = runs_where(connection, r.c.id.in_(within))
        rows = connection.execute(_ENTERED.where(t.c.run_id.in_(within))).mappings().all()
        return self._changed(runs, rows, deliveries_where(connection, d.c.run_id.in_(within)))

    def _entered_since(self, connection: Connection, seq: int) -> list[Any]:
        """The transitions of the tree after that place: of runs that are known, or called by one that is."""
        rows = connection.execute(_ENTERED.where(t.c.seq > seq)).mappings().all()
        new: set[UUID | None] = {self.run_id}
        found: list[Any] = []
        for row in rows:
            run_id = UUID(row["run_id"])
            caller = id_or_none(row["parent_task_run_id"] or row["parent_flow_run_id"])
            if run_id in self.runs or caller in self.runs or run_id in new or caller in new:
                new.add(run_id)
                found.append(row)
        if rows:
            self._seq = rows[-1]["seq"]
        return found

    def _changed(self, runs: Iterable[FoundRun], entered: Iterable[Any], hooks: Iterable[FoundDelivery]) -> list[Event]:
        for found in sorted(runs, key=lambda each: (each.run.id != self.run_id, each.run.expected_start_time)):
            self.runs[found.run.id] = found
        events: list[Event] = [
            Entered(run_as_it_was(self.runs[run_id].run, row))
            for row in entered
            if (run_id := UUID(row["run_id"])) in self.runs
        ]
        for hook in hooks:
            if self.deliveries.get(hook.delivery.id) != hook:
                self.deliveries[hook.delivery.id] = hook
                (self._open.add if hook.delivery.is_open else self._open.discard)(str(hook.delivery.id))
                events.append(HookChanged(hook))
        return sorted(events, key=attrgetter("at"))  # those of one moment stay in the order of history


_ENTERED: Final = (
    select(t, r.c.result, r.c.parent_flow_run_id, r.c.parent_task_run_id)
    .join(r, r.c.id == t.c.run_id)
    .order_by(t.c.seq)
)


def chunks(keys: Iterable[str]) -> Iterable[Sequence[str]]:
    """These, as many at a time as a statement takes."""
    listed = list(keys)
    return (listed[start : start + _MOST_KEYS] for start in range(0, len(listed), _MOST_KEYS))
