"""A pool of workers that starts so many jobs a second and no more, and slows down whoever brings them faster.

- `TokenBucket` limits the rate: each job takes a token, and a timer puts one back at every beat.
- `Pool` runs jobs in child tasks, a few at once. While it waits for a token or for a free worker it handles nothing
  else, so its mailbox fills; it holds two messages, and then who asks waits for room: that is back-pressure.
- Each job's result is a deferred reply. A job that fails fails its asker, not the pool.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import anyio

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    Ask,
    AskTimeout,
    DeferredReply,
    MailboxOptions,
    Refusal,
)


@dataclass(frozen=True)
class TakeToken(Ask[None]):
    pass


@dataclass(frozen=True)
class Refill:
    pass


@dataclass(frozen=True)
class Divide(Ask[float]):
    """A job: 100 divided by `number`."""

    number: int


class TokenBucket(Actor[TakeToken | Refill]):
    def __init__(self, burst: int, seconds_per_token: float) -> None:
        self._tokens = self._burst = burst
        self._beat = seconds_per_token
        self._waiting = deque[DeferredReply[None]]()

    async def on_start(self) -> None:
        self.context.timers.start("refill", Refill(), self._beat, repeat=True)

    async def handle(self, message: TakeToken | Refill) -> None:
        match message:
            case TakeToken():
                self._waiting.append(self.context.defer_reply())
            case Refill():
                self._tokens = min(self._tokens + 1, self._burst)
        while self._waiting and self._tokens:
            reply = self._waiting.popleft()
            if reply.is_wanted:
                self._tokens -= 1
                reply.answer(None)


class Pool(Actor[Divide]):
    def __init__(self, workers: int, bucket: ActorRef[TakeToken | Refill]) -> None:
        self._free = anyio.Semaphore(workers)
        self._bucket = bucket

    async def handle(self, message: Divide) -> Refusal | None:
        await self._free.acquire()
        try:
            await self._bucket.ask(TakeToken(), timeout=math.inf)
        except AskTimeout as too_late:  # an ask inside an ask waits no longer than whoever brought the job
            self._free.release()
            return Refusal(too_late)
        self.context.start_soon(self._work, message, self.context.defer_reply())
        return None

    async def _work(self, job: Divide, reply: DeferredReply[float]) -> None:
        await anyio.sleep(0.01)
        try:
            reply.answer(100 / job.number)
        except ArithmeticError as error:
            reply.fail(error)
        finally:
            self._free.release()


async def main() -> None:
    async with ActorSystem() as system:
        began = system.clock.now()
        bucket = await system.spawn(TokenBucket(burst=3, seconds_per_token=0.05), name="bucket")
        room = MailboxOptions(capacity=2, overflow="wait")
        pool = await system.spawn(Pool(workers=2, bucket=bucket), name="pool", mailbox=room)
        results: dict[int, str] = {}

        async def bring(number: int) -> None:
            try:
                results[number] = str(await pool.ask(Divide(number)))  # waits for room, then for the result
            except ArithmeticError as error:
                results[number] = str(error)

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(bring, number)

        for number, result in sorted(results.items()):
            print(f"100 / {number}: {result}")
        seconds = system.clock.now() - began
        print(f"8 jobs, 3 at once and then one every 0.05 s, took at least 0.2 s: {seconds >= 0.2}")
        _, pool_info = system.tree().actors
        print(f"the most that waited in the mailbox: {pool_info.mailbox_peak}")


if __name__ == "__main__":
    anyio.run(main)
