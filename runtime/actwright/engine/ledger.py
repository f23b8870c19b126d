"""A run's ledger: each state that it enters is written down, and once that is committed its hooks are handed on.

Whoever takes a run over goes on with this where the last one left off: what was written, committed and handed on stands
in the run itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actwright.engine.outbox import due_hooks
from actwright.engine.results import result_to_keep
from actwright.journal.protocol import Transition

if TYPE_CHECKING:
    from actwright.engine.live_run import LiveRun
    from actwright.engine.outbox import Batch
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["Ledger"]


class Ledger:
    """The states that a run enters, on their way to the journal, and the hooks that they make due, on their way to the
    hook actor. For the run's actor alone, which hears of commits by `Committed` and of hooks by `HooksDone`."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._open_hooks = {batch.state.id for batch in run.outbox if batch.released and not batch.told}

    @property
    def is_quiet(self) -> bool:
        """Whether no commit and no hook is waited for."""
        return not (self._open_hooks or self._run.uncommitted)

    def has_committed(self, state: State[Any]) -> bool:
        """Whether a state that the run has entered is committed, or need not be before anything follows from it."""
        return state.id not in self._run.uncommitted

    def open(self) -> None:
        """The run exists from here on: nothing of it happens before the journal knows of it."""
        if not self._run.is_recorded:
            self._append(self._run.snapshot)

    def enter(self, state: State[Any]) -> bool:
        """Write a transition together with what it makes due, in one transaction. Returns whether what follows has to
        wait for `Committed`."""
        run = self._run
        run.snapshot = run.snapshot.entered(state)
        run.report.entered(run.snapshot)
        batches = due_hooks(run, run.snapshot, run.shared_hooks) if run.has_hooks else []
        run.outbox += batches
        deliveries = tuple(due.delivery for batch in batches for due in batch.dues)
        if not batches and not run.host.commits_first(run, state):
            self._append(run.snapshot, deliveries)
            return False
        run.uncommitted.add(state.id)
        self._append(run.snapshot, deliveries, committed=partial(run.note_committed, state))
        return True

    def _append(
        self,
        snapshot: FlowRun | TaskRun,
        deliveries: tuple[HookDelivery, ...] = (),
        committed: Callable[[], object] | None = None,
    ) -> None:
        run = self._run
        record = Transition(snapshot, deliveries, run.registration, result_to_keep(run, snapshot.state))
        if run.is_recorded or snapshot.state.is_pending():
            records = [record]
        else:  # it was cancelled, say, while it waited for room
            pending = snapshot.model_copy(update={"state": run.first_state})
            records = [Transition(pending, registration=run.registration), record]
        run.is_recorded = True
        run.host.journal.append(*records, committed=committed)

    def committed(self, state: State[Any]) -> None:
        """It is, so its hooks may begin: all but those that wait for the body to unwind."""
        self._run.uncommitted.discard(state.id)
        self._run.durable.discard(state.id)
        self._tell_of_end()
        self._release(lambda batch: batch.state is state and not batch.after_unwinding)

    def take_over(self) -> None:
        """Of an actor that died: what it entered is committed or about to be, so its hooks are due."""
        self._run.uncommitted -= self._run.durable
        self._tell_of_end()
        self._release(lambda batch: self.has_committed(batch.state) and not batch.after_unwinding)

    def _tell_of_end(self) -> None:
        """Once the final state is committed: what is not could still become another one."""
        run = self._run
        if run.is_final and self.has_committed(run.snapshot.state):
            run.report.ended(run.snapshot)

    def unwound(self) -> None:
        """The body has ended: what waited for that may begin."""
        self._release(lambda batch: batch.after_unwinding)

    def hooks_done(self, state: State[Any]) -> None:
        """Those that the run waits for are."""
        self._open_hooks.discard(state.id)

    def _release(self, which: Callable[[Batch], bool]) -> None:
        for batch in self._run.outbox:
            if not batch.released and which(batch):
                self._open_hooks.add(batch.state.id)
                self._run.host.deliver(batch)
