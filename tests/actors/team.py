"""A supervisor's children that write down what happens to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, cast

import anyio
from tests.actors.helpers import Hold, raising, swallow

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    ExitReason,
    Supervisor,
)


class Team:
    """Children that write down what happens to them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        """`+name`: its on_start returns; `-name`: its on_stop is called."""
        self.starts: dict[str, int] = {}
        self.ends: list[ExitReason] = []
        """What each on_stop was told."""
        self.members: dict[str, Member] = {}
        """Each name's latest incarnation."""
        self.before_start: Callable[[str, int], Coroutine[Any, Any, None]] | None = None
        """Called in on_start, with the name and which start this is."""
        self.holds_stop: dict[str, Hold] = {}
        """What an on_stop waits at, by name."""

    def spec(self, name: str, **options: Any) -> ChildSpec:
        return ChildSpec(name, partial(Member, self, name), **options)

    def specs(self, names: str, **options: Any) -> list[ChildSpec]:
        """One for each letter."""
        return [self.spec(name, **options) for name in names]

    def fail_start(self, name: str, nth: int, error: BaseException) -> None:
        """Have that start of that child raise."""

        async def fail(started: str, now: int) -> None:
            if (started, now) == (name, nth):
                raise error

        self.before_start = fail

    def hold_start(self, name: str, nth: int = 1) -> Hold:
        """Have that start of that child wait."""
        hold = Hold()

        async def wait(started: str, now: int) -> None:
            if (started, now) == (name, nth):
                await hold()

        self.before_start = wait
        return hold

    def hold_stop(self, name: str) -> Hold:
        """Have the on_stop of that child wait."""
        return self.holds_stop.setdefault(name, Hold())


class Member(Actor[Any]):
    def __init__(self, team: Team, name: str) -> None:
        self.team = team
        self.name = name
        self.seen: list[Any] = []

    async def on_start(self) -> None:
        nth = self.team.starts[self.name] = self.team.starts.get(self.name, 0) + 1
        self.team.members[self.name] = self
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
        self.team.ends.append(reason)
        if self.name in self.team.holds_stop:
            await self.team.holds_stop[self.name]()


class Busy(Supervisor):
    """Hears of nothing while it handles a message that holds it up."""

    async def handle(self, message: Any) -> Any:
        return await (message() if isinstance(message, Hold) else super().handle(message))


class Deaf:
    """A message to a `Scripted` supervisor: it waits for `release` and swallows its cancellation, then calls `then`."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.entered, self.release, self.returned = anyio.Event(), anyio.Event(), anyio.Event()
        self.then = then

    async def __call__(self, *_: object) -> None:
        self.entered.set()
        await swallow(self.release)
        try:
            self.then()
        finally:
            self.returned.set()


class Scripted(Supervisor):
    """Awaits what it is told to: as a message, after its children have started, and before and after they stop."""

    after_start: Callable[[], Awaitable[object]] | None = None
    before_stop: Callable[[], Awaitable[object]] | None = None
    after_stop: Callable[[], Awaitable[object]] | None = None

    async def on_start(self) -> None:
        await super().on_start()
        if self.after_start is not None:
            await self.after_start()

    async def handle(self, message: Any) -> Any:
        if callable(message):
            return await cast("Callable[[], Awaitable[object]]", message)()
        return await super().handle(message)

    async def on_stop(self, reason: ExitReason) -> None:
        if self.before_stop is not None:
            await self.before_stop()
        await super().on_stop(reason)
        if self.after_stop is not None:
            await self.after_stop()


def child(system: ActorSystem, name: str) -> ActorRef[Any]:
    ref = system.lookup(name)
    assert ref is not None
    return ref


async def crash(ref: ActorRef[Any]) -> None:
    ref.tell(raising(ValueError(f"{ref.name} crashed")))
    await anyio.wait_all_tasks_blocked()


async def hold_up(ref: ActorRef[Any]) -> Hold:
    """Have it wait in a handler."""
    hold = Hold()
    ref.tell(hold)
    await hold.entered.wait()
    return hold
