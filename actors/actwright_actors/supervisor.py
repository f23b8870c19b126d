"""An actor that keeps others alive. Semantics from OTP's supervisor.

What to do is decided by the pure functions of `restart`; here is who does it and when. After each event `_advance`
takes the next step towards what was decided: stop the last child that must go, or start the first one that is down.
Each step ends in a message, so the supervisor's loop never waits for a child's code, and a death in the middle of a
restart just adds to what is to be done.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anyio

from actwright_actors._cell import Cell, cell_of
from actwright_actors._messages import Notice
from actwright_actors.actor import Actor, Ask
from actwright_actors.errors import ActorError, NoSuchChild, RestartIntensityExceeded
from actwright_actors.exit import ExitReason, Killed, Normal, StartFailed
from actwright_actors.ref import ActorRef
from actwright_actors.replies import Refusal
from actwright_actors.restart import Backoff, ChildSpec, Strategy, allowed, plan
from actwright_actors.timers import Timer

__all__ = ["StartChild", "StopChild", "Supervisor", "SupervisorMessage"]


@dataclass(frozen=True)
class StartChild(Ask[ActorRef[Any]]):
    """Ask a supervisor to start a child after all others. Answers its reference at once; mail queues until it has
    started. The ask raises NameTaken, SystemClosed, or what `spec.factory` raised."""

    spec: ChildSpec


@dataclass(frozen=True)
class StopChild(Ask[ActorRef[Any]]):
    """Ask a supervisor to stop a child for good. Answers its reference at once; await `ref.stopped()` to see it gone.
    The ask raises NoSuchChild."""

    name: str


@dataclass(frozen=True, slots=True)
class _ChildStarted(Notice):
    name: str


@dataclass(frozen=True, slots=True)
class _ChildEnded(Notice):
    name: str
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class _RestartDue(Notice):
    """A back-off is over."""


SupervisorMessage = StartChild | StopChild | _ChildStarted | _ChildEnded | _RestartDue


@dataclass(slots=True, eq=False)
class _Child:
    spec: ChildSpec
    cell: Cell
    reason: ExitReason = field(default_factory=Normal)
    """Of its latest end."""
    is_down: bool = False
    """Ended, which was handled; waits for its turn to be started."""
    is_leaving: bool = False
    """Not to be started again."""
    must_stop: bool = False
    kill_timer: Timer | None = None
    """Set while it is being stopped."""
    ready_at: float = -math.inf
    """Not started again before; its back-off."""


class Supervisor(Actor[SupervisorMessage]):
    """Starts its children in order, restarts those that end, and stops them in reverse order.

    A restart keeps a child's reference, name and undelivered mail; the message it crashed on is gone. Who monitors a
    child hears Down only when it is gone for good. `on_start` waits for each child's; a child that fails there at
    first is the supervisor's own StartFailed. A child that fails to start again counts as one more death.

    More than `intensity` restarts within `period` seconds: the supervisor stops all and crashes with
    RestartIntensityExceeded, which is for its own supervisor to see. `chance` gives the random numbers of `backoff`.
    """

    # Its children have their own deadlines; a deadline on top of them would leave orphans.
    stop_timeout: ClassVar[float | None] = math.inf

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._specs = tuple(children)
        self._strategy: Strategy = strategy
        self._intensity = intensity
        self._period = period
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._children: dict[str, _Child] = {}  # in the order of their start
        self._history: deque[float] = deque(maxlen=max(intensity, 1))
        self._is_closing = False

    async def on_start(self) -> None:
        try:
            for spec in self._specs:
                child = self._add(spec)
                await child.cell.life.settled.wait()
                if isinstance(child.reason, StartFailed):
                    raise child.reason.error
        except BaseException:
            with anyio.CancelScope(shield=True):  # each child's stop_timeout bounds it
                await self._stop_all()
            raise

    async def handle(self, message: SupervisorMessage) -> Any:
        match message:
            case _ChildEnded(name, reason):
                self._ended(self._children[name], reason)
            case StartChild(spec):
                try:
                    return self.start_child(spec)
                except Exception as error:
                    return Refusal(error)
            case StopChild(name):
                try:
                    return self.stop_child(name)
                except ActorError as error:
                    return Refusal(error)
            case _ChildStarted() | _RestartDue():
                pass
        self._advance()

    async def on_stop(self, reason: ExitReason) -> None:
        await self._stop_all()

    # -- for subclasses, in the supervisor's own task --------------------------------------------------------------

    def start_child(self, spec: ChildSpec) -> ActorRef[Any]:
        """Start a child after all others, without waiting for its `on_start`. Raises NameTaken, SystemClosed, or what
        `spec.factory` raised."""
        return self._add(spec).cell.ref

    def stop_child(self, name: str) -> ActorRef[Any]:
        """Stop a child for good, without waiting for its end. Raises NoSuchChild."""
        child = self._children.get(name)
        if child is None:
            raise NoSuchChild(self.context.name, name)
        child.is_leaving = child.must_stop = True
        if child.is_down:
            self._bury(child)
        self._advance()
        return child.cell.ref

    # -- what a child's cell reports -------------------------------------------------------------------------------

    def child_started(self, cell: Cell) -> None:
        """A child's `on_start` has returned."""
        cell_of(self.context.ref).signal(_ChildStarted(cell.name))

    def child_ended(self, cell: Cell, reason: ExitReason) -> None:
        """A child's incarnation is over."""
        self._children[cell.name].reason = reason
        if self._is_closing:
            cell.bury(reason)
        else:
            cell_of(self.context.ref).signal(_ChildEnded(cell.name, reason))

    # -- steps -----------------------------------------------------------------------------------------------------

    def _add(self, spec: ChildSpec) -> _Child:
        cell = cell_of(self.context.ref).kernel.add(spec.factory(), spec.name, spec.mailbox, spec.stop_timeout)
        cell.keeper = self
        child = self._children[spec.name] = _Child(spec, cell)
        cell.launch()
        return child

    def _ended(self, child: _Child, reason: ExitReason) -> None:
        """Note what a child's end calls for."""
        was_stopped, child.must_stop, child.is_down = child.must_stop, False, True
        if child.kill_timer is not None:
            child.kill_timer.cancel()
            child.kill_timer = None
        if child.is_leaving:
            self._bury(child)
        elif not was_stopped:
            self._decide(child, reason)

    def _decide(self, dead: _Child, reason: ExitReason) -> None:
        todo = plan(self._strategy, [child.spec for child in self._children.values()], dead.spec.name, reason)
        if not todo.start:
            self._bury(dead)
            return
        now = self.context.system.clock.now()
        if not allowed(self._history, now, self._intensity, self._period):
            error = RestartIntensityExceeded(self.context.name, dead.spec.name, self._intensity, self._period)
            raise error from getattr(reason, "error", None)
        recent = sum(now - when <= self._period for when in self._history)
        self._history.append(now)
        self._mark(todo.stop, todo.start, now + self._backoff.delay(recent, self._chance()))

    def _mark(self, stop: tuple[str, ...], start: tuple[str, ...], ready_at: float) -> None:
        for name in stop:
            child = self._children[name]
            child.is_leaving = child.is_leaving or name not in start
            child.must_stop = not child.is_down
        for name in start:
            self._children[name].ready_at = ready_at
        timers, notify = self.context.system.timers, cell_of(self.context.ref).signal
        if ready_at > self.context.system.clock.now():
            timers.call_at(ready_at, lambda: notify(_RestartDue()))

    def _advance(self) -> None:
        """Take the next step, if it is time for one."""
        children = list(self._children.values())
        # Children that are restarted one for one do not depend on each other, so none waits for another.
        in_order = self._strategy != "one_for_one"
        self._stop_next(children, in_order)
        if not (in_order and any(child.must_stop for child in children)):
            self._start_next(children, in_order)

    def _stop_next(self, children: list[_Child], in_order: bool) -> None:
        for child in reversed(children):
            if child.must_stop and child.kill_timer is None:
                child.kill_timer = child.cell.shut_down()
            if child.must_stop and in_order:
                return

    def _start_next(self, children: list[_Child], in_order: bool) -> None:
        now = self.context.system.clock.now()
        for child in children:
            if in_order and child.cell.status == "starting":
                return
            if child.is_down and child.ready_at <= now:
                self._restart(child)
            if in_order and (child.is_down or child.cell.status == "starting"):
                return

    def _restart(self, child: _Child) -> None:
        child.is_down = False
        try:
            actor = child.spec.factory()
        except Exception as error:
            self.child_ended(child.cell, StartFailed(error))
        else:
            child.cell.relaunch(actor)

    def _bury(self, child: _Child) -> None:
        del self._children[child.spec.name]
        child.cell.bury(child.reason)

    async def _stop_all(self) -> None:
        self._is_closing = True
        children = list(reversed(self._children.values()))
        try:
            for child in children:
                if child.cell.status == "restarting":
                    child.cell.bury(child.reason)
                if child.cell.status != "dead":
                    timer = child.kill_timer or child.cell.shut_down()
                    await child.cell.stopped.wait()
                    timer.cancel()
        finally:
            # Cut short, it still leaves no orphan.
            for child in children:
                child.cell.abort(Killed())
