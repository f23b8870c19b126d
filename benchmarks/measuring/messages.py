"""What a message costs. Each function opens a system of its own in the running loop, and returns seconds."""

from __future__ import annotations

from typing import Final

import anyio

from actwright_actors import Actor, ActorRef, ActorSystem
from measuring.loops import seconds_each

__all__ = ["MESSAGE", "NoOp", "ask_in_turn", "pass_to_and_fro", "tell_in_a_burst"]

MESSAGE: Final = "a message"


class NoOp(Actor[object]):
    """Handles whatever it gets by doing nothing."""

    async def handle(self, message: object) -> None: ...


async def tell_in_a_burst(count: int) -> float:
    """Seconds per message, from the first `tell` of a burst until the handler of the last has returned."""
    async with ActorSystem() as system:
        ref = await system.spawn(NoOp())

        async def burst(messages: int) -> None:
            for _ in range(messages - 1):
                ref.tell(MESSAGE)
            await ref.ask(MESSAGE)  # answered once it and all before it are handled

        return await seconds_each(burst, count)


async def ask_in_turn(count: int) -> float:
    """Seconds per `ask`, each made when the one before is answered."""
    async with ActorSystem() as system:
        ref = await system.spawn(NoOp())

        async def ask(times: int) -> None:
            for _ in range(times):
                await ref.ask(MESSAGE)

        return await seconds_each(ask, count)


class Player(Actor[int]):
    """Returns the ball, which counts down, and says when it is at nought."""

    def __init__(self) -> None:
        self.partner: ActorRef[int] | None = None
        self.over = anyio.Event()

    async def handle(self, message: int) -> None:
        if message == 0:
            self.over.set()
        elif self.partner is not None:
            self.partner.tell(message - 1)


async def pass_to_and_fro(count: int) -> float:
    """Seconds per message that two actors tell each other, one at a time."""
    async with ActorSystem() as system:
        first, second = Player(), Player()
        serve_to = await system.spawn(first)
        first.partner, second.partner = await system.spawn(second), serve_to

        async def play(messages: int) -> None:
            first.over = second.over = anyio.Event()
            serve_to.tell(messages - 1)
            await first.over.wait()

        return await seconds_each(play, count)
