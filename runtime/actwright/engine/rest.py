"""Whether runs wait for the clock alone: then a test need not wait for it as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actwright.authoring.context import CURRENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from uuid import UUID

    from actwright.engine.live_run import LiveRun
    from actwright.engine.outbox import Batch
    from actwright_actors import ActorInfo

__all__ = ["waits_for_time_alone"]


def waits_for_time_alone(actors: Iterable[ActorInfo], runs: Collection[LiveRun], released: Iterable[Batch]) -> bool:
    """Whether something is under way, and no message, commit, body or hook can move it: only a timer.

    A body or a hook that has called a run is taken to wait for that; any other one that runs is at work, since nobody
    can tell what an `await` of its own waits for.

    Args:
        actors: all of them, as the observer tells.
        runs: those that are not done.
        released: the hooks that are to run.
    """
    batches = list(released)
    if not (runs or batches) or any(map(_has_mail, actors)):
        return False
    callers = {delivery for run in runs if (delivery := _calling_hook(run)) is not None}
    return all(map(_run_waits, runs)) and all(_batch_waits(batch, callers) for batch in batches)


def _has_mail(actor: ActorInfo) -> bool:
    return actor.mailbox_length > 0 or actor.current is not None or any(map(_has_mail, actor.children))


def _calling_hook(run: LiveRun) -> UUID | None:
    """The delivery of the hook that called a run, if one did."""
    caller = run.origin.context.get(CURRENT)
    return caller.delivery.id if caller is not None and caller.delivery is not None else None


def _run_waits(run: LiveRun) -> bool:
    if run.uncommitted or not run.is_recorded or run.slots.are_looked_at(run):
        return False
    if run.children:
        return True  # and those are looked at themselves
    if run.attempt is not None:
        return False
    state = run.snapshot.state
    return state.is_scheduled() or state.is_pending() or any(batch.released for batch in run.outbox)


def _batch_waits(batch: Batch, callers: Collection[UUID]) -> bool:
    """Whether the first hook of it that is not done waits to be tried again, or for a run that it has called."""
    due = batch.next_due
    return due is not None and (due.waits_until is not None or due.delivery.id in callers)
