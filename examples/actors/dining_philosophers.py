"""Five philosophers, five forks, and whoever eats needs the two beside him. Nobody starves.

Where each takes the left fork and waits for the right one, all five may wait in a circle for ever. Here one actor, the
table, has all forks, and gives two at once or none:

- Nobody holds a fork while he waits for another, so no circle can come to be.
- The table never waits for a philosopher. Who cannot be served is owed an answer (a deferred reply), and is served
  when forks come back.
- Forks that somebody waits for are kept for him, so nobody is overtaken for ever.
- One who dies with forks in his hands does not keep them: the table monitors whom it gave some.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import anyio

from actwright_actors import Actor, ActorDead, ActorRef, ActorSystem, Ask, DeferredReply, Down

NAMES = ["Aristotle", "Hypatia", "Plato", "Socrates", "Thales"]
MEALS = 3


@dataclass(frozen=True)
class TakeForks(Ask[None]):
    """Answered when both forks beside `seat` are the asker's."""

    seat: int
    who: ActorRef[Dine]


@dataclass(frozen=True)
class ReturnForks:
    who: ActorRef[Dine]


@dataclass(frozen=True)
class Dine(Ask[int]):
    meals: int


class Table(Actor[TakeForks | ReturnForks | Down]):
    def __init__(self) -> None:
        self._hungry: list[tuple[TakeForks, DeferredReply[None]]] = []  # in the order of their asking
        self._in_hands: dict[ActorRef[Dine], set[int]] = {}

    async def handle(self, message: TakeForks | ReturnForks | Down) -> None:
        match message:
            case TakeForks():
                message.who.monitor(self.context.ref)
                self._hungry.append((message, self.context.defer_reply()))
            case ReturnForks(who) | Down(who):
                self._in_hands.pop(who, None)
        self._serve()

    def _serve(self) -> None:
        unfree = set[int]().union(*self._in_hands.values())
        waiting, self._hungry = self._hungry, []
        for wish, reply in waiting:
            forks = {wish.seat, (wish.seat + 1) % len(NAMES)}
            if not reply.is_wanted:  # he died waiting
                continue
            if unfree.isdisjoint(forks):
                self._in_hands[wish.who] = forks
                reply.answer(None)
            else:
                self._hungry.append((wish, reply))
            unfree |= forks


class Philosopher(Actor[Dine]):
    def __init__(self, seat: int, table: ActorRef[TakeForks | ReturnForks | Down]) -> None:
        self._seat = seat
        self._table = table

    async def handle(self, message: Dine) -> int:
        for meal in range(message.meals):
            await self._table.ask(TakeForks(self._seat, self.context.ref), timeout=math.inf)
            await anyio.sleep(0.01)  # eats
            if NAMES[self._seat] == "Plato" and meal == 1:
                raise ValueError("a fishbone")
            self._table.tell(ReturnForks(self.context.ref))
        return message.meals


async def main() -> None:
    ends = dict.fromkeys(NAMES, "")
    async with ActorSystem() as system:
        table = await system.spawn(Table(), name="table")

        async def invite(seat: int) -> None:
            guest = await system.spawn(Philosopher(seat, table), name=NAMES[seat])
            try:
                ends[guest.name] = f"ate {await guest.ask(Dine(MEALS), timeout=60)} times"
            except ActorDead as error:
                ends[guest.name] = f"died of {error.__cause__}"

        async with anyio.create_task_group() as group:
            for seat in range(len(NAMES)):
                group.start_soon(invite, seat)
    for name, end in ends.items():
        print(f"{name} {end}")


if __name__ == "__main__":
    anyio.run(main)
