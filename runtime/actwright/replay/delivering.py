"""Running hooks that are due for runs of a process that is gone, through the same actors as any other hook."""

from __future__ import annotations

import contextvars
from collections import defaultdict
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
from actwright.replay.takeover import Registrations
from actwright.settings import get_current_settings
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
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
        dues = [*takeover.given_up, *work]
        revived = _Revived(host, journal, dues)
        replays = {replay.run: replay for replay in (_Replay.of(revived, of_one) for of_one in _by_run(dues))}
        children: dict[LiveRun | None, list[_Replay]] = defaultdict(list)
        for replay in replays.values():
            children[replay.nearest_around(replays)].append(replay)
        for run, replay in replays.items():
            tasks.start_soon(replay.deliver, host, children[run])
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

    def nearest_around(self, runs: Container[LiveRun]) -> LiveRun | None:
        """Of these runs the nearest around this one: that waits for it, and those around that one for that one."""
        run = self.run.parent
        while run is not None and run not in runs:
            run = run.parent
        return run

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
    """Runs of the process that is gone, with as much of the engine's record of them as a hook can see.

    Args:
        dues: what is to be delivered here.
    """

    def __init__(self, host: Host, journal: SqlJournal, dues: Iterable[OpenDelivery]) -> None:
        self._host = host
        self._journal = journal
        self._objects = RegisteredObjects(journal.database)
        self._known = {due.run.id: due.known for due in dues}
        self._runs: dict[UUID, LiveRun] = {}

    def batch(self, dues: Sequence[OpenDelivery]) -> Batch:
        """The hooks of one transition."""
        first = dues[0]
        run = self._run(first.run)
        told = first.known.on_hook_failure
        batch = Batch(
            run,
            first.run,
            [Due(due.delivery, self._objects.hook(due.hook), due.registered.runtime_wide) for due in dues],
            on_hook_failure=None if told is None else self._objects.hook(told),
        )
        run.outbox.append(batch)
        return batch

    def _run(self, run: FlowRun | TaskRun) -> LiveRun:
        """With those around it, for `actwright.runtime` to tell of; the outermost first, since they may be many."""
        missing: list[FlowRun | TaskRun] = []
        above: FlowRun | TaskRun | None = run
        while above is not None and above.id not in self._runs:
            missing.append(above)
            above = None if above.parent_id is None else self._journal.run(above.parent_id)
        parent = None if above is None else self._runs[above.id]
        for each in reversed(missing):
            parent = self._runs[each.id] = self._revive(each, parent)
        return self._runs[run.id]

    def _revive(self, run: FlowRun | TaskRun, parent: LiveRun | None) -> LiveRun:
        origin = Origin(parent, contextvars.copy_context())
        live = LiveRun(self._host, Call(self._subject(run), run.parameters), run, origin, OnLoop())
        live.future.set_result(run.state)
        return live

    def _subject(self, run: FlowRun | TaskRun) -> Runnable[..., Any]:
        """Its flow or task, where that was registered together with hooks."""
        registration = self._known.get(run.id)
        if registration is None:
            with self._journal.database.reading() as connection:
                registration = Registrations(connection).of_run(run.id)
        return stand_in_for(run) if registration is None else self._objects.subject(registration.subject)
