"""What stands in for a system's inside where a test drives an actor by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from actwright_actors._cell import Cell
from actwright_actors._kernel import Kernel
from actwright_actors.actor import Actor
from actwright_actors.dead_letters import DeadLetterHandler
from actwright_actors.system import ActorSystem
from actwright_actors.testing.manual_clock import ManualClock

__all__ = ["StillKernel"]


class StillKernel(Kernel):
    """The inside of a system in which nothing runs: it starts no task. `record` gets what `run_child` would get."""

    def __init__(self, clock: ManualClock, on_dead_letter: DeadLetterHandler, record: Callable[..., None]) -> None:
        system = ActorSystem("harness", clock=clock)
        super().__init__(
            system,
            clock,
            on_dead_letter=on_dead_letter,
            instrument=None,
            stop_timeout=math.inf,
            slow_handler_seconds=None,
        )
        system._kernel = self  # pyright: ignore[reportPrivateUsage]  # to open it would start the host's task
        self._record = record

    def add(self, actor: Actor[Any], *_: Any, **__: Any) -> Cell:
        raise RuntimeError(
            f"A harness has no system in which it could spawn this {type(actor).__name__}. Test an actor that spawns "
            "in an ActorSystem, or hand it the function that spawns, and record its calls."
        )

    def start_task(
        self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str, context: Context | None
    ) -> None:
        self._record(*args)
