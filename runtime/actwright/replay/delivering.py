"""Running hooks that are due for runs of a process that is gone, through the same actors as any other hook."""

from __future__ import annotations

import contextvars
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import anyio

from actwright.authoring.entry import Call
from actwright.engine.ambient import enter, leave
from actwright.engine.bodies import OnLoop
from actwright.engine.host import Host
from actwright.engine.live_run import LiveRun, Origin
from actwright.engine.options import RuntimeOptions
from actwright.engine.outbox import FOREVER, Batch, Due
from actwright.replay.registered import RegisteredObjects
from actwright.replay.settling import LAST_SECONDS, backend_of, next_work
from actwright.replay.stand_ins import stand_in_for
from actwright.settings import get_current_settings
from actwright.telemetry.carriers import go_on_in
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from actwright.authoring.runnable import Runnable
    from actwright.journal.sql_journal import SqlJournal
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.replay.settling import OpenDelivery, Work
    from actwright.replay.takeover import Takeover
    from actwright_actors.backends import BackendName

__all__ = ["deliver"]


def deliver(journal: SqlJournal, takeover: Takeover, delivered: Callable[[], object]) -> None:
    """Run the hooks that may share this process, to their end. Blocks.

    `delivered` is called in the loop, as the last before that closes, whatever happened.

    Raises:
        Fenced: another process has taken the node over in the meantime.
    """
    work = next_work(takeover.due, takeover.callers)
    backend = backend_of(work.due[0]) or get_current_settings().background_backend
    name, options = backend_options(cast("BackendName", backend))
    anyio.run(partial(_deliver, journal, work, delivered), backend=name, backend_options=options)


async def _deliver(journal: SqlJournal, work: Work, delivered: Callable[[], object]) -> None:
    try:
        async with Host(RuntimeOptions.of({"journal": journal})) as host:
            before = enter(host)  # what a module reads as it is loaded, variables and blocks, is of this journal
            try:
                await _Replays(host, _Revived(host, journal, work.due).runs(), work.others_from).deliver()
            finally:
                leave(host, before)
    finally:
        delivered()
    journal.check()


class _Replays:
    """What is due for runs, side by side, until it is done, or all that is left waits to be tried again and another
    process could begin something before that: how long one waits is no matter of others.

    Where what is left waits for threads that do not return, it ends as well: they end with it, and the next process
    tries again.

    Args:
        others_from: when another process could begin; None where there is nothing else.
    """

    def __init__(self, host: Host, runs: Iterable[LiveRun], others_from: datetime | None) -> None:
        self._host = host
        self._others_from = others_from
        self._replays = {run: _Replay(run) for run in runs}
        self._begins_with = [due.delivery for due in self._dues()]
        self._is_looking = False
        self._scope = anyio.CancelScope()
        for replay in self._replays.values():
            if caller := replay.nearest_caller(self._replays):
                caller.called.append(replay)
            for batch in replay.run.outbox:
                batch.on_wait = self._look_soon

    async def deliver(self) -> None:
        with self._scope:
            async with anyio.create_task_group() as tasks:
                for replay in self._replays.values():
                    tasks.start_soon(self._deliver, replay)

    async def _deliver(self, replay: _Replay) -> None:
        """One transition after another, once the hooks of all that the run called are done: as it is in a process that
        lives."""
        for called in replay.called:
            await called.done.wait()
        for batch in list(replay.run.outbox):
            await self._host.delivered(batch)
        replay.done.set()
        self._look_soon()

    def _look_soon(self) -> None:
        """Once for all that happens in this turn of the loop."""
        if not self._is_looking:
            self._is_looking = True
            self._host.call_later(0, self._look)

    def _look(self) -> None:
        """Leave, if that is best; something was begun, so that the next process finds less to do."""
        self._is_looking = False
        until = self._rests_until()
        if until is None or self._begins_with == [due.delivery for due in self._dues()]:
            return
        if self._others_from is not None and self._others_from < until:
            self._leave()
        elif until == FOREVER:
            self._host.call_later(LAST_SECONDS, self._leave_if_stuck)

    def _leave_if_stuck(self) -> None:
        if self._rests_until() == FOREVER:
            self._leave()

    def _leave(self) -> None:
        for replay in self._next():
            self._host.take_back(replay.run.outbox[0])
        self._scope.cancel()

    def _rests_until(self) -> datetime | None:
        """Until when nothing happens here by itself; None where something does, or all is done."""
        left = self._next()
        waits = [until for replay in left if (until := replay.waits_until) is not None]
        return min(waits) if waits and len(waits) == len(left) else None

    def _next(self) -> list[_Replay]:
        return [replay for replay in self._replays.values() if replay.is_next]

    def _dues(self) -> list[Due]:
        return [due for run in self._replays for batch in run.outbox for due in batch.dues]


class _Replay:
    """What is due for one run.

    Attributes:
        called: what is due for those runs that it called, itself or by way of runs for which nothing is due.
    """

    def __init__(self, run: LiveRun) -> None:
        self.run = run
        self.called: list[_Replay] = []
        self.done = anyio.Event()

    @property
    def is_next(self) -> bool:
        """Whether something is left that waits for no other run."""
        return not self.done.is_set() and all(called.done.is_set() for called in self.called)

    @property
    def waits_until(self) -> datetime | None:
        """Until when its next hook waits to be tried again, if that is all that goes on."""
        due = self.run.outbox[0].next_due if self.run.outbox else None
        return None if due is None else due.waits_until

    def nearest_caller(self, replays: Mapping[LiveRun, _Replay]) -> _Replay | None:
        """The first of the runs around it for which anything is due."""
        run = self.run.parent
        while run is not None and run not in replays:
            run = run.parent
        return None if run is None else replays[run]


def _by_run(work: Iterable[OpenDelivery]) -> dict[UUID, list[OpenDelivery]]:
    """Those of one run are run one after another, those of different runs side by side, in the order of the first."""
    runs: dict[UUID, list[OpenDelivery]] = {}
    for due in work:
        runs.setdefault(due.run.id, []).append(due)
    return runs


def _by_transition(work: Iterable[OpenDelivery]) -> list[list[OpenDelivery]]:
    return [list(dues) for _, dues in groupby(work, key=lambda due: due.delivery.transition_id)]


class _Revived:
    """Runs of the process that is gone, with as much of the engine's record of them as a hook can see.

    Args:
        work: what is due for them.
    """

    def __init__(self, host: Host, journal: SqlJournal, work: Iterable[OpenDelivery]) -> None:
        self._host = host
        self._journal = journal
        self._objects = RegisteredObjects(journal.database)
        self._work = _by_run(work)
        self._runs: dict[UUID, LiveRun] = {}

    def runs(self) -> list[LiveRun]:
        """Those for which anything is due, with that in their outboxes."""
        return [self._with_outbox(dues) for dues in self._work.values()]

    def _with_outbox(self, dues: Sequence[OpenDelivery]) -> LiveRun:
        run = self._run(dues[0].run)
        run.outbox.extend(self._batch(run, of_one) for of_one in _by_transition(dues))
        go_on_in(run.origin.context, run.snapshot.trace_context)  # here: its modules, which may set that up, are loaded
        return run

    def _batch(self, run: LiveRun, dues: Sequence[OpenDelivery]) -> Batch:
        """The hooks of one transition."""
        told = dues[0].known.on_hook_failure
        return Batch(
            run,
            dues[0].run,
            [Due(due.delivery, self._objects.hook(due.hook), due.registered.runtime_wide) for due in dues],
            on_hook_failure=None if told is None else self._objects.hook(told),
        )

    def _run(self, run: FlowRun | TaskRun) -> LiveRun:
        """A run, after those around it: they are made from the outside in, since there may be a thousand."""
        line = [run]
        while above := self._above(line[-1]):
            line.append(above)
        for each in reversed(line):
            if each.id not in self._runs:
                self._runs[each.id] = self._made(each)
        return self._runs[run.id]

    def _above(self, run: FlowRun | TaskRun) -> FlowRun | TaskRun | None:
        """The run around it, for `actwright.runtime` to tell of; None where that is made already."""
        if run.parent_id is None or run.parent_id in self._runs:
            return None
        dues = self._work.get(run.parent_id)
        return self._journal.run(run.parent_id) if dues is None else dues[0].run

    def _made(self, run: FlowRun | TaskRun) -> LiveRun:
        parent = None if run.parent_id is None else self._runs.get(run.parent_id)
        origin = Origin(parent, contextvars.copy_context())
        live = LiveRun(self._host, Call(self._subject(run), run.parameters), run, origin, OnLoop())
        live.future.set_result(run.state)
        return live

    def _subject(self, run: FlowRun | TaskRun) -> Runnable[..., Any]:
        """Its flow or task, which hooks of its own get; no other code gets to see it."""
        dues = self._work.get(run.id)
        return stand_in_for(run) if dues is None else self._objects.subject(dues[0].known.subject)
