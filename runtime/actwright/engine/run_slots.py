"""A run's slots of the concurrency limits of its tags. For its actor, which never waits for them: it is told.

A run has them from when it enters Running, or Retrying, until it enters AwaitingRetry or its final state: so not while
it waits to be tried again, nor while the hooks of its final state run; those of its cancellation still run with them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from actwright.authoring.concurrency import surroundings
from actwright.engine.messages import Admitted
from actwright.models.slots import Claim, Limit, LimitKind, Want

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Any

    from actwright.engine.live_run import LiveRun
    from actwright.models.states import State

__all__ = ["RunSlots"]


class RunSlots:
    """What one run has, or waits for. It is given the run each time: the two would keep each other."""

    def __init__(self) -> None:
        self._claim_id: str | None = None
        self._is_held = False

    def seek(self, run: LiveRun) -> bool:
        """Ask for a slot of each limited tag of the run. Whether it may go on at once; else `Admitted` tells."""
        journal = run.host.journal
        tags = run.snapshot.tags
        if not tags or not journal.slots.may_be_limited(tags):
            return True
        claim = _claim(run)
        self._claim_id, self._is_held = claim.id, False
        journal.ask_slots(claim).add_done_callback(partial(_tell, run, claim.id))
        return False

    def take(self, message: Admitted) -> bool:
        """Whether these are the slots that the run waits for; if so, it has them from here on."""
        is_awaited = message.claim_id == self._claim_id and not self._is_held
        if is_awaited and message.error is None:
            self._is_held = True
        return is_awaited

    def are_looked_at(self, run: LiveRun) -> bool:
        """Whether an answer is on its way, which nothing but the journal has to give."""
        waits = self._claim_id is not None and not self._is_held
        return waits and not run.host.journal.slots.is_queued(str(self._claim_id))

    def entered(self, run: LiveRun, state: State[Any]) -> None:
        """The run enters a state."""
        if not (state.is_running() or (state.is_cancelling() and self._is_held)):
            self.free(run)

    def free(self, run: LiveRun) -> None:
        """Give them back, or wait for them no longer."""
        claim_id, self._claim_id, self._is_held = self._claim_id, None, False
        if claim_id is not None:
            run.host.journal.free_slots(claim_id)


def _claim(run: LiveRun) -> Claim:
    wants = tuple(Want(Limit(LimitKind.TAG, tag)) for tag in run.snapshot.tags)
    return Claim(str(uuid4()), wants, run.title, str(run.snapshot.id), *surroundings(run.origin.context))


def _tell(run: LiveRun, claim_id: str, answer: Future[None]) -> None:
    """In whatever thread."""
    run.signal_if_open(Admitted(claim_id, answer.exception()))
