"""How late timers fire while an actor is busy."""

from __future__ import annotations

import math
from typing import Final

import anyio

from actwright_actors import ActorSystem
from measuring.messages import MESSAGE, NoOp

__all__ = ["lateness_in_a_drain"]

TICK_SECONDS: Final = 0.01


class Metronome:
    """A timer that is set again each time it fires, and the worst lateness of all that have fired."""

    def __init__(self, system: ActorSystem) -> None:
        self.worst = 0.0
        self.stopped = anyio.Event()
        self._system = system
        self._is_last = False
        self._set(system.clock.now() + TICK_SECONDS)

    def _set(self, due: float) -> None:
        self._due = due
        self._system.timers.call_at(due, self._fire)

    def _fire(self) -> None:
        self.worst = max(self.worst, self._system.clock.now() - self._due)
        if self._is_last:
            self.stopped.set()
        else:
            self._set(self._due + TICK_SECONDS)  # not from now: a tick that was missed is late as well

    async def stop(self) -> None:
        """Wait for the tick that is set already; it is the last one."""
        self._is_last = True
        await self.stopped.wait()


async def lateness_in_a_drain(count: int) -> float:
    """By how many seconds the latest of the timers fired that fell due, every 10 ms, while one actor handled `count`
    messages that were in its mailbox."""
    async with ActorSystem() as system:
        ref = await system.spawn(NoOp())
        for _ in range(count):
            ref.tell(MESSAGE)
        metronome = Metronome(system)
        await ref.ask(MESSAGE, timeout=math.inf)
        await metronome.stop()
        return metronome.worst
