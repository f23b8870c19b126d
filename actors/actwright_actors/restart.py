"""What a supervisor decides, as pure functions: which children to stop and start, whether it may, when, and its end.

Strategies, restart types, intensity and automatic shutdown are those of OTP's supervisor.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Generic, Literal, Protocol, TypeVar

from actwright_actors._checks import require_at_least, require_choice
from actwright_actors.actor import Actor
from actwright_actors.exit import ExitReason
from actwright_actors.mailbox import MailboxOptions

__all__ = [
    "AutoShutdown",
    "Backoff",
    "ChildSpec",
    "Plan",
    "RestartType",
    "Restartable",
    "Strategy",
    "allowed",
    "calls_for_shutdown",
    "needs_restart",
    "plan",
    "require_unique_names",
]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Who is restarted with a child: nobody; all its siblings; those started after it."""

RestartType = Literal["permanent", "transient", "temporary"]
"""When a child that ended is started again: always; after an abnormal end; never.

One that is not is gone for good, and its name is free. (OTP keeps the spec of a transient child, so that a sibling's
death starts it again in one_for_all and rest_for_one.)
"""

AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""When a supervisor ends by itself: never; once a significant child has ended; once all of them have."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child, and what to do when it ends.

    `name` is unique in the system; None: one is made, which a restart keeps. `factory` makes a fresh actor for each
    start; it must not block. `stop_timeout`, in seconds, is how long an ordered stop waits before it kills (None: the
    actor's, else the system's). `significant`: its end may end its supervisor, see `auto_shutdown` there.

    Raises ValueError for an unknown restart type, a negative timeout, and a permanent child that is significant, since
    that one never ends by itself; TypeError for a factory that cannot be called.
    """

    name: str | None
    factory: Callable[[], Actor[Any]]
    restart: RestartType = "permanent"
    stop_timeout: float | None = None
    mailbox: MailboxOptions | None = None
    significant: bool = False

    def __post_init__(self) -> None:
        if not callable(self.factory):
            raise TypeError(
                f"The factory of child {self.name!r} makes an actor for each start, so it must be callable: pass a "
                f"class or a function, not {self.factory!r}."
            )
        require_choice(f"The restart type of child {self.name!r}", self.restart, RestartType)
        if self.stop_timeout is not None:
            require_at_least(f"The stop_timeout of child {self.name!r}", self.stop_timeout, 0.0)
        if self.significant and self.restart == "permanent":
            raise ValueError(
                f"Child {self.name!r} is permanent, and so never ends by itself: make it transient or temporary, or "
                "not significant."
            )


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child waits before it is restarted, in seconds: `initial`, then each time `factor` times as long, up
    to `maximum`; the longer by up to `jitter` of itself, so that many do not return at once. By default no wait.

    Each child has its own count, which starts anew once it has stayed up for `reset_after` seconds. Raises ValueError
    for a negative number, NaN, or a factor below 1.
    """

    initial: float = 0.0
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.1
    reset_after: float = 60.0

    def __post_init__(self) -> None:
        require_at_least("The factor of a Backoff", self.factor, 1.0)
        for what in ("initial", "maximum", "jitter", "reset_after"):
            require_at_least(f"The {what} of a Backoff", getattr(self, what), 0.0)

    def delay(self, restarts: int, chance: float) -> float:
        """The wait after `restarts` in a row; `chance` is a random number in [0, 1)."""
        if self.initial == 0.0:
            return 0.0
        try:
            grown = self.initial * self.factor**restarts
        except OverflowError:
            grown = math.inf
        return min(grown, self.maximum) * (1.0 + self.jitter * chance)


def require_unique_names(specs: Iterable[ChildSpec]) -> None:
    """Raise ValueError if two of them have one name; a name that is made is unique anyway."""
    names = Counter(spec.name for spec in specs if spec.name is not None)
    for name, count in names.items():
        if count > 1:
            raise ValueError(
                f"{count} children of one supervisor are named {name!r}: give each a name of its own, or None."
            )


class Restartable(Protocol):
    """What `plan` needs to know of a child."""

    @property
    def restart(self) -> RestartType:
        """When it is started again."""
        ...


C = TypeVar("C", bound=Restartable)


@dataclass(frozen=True, slots=True)
class Plan(Generic[C]):
    """Whom to stop, last started first, and then whom to start, first started first.

    Who is only in `stop` is not started again. An empty plan: let the dead rest.
    """

    stop: tuple[C, ...] = ()
    start: tuple[C, ...] = ()


def needs_restart(restart: RestartType, reason: ExitReason) -> bool:
    """Whether a child of that type is started again after such an end."""
    return restart == "permanent" or (restart == "transient" and reason.is_abnormal)


def plan(strategy: Strategy, children: Iterable[C], dead: C, reason: ExitReason) -> Plan[C]:
    """What follows from the end of `dead`. `children` are all, in start order, `dead` among them; they are not looked
    at when its end concerns nobody else, so that many who come and go cost no more for being many."""
    if not needs_restart(dead.restart, reason):
        return Plan()
    group = _group(strategy, children, dead)
    return Plan(
        stop=tuple(child for child in reversed(group) if child is not dead),
        start=tuple(child for child in group if child.restart != "temporary"),
    )


def _group(strategy: Strategy, children: Iterable[C], dead: C) -> list[C]:
    """Who goes down and returns with `dead`, itself included, in start order."""
    if strategy == "one_for_one":
        return [dead]
    if strategy == "one_for_all":
        return list(children)
    return list(dropwhile(lambda child: child is not dead, children))


def allowed(history: Sequence[float], now: float, intensity: int, period: float) -> bool:
    """Whether one more restart at `now` keeps to `intensity` restarts in any `period` seconds, both ends included.

    `history` holds when the earlier ones were, oldest first.
    """
    if intensity == 0:
        return False
    return len(history) < intensity or now > history[-intensity] + period


def calls_for_shutdown(mode: AutoShutdown, spec: ChildSpec, reason: ExitReason, others: int) -> bool:
    """Whether a supervisor ends by itself when a child of `spec` has ended by itself, for `reason`.

    By itself: not for StopChild, nor because a sibling's death took it down; ask for no other end. `others` is how
    many more significant children there are, those that wait for their restart included.
    """
    if not spec.significant or needs_restart(spec.restart, reason):
        return False
    return mode == "any_significant" or (mode == "all_significant" and others == 0)
