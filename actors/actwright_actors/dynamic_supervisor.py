"""A supervisor of children that come and go: many, alike, and independent of each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import ClassVar

from actwright_actors.restart import Backoff
from actwright_actors.supervisor import Supervisor

__all__ = ["DynamicSupervisor"]


class DynamicSupervisor(Supervisor):
    """Has no children at first; StartChild adds them and StopChild takes them away. A child's death concerns no other.

    After Elixir's DynamicSupervisor, and OTP's simple_one_for_one. It differs from a Supervisor by its end: all
    children are stopped at once, each with its own timeout, so it takes as long as the slowest and not as all of them
    together. A ChildSpec's name may be None. The arguments are those of Supervisor.
    """

    _stops_all_at_once: ClassVar[bool] = True

    def __init__(
        self,
        *,
        intensity: int = 1,
        period: float = 5.0,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(intensity=intensity, period=period, backoff=backoff, chance=chance)
