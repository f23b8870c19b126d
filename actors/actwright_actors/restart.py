"""What a supervisor decides, as pure functions: which children to stop and start, whether it may, and when.

Strategies, restart types and intensity are those of OTP's supervisor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actwright_actors.actor import Actor
from actwright_actors.exit import ExitReason
from actwright_actors.mailbox import MailboxOptions

__all__ = ["Backoff", "ChildSpec", "Plan", "RestartType", "Strategy", "allowed", "needs_restart", "plan"]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Who is restarted with a child: nobody; all its siblings; those started after it."""

RestartType = Literal["permanent", "transient", "temporary"]
"""When a child that ended is started again: always; after an abnormal end; never."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child, and what to do when it ends.

    `name` is unique in the system. `factory` makes a fresh actor for each start; it must not block. `stop_timeout`,
    in seconds, is how long an ordered stop waits before it kills (None: the actor's, else the system's).
    """

    name: str
    factory: Callable[[], Actor[Any]]
    restart: RestartType = "permanent"
    stop_timeout: float | None = None
    mailbox: MailboxOptions | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart, in seconds: `initial`, then each time `factor` times as long, up to
    `maximum`; the longer by up to `jitter` of itself, so that many do not return at once. By default no wait."""

    initial: float = 0.0
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.1

    def delay(self, restarts: int, chance: float) -> float:
        """The wait after `restarts` recent ones; `chance` is a random number in [0, 1)."""
        if self.initial == 0.0:
            return 0.0
        # Past this exponent a float would overflow, long after any sane maximum.
        grown = self.initial * self.factor ** min(restarts, 64)
        return min(grown, self.maximum) * (1.0 + self.jitter * chance)


@dataclass(frozen=True, slots=True)
class Plan:
    """Names to stop, last started first, and then names to start, first started first.

    A name that is only in `stop` is not started again. An empty plan: let the dead rest.
    """

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()


def needs_restart(restart: RestartType, reason: ExitReason) -> bool:
    """Whether a child of that type is started again after such an end."""
    return restart == "permanent" or (restart == "transient" and reason.is_abnormal)


def plan(strategy: Strategy, children: Sequence[ChildSpec], dead: str, reason: ExitReason) -> Plan:
    """What follows from the end of the child named `dead`. `children` are all, in start order, `dead` among them."""
    names = [child.name for child in children]
    position = names.index(dead)
    if not needs_restart(children[position].restart, reason):
        return Plan()
    first, last = {
        "one_for_one": (position, position + 1),
        "one_for_all": (0, len(children)),
        "rest_for_one": (position, len(children)),
    }[strategy]
    affected = children[first:last]
    return Plan(
        stop=tuple(child.name for child in reversed(affected) if child.name != dead),
        start=tuple(child.name for child in affected if child.restart != "temporary"),
    )


def allowed(history: Sequence[float], now: float, intensity: int, period: float) -> bool:
    """Whether one more restart at `now` keeps to `intensity` restarts in any `period` seconds.

    `history` holds when the earlier ones were.
    """
    return sum(now - when <= period for when in history) < intensity
