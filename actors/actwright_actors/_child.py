"""What a supervisor keeps of one child: facts, and no decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

from actwright_actors._cell import Cell
from actwright_actors._deadline import Deadline
from actwright_actors.actor import Actor
from actwright_actors.errors import ActorDead
from actwright_actors.exit import ExitReason, Normal, StartFailed
from actwright_actors.ref import ActorRef
from actwright_actors.replies import DeferredReply
from actwright_actors.restart import ChildSpec, RestartType

__all__ = ["Child", "make_actor"]


@dataclass(slots=True, eq=False)
class Child:
    """A child from its first start until it is gone for good."""

    spec: ChildSpec
    cell: Cell
    reply: DeferredReply[ActorRef[Any]] | None
    """Owed to who asked for it, from its first start on."""
    reason: ExitReason = field(default_factory=Normal)
    """Of its latest end."""
    started_at: float = -math.inf
    """When `on_start` last returned, of a life that had not been given up by then."""
    restarts_in_a_row: int = 0
    """Since it last stayed up for long enough; for its back-off."""
    ready_at: float = -math.inf
    """Not started again before."""
    is_starting: bool = True
    is_down: bool = False
    """Ended, which was handled; waits for its turn to be started."""
    is_leaving: bool = False
    """Not to be started again."""
    must_stop: bool = False
    """To be stopped, or being stopped, so its end calls for nothing."""
    kill_timer: Deadline | None = None
    """Set from the beginning of an ordered stop until its end was handled."""

    @property
    def name(self) -> str:
        return self.cell.name

    @property
    def restart(self) -> RestartType:
        return self.spec.restart

    @property
    def never_started(self) -> bool:
        """Its first `on_start` has not returned in time, and if it has ended never will."""
        return self.started_at == -math.inf

    @property
    def start_error(self) -> BaseException:
        """What kept it from starting, as an exception to raise."""
        return self.reason.error if isinstance(self.reason, StartFailed) else ActorDead(self.cell.ref, self.reason)

    def shut_down(self) -> None:
        """Begin an ordered stop, unless that has begun, or its own end is about to be handled: the request would be
        the next incarnation's."""
        if self.kill_timer is None and self.cell.status not in ("restarting", "dead"):
            self.kill_timer = self.cell.shut_down()

    def stop_killing(self) -> None:
        """It has ended: the deadline of its stop is no more."""
        if self.kill_timer is not None:
            self.kill_timer.cancel()
            self.kill_timer = None


def make_actor(spec: ChildSpec) -> Actor[Any]:
    """Call the factory. Raises what it raises, and TypeError if that was no actor."""
    return _require_actor(spec, spec.factory())


def _require_actor(spec: ChildSpec, made: object) -> Actor[Any]:
    if not isinstance(made, Actor):
        raise TypeError(f"The factory of child {spec.name!r} returned {made!r}. It must return an Actor object.")
    return cast("Actor[Any]", made)
