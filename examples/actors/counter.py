"""A counter that many tasks share, without a lock: an actor handles one message at a time.

The messages are frozen dataclasses. One that wants an answer says of which type: `Total` is an `Ask[int]`, so a type
checker knows that `await counter.ask(Total())` is an int.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from actwright_actors import Actor, ActorDead, ActorRef, ActorSystem, Ask, ExitReason


@dataclass(frozen=True)
class Add:
    amount: int


@dataclass(frozen=True)
class Total(Ask[int]):
    pass


class Counter(Actor[Add | Total]):
    def __init__(self) -> None:
        self._total = 0

    async def handle(self, message: Add | Total) -> int | None:
        match message:
            case Add(amount):
                self._total += amount
                return None
            case Total():
                return self._total

    async def on_stop(self, reason: ExitReason) -> None:
        print(f"the counter ends: {reason}")


async def count(counter: ActorRef[Add | Total]) -> None:
    for _ in range(100):
        counter.tell(Add(1))  # never waits; the counter comes to it in its turn
        await anyio.lowlevel.checkpoint()


async def main() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter(), name="counter")
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(count, counter)
        # An answer comes after all that was told before it.
        print(f"ten tasks have counted to {await counter.ask(Total())}")

        await counter.stop_and_wait()
        counter.tell(Add(1))
        print(f"nobody handles what is told to the dead: {system.dead_letters} dead letter")
        try:
            await counter.ask(Total())
        except ActorDead as error:
            print(f"who asks is told: {error}")


if __name__ == "__main__":
    anyio.run(main)
