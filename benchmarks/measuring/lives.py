"""What an actor's life costs: to start and stop one, to stop many in order, to keep very many that do nothing."""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass
from time import perf_counter

from actwright_actors import ActorSystem, ChildSpec, StartChild, Supervisor
from measuring.loops import run_on, seconds_each
from measuring.messages import NoOp
from measuring.processes import in_a_fresh_process, resident_bytes

__all__ = ["Growth", "Team", "growth_by_idle_actors", "spawn_and_stop", "supervise"]


async def spawn_and_stop(count: int) -> float:
    """Seconds to spawn an actor, stop it, and see it stopped; one after the other."""
    async with ActorSystem() as system:

        async def live(times: int) -> None:
            for _ in range(times):
                ref = await system.spawn(NoOp())
                ref.stop()
                await ref.stopped()

        return await seconds_each(live, count)


@dataclass(frozen=True, slots=True)
class Team:
    """The seconds that it took to start the children of one supervisor, and to stop them in order."""

    start: float
    stop: float


async def supervise(children: int) -> Team:
    """Start a supervisor with that many children, wait until it has nothing left to do, stop it."""
    async with ActorSystem() as system:
        began = perf_counter()
        specs = [ChildSpec(f"child {number}", NoOp) for number in range(children - 1)]
        supervisor = await system.spawn(Supervisor(specs))
        # A message of the user lane is handled last; until then the supervisor is busy with its children's reports.
        await supervisor.ask(StartChild(ChildSpec("last child", NoOp)), timeout=math.inf)
        started = perf_counter()
        supervisor.stop()
        await supervisor.stopped()
        return Team(started - began, perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Growth:
    """The resident bytes of a process without and with its idle actors."""

    before: int
    after: int


def growth_by_idle_actors(loop: str, count: int) -> Growth:
    """By how much that many actors make a fresh process grow: one whose memory nothing else has used before."""
    return in_a_fresh_process(run_on, loop, _grow, count)


async def _grow(count: int) -> Growth:
    async with ActorSystem() as system:
        await system.spawn(NoOp())  # what only the first one loads is not each one's
        gc.collect()
        before = resident_bytes()
        for _ in range(count):
            await system.spawn(NoOp())
        gc.collect()
        return Growth(before, resident_bytes())
