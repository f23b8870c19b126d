"""A supervisor's children that write down what happens to them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

import anyio
from tests.actors.helpers import raising

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    ExitReason,
)


class Team:
    """Children that write down what happens to them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.starts: dict[str, int] = {}
        self.before_start: Callable[[str, int], Coroutine[Any, Any, None]] | None = None

    def spec(self, name: str, **options: Any) -> ChildSpec:
        return ChildSpec(name, partial(Member, self, name), **options)


class Member(Actor[Any]):
    def __init__(self, team: Team, name: str) -> None:
        self.team = team
        self.name = name
        self.seen: list[Any] = []

    async def on_start(self) -> None:
        nth = self.team.starts[self.name] = self.team.starts.get(self.name, 0) + 1
        if self.team.before_start is not None:
            await self.team.before_start(self.name, nth)
        self.team.events.append(f"+{self.name}")

    async def handle(self, message: Any) -> Any:
        self.seen.append(message)
        if callable(message):
            return await cast("Callable[[], Coroutine[Any, Any, Any]]", message)()
        return list(self.seen)

    async def on_stop(self, reason: ExitReason) -> None:
        self.team.events.append(f"-{self.name}")


def child(system: ActorSystem, name: str) -> ActorRef[Any]:
    ref = system.lookup(name)
    assert ref is not None
    return ref


async def crash(ref: ActorRef[Any]) -> None:
    ref.tell(raising(ValueError(f"{ref.name} crashed")))
    await anyio.wait_all_tasks_blocked()
