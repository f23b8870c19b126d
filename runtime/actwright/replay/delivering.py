"""Running hooks that are due for runs of a process that is gone, through the same actors as any other hook."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self, cast

import anyio

from actwright.authoring.entry import Call
from actwright.engine.bodies import OnLoop
from actwright.engine.host import Host
from actwright.engine.live_run import LiveRun, Origin
from actwright.engine.options import RuntimeOptions
from actwright.engine.outbox import Batch, Due
from actwright.replay.registered import RegisteredObjects
from actwright.replay.settling import backend_of, next_work
from actwright.replay.stand_ins import stand_in_for
from actwright.settings import get_current_settings
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from actwright.authoring.runnable import Runnable
    from actwright.journal.sql_journal import SqlJournal
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.replay.settling import OpenDelivery
    from actwright.replay.takeover import Takeover
    from actwright_actors.backends import BackendName

__all__ = ["deliver"]


def deliver(journal: SqlJournal, takeover: Takeover) -> None:
    """Run the hooks that may share this process, to their end. Blocks.

    Raises:
        Fenced: another process has taken the node over in the meantime.
    """
    work = next_work(takeover.due)
    backend = backend_of((work or takeover.given_up)[0]) or get_current_settings().background_backend
    name, options = backend_options(cast("BackendName", backend))
    anyio.run(partial(_deliver, journal, takeover, work), backend=name, backend_options=options)


async def _deliver(journal: SqlJournal, takeover: Takeover, work: Sequence[OpenDelivery]) -> None:
    async with Host(RuntimeOptions.of({"journal": journal})) as host, anyio.create_task_group() as tasks:
        revived = _Revived(host, journal)
        runs = [_Replay.of(revived, dues) for dues in _by_run([*takeover.given_up, *work])]
        for replay in runs:
            tasks.start_soon(replay.deliver, host, [other for other in runs if replay.run in other.ancestors])
    journal.check()


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """What is due for one run."""

    run: LiveRun
    batches: list[Batch]
    done: anyio.Event

    @classmethod
    def of(cls, revived: _Revived, dues: Iterable[OpenDelivery]) -> Self:
        batches = [revived.batch(of_one) for of_one in _by_transition(dues)]
        return cls(batches[0].run, batches, anyio.Event())

    @property
    def ancestors(self) -> set[LiveRun]:
        found: set[LiveRun] = set()
        run = self.run.parent
        while run is not None:
            found.add(run)
            run = run.parent
        return found

    async def deliver(self, host: Host, children: Iterable[_Replay]) -> None:
        """One transition after another, once the hooks of all that the run called are done: as it is in a process that
        lives."""
        for child in children:
            await child.done.wait()
        for batch in self.batches:
            await host.delivered(batch)
        self.done.set()


def _by_run(work: Iterable[OpenDelivery]) -> Iterable[list[OpenDelivery]]:
    """Those of one run are run one after another, those of different runs side by side, in the order of the first."""
    runs: dict[UUID, list[OpenDelivery]] = {}
    for due in work:
        runs.setdefault(due.run.id, []).append(due)
    return runs.values()


def _by_transition(work: Iterable[OpenDelivery]) -> list[list[OpenDelivery]]:
    return [list(dues) for _, dues in groupby(work, key=lambda due: due.delivery.transition_id)]


class _Revived:
    """Runs of the process that is gone, with as much of the engine's record of them as a hook can see."""

    def __init__(self, host: Host, journal: SqlJournal) -> None:
        self._host = host
        self._journal = journal
        self._objects = RegisteredObjects(journal.database)
        self._runs: dict[UUID, LiveRun] = {}

    def batch(self, dues: Sequence[OpenDelivery]) -> Batch:
        """The hooks of one transition."""
        first = dues[0]
        run = self._run(first.run, self._objects.subject(first.known.subject))
        told = first.known.on_hook_failure
        batch = Batch(
            run,
            first.run,
            [Due(due.delivery, self._objects.hook(due.hook), due.registered.runtime_wide) for due in dues],
            on_hook_failure=None if told is None else self._objects.hook(told),
        )
        run.outbox.append(batch)
        return batch

    def _run(self, run: FlowRun | TaskRun, subject: Runnable[..., Any]) -> LiveRun:
        if run.id not in self._runs:
            origin = Origin(self._parent(run), contextvars.copy_context())
            live = LiveRun(self._host, Call(subject, run.parameters), run, origin, OnLoop())
            live.future.set_result(run.state)
            self._runs[run.id] = live
        return self._runs[run.id]

    def _parent(self, run: FlowRun | TaskRun) -> LiveRun | None:
        """The run around it, for `actwright.runtime` to tell of."""
        parent = None if run.parent_id is None else self._journal.run(run.parent_id)
        return None if parent is None else self._run(parent, stand_in_for(parent))
