"""A door with a code lock, as a state machine: it opens for the code, and locks itself after a while.

- A *state timeout* belongs to the state that it was set for: it locks an open door, and never comes when the door was
  locked before it was due.
- Who wants to go through a locked door is *postponed*: asked again, and answered, once the state has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import anyio

from actwright_actors import ActorRef, ActorSystem, Ask, StateMachine

CODE = "1234"


class Position(Enum):
    LOCKED = auto()
    OPEN = auto()


@dataclass(frozen=True)
class Press:
    digit: str


@dataclass(frozen=True)
class Lock:
    pass


@dataclass(frozen=True)
class Enter(Ask[str]):
    """Answered when the door is open."""

    who: str


@dataclass(frozen=True)
class SeeLocked(Ask[str]):
    """Answered when the door is locked."""


Message = Press | Lock | Enter | SeeLocked


class Door(StateMachine[Position, Message]):
    initial_state = Position.LOCKED

    def __init__(self) -> None:
        self._typed = ""

    async def on_enter(self, state: Position, previous: Position | None) -> None:
        self._typed = ""
        print(f"the door is {state.name}")

    async def on_event(self, state: Position, message: Message) -> str | None:
        match state, message:
            case Position.LOCKED, Press(digit):
                self._type(digit)
            case Position.LOCKED, SeeLocked():
                return "locked indeed"
            case Position.OPEN, Enter(who):
                return f"welcome, {who}"
            case Position.OPEN, Lock():
                self.goto(Position.LOCKED)
            case _, Enter() | SeeLocked():
                self.postpone()
            case _:
                pass  # a button of an open door does nothing
        return None

    def _type(self, digit: str) -> None:
        self._typed = (self._typed + digit)[-len(CODE) :]
        if self._typed == CODE:
            self.goto(Position.OPEN)
            self.set_state_timeout(Lock(), 0.05)


async def visit(door: ActorRef[Message], who: str) -> None:
    print(f"{who} rings")
    print(await door.ask(Enter(who)))


async def main() -> None:
    async with ActorSystem() as system:
        door = await system.spawn(Door(), name="door")
        async with anyio.create_task_group() as group:
            group.start_soon(visit, door, "ann")
            await anyio.wait_all_tasks_blocked()
            for digit in "991234":
                door.tell(Press(digit))
        print(await door.ask(SeeLocked()))


if __name__ == "__main__":
    anyio.run(main)
