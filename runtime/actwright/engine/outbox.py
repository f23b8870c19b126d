"""What a transition makes due, worked out before it is committed.

A batch is made with its transition, stands in its run's outbox from then on, is released to the hook actor once the
transition is committed, and leaves the outbox when its last hook is done. So whoever takes a run over, or restarts
the hook actor, finds there what is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from actwright.authoring.registration import in_order
from actwright.models.deliveries import HookDelivery
from actwright.models.ids import new_id
from actwright.models.transitions import hook_events
from actwright.telemetry.reports import SILENT_TRY, TryReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actwright.authoring.hooks import Hook
    from actwright.engine.hook_call import HookCall
    from actwright.engine.live_run import LiveRun
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["FOREVER", "Batch", "Due", "due_hooks"]

FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Due:
    """One hook that is due.

    Attributes:
        delivery: where it stands.
        call: the latest try; it may outlive the hook actor that began it.
        telling: the call that tells of its failure; it may outlive the hook actor, too.
        waits_until: while it waits to be tried again, until when; FOREVER for the end of code that does not return.
        is_announced: that it begins is written already, with the transition that makes it due; it has not yet begun.
        done: nothing is left to do for it.
        tries_cut: how many tries went down with a hook actor.
        report: what OpenTelemetry hears of the latest try.
    """

    delivery: HookDelivery
    hook: Hook
    runtime_wide: bool
    call: HookCall | None = None
    telling: HookCall | None = None
    waits_until: datetime | None = None
    is_announced: bool = False
    done: bool = False
    tries_cut: int = 0
    report: TryReport = SILENT_TRY


@dataclass(slots=True, eq=False)
class Batch:
    """Hooks that run one after another, for one transition.

    Attributes:
        run, snapshot: the run, and how it was when it entered the state.
        dues: the hooks, in order; those that are done are still among them, with an ended delivery.
        on_hook_failure: what is told of one that failed for good.
        after_unwinding: to be released only when the body has unwound.
        released: the hook actor has it.
        taken_back: another process runs what is left of it.
        told: the run knows that the hooks it waits for are done.
        on_wait: called when one of them begins such a wait.
    """

    run: LiveRun
    snapshot: FlowRun | TaskRun
    dues: list[Due]
    on_hook_failure: Hook | None = None
    after_unwinding: bool = False
    released: bool = False
    taken_back: bool = False
    told: bool = False
    on_wait: Callable[[], object] | None = None

    @property
    def next_due(self) -> Due | None:
        """The first that is not done."""
        return next((due for due in self.dues if not due.done), None)

    def abandon(self, at: datetime, *, is_told: bool) -> bool:
        """Wait for none of them any longer; whether any was left undone. Such stay due: another process runs them."""
        self.taken_back = True
        for due in self.dues:
            if is_told and not due.done:
                self.run.log.critical("Hook '%s' is left undone by its Runtime.", due.hook.name)
            if due.call is not None:
                due.call.cut()
                due.report.cut(at)
            if due.telling is not None:
                due.telling.cut()
        return self.next_due is not None

    @property
    def state(self) -> State[Any]:
        """The state that was entered: the very object that the caller gets."""
        return self.snapshot.state

    @property
    def waited_for(self) -> int:
        """How many of the hooks, from the first, the run waits for: up to the last one without `wait=False`.

        `wait=False` lets a caller go. A body is no caller: all on_running hooks are done before it starts.
        """
        if self.state.is_running():
            return len(self.dues)
        return max((place + 1 for place, due in enumerate(self.dues) if due.hook.wait), default=0)


def due_hooks(run: LiveRun, snapshot: FlowRun | TaskRun, runtime_wide: Mapping[str, tuple[Hook, ...]]) -> list[Batch]:
    """What entering `snapshot.state` makes due: the run's own hooks, then the Runtime's; no empty batches.

    It is one batch, except that on_cancellation hooks wait for the body to unwind and those with `at_once` do not.
    """
    events = hook_events(snapshot.state)
    hooks = in_order(events, run.options.hooks, lambda event: runtime_wide.get(event, ()))
    dues = [
        Due(_delivery(snapshot, event, hook, position), hook, wide)
        for position, (event, hook, wide) in enumerate(hooks)
    ]
    if snapshot.state.is_cancelling():
        at_once = Batch(run, snapshot, [due for due in dues if due.hook.at_once])
        later = Batch(run, snapshot, [due for due in dues if not due.hook.at_once], after_unwinding=True)
        batches = [batch for batch in (at_once, later) if batch.dues]
    else:
        batches = [Batch(run, snapshot, dues)] if dues else []
    for batch in batches:
        if _may_announce(batch):
            first = batch.dues[0]
            first.delivery, first.is_announced = first.delivery.started(snapshot.state.timestamp), True
    return batches


def _may_announce(batch: Batch) -> bool:
    """Whether the start of the first hook is written with its transition: one commit less stands before it.

    A death that comes between the two counts for one in the hook. So not where that would keep a hook from running
    that never began (`max_attempts`), or would have an on_running run whose body never will; nor where it begins later.
    """
    return not (batch.after_unwinding or batch.state.is_running() or batch.dues[0].hook.max_attempts is not None)


def _delivery(snapshot: FlowRun | TaskRun, event: str, hook: Hook, position: int) -> HookDelivery:
    return HookDelivery(
        id=new_id(),
        transition_id=snapshot.state.id,
        run_id=snapshot.id,
        event=event,
        hook_name=hook.name,
        position=position,
        due_at=snapshot.state.timestamp,
    )
