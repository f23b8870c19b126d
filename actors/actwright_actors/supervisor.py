"""An actor that keeps others alive. Semantics from OTP's supervisor.

What to do is decided by the pure functions of `restart`; here is who does it and when. Children that depend on each
other are restarted in steps: the agenda stops the last one that must go, or starts the first one that is down, and
each step ends in a message. So the supervisor's loop never waits for a child's code, and a death in the middle of a
restart just adds to what is to be done. No event costs more than what it concerns, however many children there are.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import anyio

from actwright_actors._agenda import Agenda
from actwright_actors._cell import Cell, cell_of
from actwright_actors._checks import require_at_least, require_choice
from actwright_actors._child import Child, make_actor
from actwright_actors._incarnation import life_of
from actwright_actors._interrupt import interrupt_in
from actwright_actors._log import logger
from actwright_actors._messages import Notice
from actwright_actors.actor import Actor, Ask
from actwright_actors.errors import ActorDead, NoSuchChild, RestartIntensityExceeded
from actwright_actors.exit import ExitReason, Killed, Shutdown, StartFailed
from actwright_actors.ref import ActorRef
from actwright_actors.replies import DeferredReply, Refusal
from actwright_actors.restart import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    Plan,
    Strategy,
    allowed,
    calls_for_shutdown,
    plan,
    require_unique_names,
)
from actwright_actors.waiting import wait_through

__all__ = ["StartChild", "StopChild", "Supervisor", "SupervisorMessage"]


def _require_spec(spec: object) -> None:
    if not isinstance(spec, ChildSpec):
        raise TypeError(f"The child of a supervisor is a ChildSpec, such as ChildSpec('name', Worker); got {spec!r}.")


@dataclass(frozen=True)
class StartChild(Ask[ActorRef[Any]]):
    """Ask a supervisor to start a child after all others. Answers its reference once its `on_start` has returned.

    The ask raises what `on_start` or `spec.factory` raised, ActorDead if the child was killed before it had started,
    NameTaken, SystemClosed, or ValueError for a significant child of a supervisor that never shuts down by itself.
    Such a child is gone, no sibling is concerned, and it counts as no death. If it was told and not asked, that is
    logged. The supervisor does not wait: `on_start` may ask it. If the asker is cancelled or its timeout passes, the
    child stays. Raises TypeError at once if `spec` is no ChildSpec.
    """

    spec: ChildSpec

    def __post_init__(self) -> None:
        _require_spec(self.spec)


@dataclass(frozen=True)
class StopChild(Ask[ActorRef[Any]]):
    """Ask a supervisor to stop a child for good. Answers its reference at once; await `ref.stopped()` to see it gone.
    The ask raises NoSuchChild."""

    name: str


@dataclass(frozen=True, slots=True)
class _ChildStarted(Notice):
    """Whoever waited for its turn behind it may have it now."""


@dataclass(frozen=True, slots=True)
class _ChildEnded(Notice):
    child: Child


@dataclass(frozen=True, slots=True)
class _BackoffOver(Notice):
    child: Child


SupervisorMessage = StartChild | StopChild
"""What others may send to a supervisor."""

_Notice = _ChildStarted | _ChildEnded | _BackoffOver


class Supervisor(Actor[SupervisorMessage]):
    """Starts its children in order, restarts those that end, and stops them in reverse order, however it ends.

    A restart keeps a child's reference, name and undelivered mail, of which what it had stashed comes first; the
    message it crashed on is gone. Who monitors a child hears Down only when it is gone for good.

    `on_start` waits for the start of each of `children`; if one fails, those before it are stopped, and its error is
    the supervisor's own. One whose `on_start` asks this supervisor gets DeadlockDetected. A child that fails to start
    again, by its factory or its `on_start`, counts as one more death.

    More than `intensity` restarts within `period` seconds, of all children together: the supervisor stops all and
    crashes with RestartIntensityExceeded. That is for its own supervisor to see, which starts `children` anew; those
    that StartChild added are gone. (OTP ends it with `shutdown` there, and so would not restart a transient one.)

    `stop_timeout` is the time for its own code, and for its first children to start. It stands still while it waits
    for them to stop, for which each has its own. One that is given up because it swallows a kill counts as ended once
    its children, killed then, are gone, and starts none any more.

    `backoff` is each child's own. `auto_shutdown` says whether it ends, as Shutdown, when significant children have
    ended by themselves: not by StopChild, nor because a sibling's death took them down.

    Raises ValueError for arguments that cannot be: an unknown word, a negative number, two children of one name, a
    significant child where `auto_shutdown` is "never". `chance` gives the random numbers of `backoff`.
    """

    _stops_all_at_once: ClassVar[bool] = False

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        backoff: Backoff | None = None,
        auto_shutdown: AutoShutdown = "never",
        chance: Callable[[], float] = random.random,
    ) -> None:
        require_choice("The strategy of a supervisor", strategy, Strategy)
        require_choice("The auto_shutdown of a supervisor", auto_shutdown, AutoShutdown)
        require_at_least("The intensity of a supervisor", intensity, 0)
        if not period > 0:
            raise ValueError(f"The period of a supervisor is more than 0 seconds; got {period!r}.")
        self._specs = tuple(children)
        self._strategy: Strategy = strategy
        self._intensity = intensity
        self._period = period
        self._backoff = backoff or Backoff()
        self._auto_shutdown: AutoShutdown = auto_shutdown
        self._chance = chance
        self._children: dict[str, Child] = {}  # in the order of their start
        self._significant: set[Child] = set()  # those that are not leaving
        self._history: deque[float] = deque(maxlen=max(intensity, 1))
        self._agenda = Agenda()
        self._is_closing = False
        self._when_gone: Callable[[], object] | None = None
        for spec in self._specs:
            _require_spec(spec)
            self._check(spec)
        require_unique_names(self._specs)

    async def on_start(self) -> None:
        for spec in self._specs:
            await self._start_and_wait(spec)

    async def handle(self, message: SupervisorMessage | _Notice) -> Any:
        match message:
            case StartChild(spec):
                self._start_for_asker(spec)
            case StopChild(name):
                try:
                    return self.stop_child(name)
                except NoSuchChild as error:
                    return Refusal(error)
            case _ChildEnded() | _ChildStarted() | _BackoffOver() if self._is_closing:
                pass  # it was given up, goes on though, and has none left
            case _ChildEnded(child):
                if self._children.get(child.name) is child:  # else of this supervisor's life before its own restart
                    self._ended(child)
            case _BackoffOver(child) if self._strategy == "one_for_one":
                if child.is_down:
                    self._restart(child)
            case _ChildStarted() | _BackoffOver():
                self._advance()
            case _:
                return self._misdirected(message)

    def _misdirected(self, message: object) -> Refusal:
        # As in OTP: what keeps others alive does not die of a stray message.
        error = TypeError(f"Supervisor {self.context.name!r} takes StartChild and StopChild; got {message!r}.")
        logger.error("%s It is ignored.", error)
        return Refusal(error)

    async def on_stop(self, reason: ExitReason) -> None:
        await self.stop_children()

    # -- for subclasses, in the supervisor's own task --------------------------------------------------------------

    def start_child(self, spec: ChildSpec) -> ActorRef[Any]:
        """Start a child after all others, without waiting for its `on_start`; if that fails, the child is gone.

        Raises NameTaken, SystemClosed, ValueError as StartChild does, ActorDead in `on_stop` and where this supervisor
        was given up, or what `spec.factory` raised.
        """
        return self._add_later(spec).cell.ref

    def stop_child(self, name: str) -> ActorRef[Any]:
        """Stop a child for good, without waiting for its end. Raises NoSuchChild."""
        child = self._children.get(name)
        if child is None:
            raise NoSuchChild(self.context.name, name)
        self._dismiss(child)
        if child.is_down:
            self._bury(child)
        else:
            child.must_stop = True
            child.shut_down()
        return child.cell.ref

    # -- what a child's cell reports -------------------------------------------------------------------------------

    def child_started(self, cell: Cell) -> None:
        """A child's `on_start` has returned."""
        child = self._children[cell.name]
        child.started_at = self.context.system.clock.now()
        child.is_starting = cell.is_awaited = False
        if child.reply is not None:
            child.reply.answer(cell.ref)
            child.reply = None
        if self._agenda:  # a message, since what is started next is not to inherit the context of this child's task
            cell_of(self.context.ref).signal(_ChildStarted())

    def child_ended(self, cell: Cell, reason: ExitReason) -> None:
        """A child's incarnation is over."""
        child = self._children[cell.name]
        lasted = self.context.system.clock.now() - child.started_at
        if cell.life.has_started and lasted >= self._backoff.reset_after:
            child.restarts_in_a_row = 0
        self._report_end(child, reason)

    def _report_end(self, child: Child, reason: ExitReason) -> None:
        child.reason = reason
        child.is_starting = False
        if self._is_closing:
            self._bury_late(child)
        else:
            cell_of(self.context.ref).signal(_ChildEnded(child))

    # -- starting --------------------------------------------------------------------------------------------------

    def _check(self, spec: ChildSpec) -> None:
        if spec.significant and self._auto_shutdown == "never":
            raise ValueError(
                f"Child {spec.name!r} is significant, and its supervisor never shuts down by itself: give that one "
                "auto_shutdown='any_significant' or 'all_significant'."
            )

    def _add(self, spec: ChildSpec, reply: DeferredReply[ActorRef[Any]] | None = None) -> Child:
        self._check(spec)
        life = life_of(self.context)
        if life.status not in ("starting", "running"):
            raise ActorDead(life.cell.ref, life.reason)
        cell = life.cell.kernel.add(make_actor(spec), spec.name, spec.mailbox, spec.stop_timeout, keeper=self)
        life.as_keeper = self
        cell.launch()
        child = self._children[cell.name] = Child(spec, cell, reply)
        if spec.significant:
            self._significant.add(child)
        return child

    def _add_later(self, spec: ChildSpec, reply: DeferredReply[ActorRef[Any]] | None = None) -> Child:
        """Add one that there is not from the first. Raises SystemClosed once the system has begun to stop."""
        cell_of(self.context.ref).kernel.require_open()
        return self._add(spec, reply)

    async def _start_and_wait(self, spec: ChildSpec) -> None:
        """Start one of the children that there are from the first. Raises what kept it from starting."""
        child, life = self._add(spec), life_of(self.context)
        child.cell.is_awaited = True
        with life.waiting_for(child.cell, child.cell.life.settled.is_set):
            await child.cell.life.settled.wait()
        if child.never_started:
            child.cell.is_awaited = False  # since this tells of it
            raise child.start_error

    def _start_for_asker(self, spec: ChildSpec) -> None:
        life = life_of(self.context)
        asked = life.defer()
        reply = DeferredReply[ActorRef[Any]](life, asked)
        try:
            child = self._add_later(spec, reply)
        except BaseException as error:  # from the factory too, where a SystemExit is a failure like any other
            self._refuse(reply, spec.name, error)
            return
        child.cell.is_awaited = True
        if asked is not None:
            asked.redirect(child.cell)  # so that a child whose start asks the one that asked for it is told

    def _refuse(self, reply: DeferredReply[ActorRef[Any]], name: str | None, error: BaseException) -> None:
        if not reply.is_wanted or interrupt_in(error) is not None:
            cell_of(self.context.ref).kernel.log_escaped(f"Child {name!r} did not start.", error)
        reply.fail(error)

    # -- what the end of a child calls for -------------------------------------------------------------------------

    def _ended(self, child: Child) -> None:
        was_stopped, child.must_stop, child.is_down = child.must_stop, False, True
        child.stop_killing()
        if child.never_started:
            self._bury(child)
            if child.reply is not None:
                self._refuse(child.reply, child.name, child.start_error)
        elif child.is_leaving:
            self._bury(child)
        elif not was_stopped:
            self._decide(child)
        self._advance()

    def _decide(self, dead: Child) -> None:
        todo = plan(self._strategy, self._children.values(), dead, dead.reason)
        if todo.start:
            delay = self._permit(dead)
            self._begin(todo, dead, delay)
            return
        self._bury(dead)
        if calls_for_shutdown(self._auto_shutdown, dead.spec, dead.reason, len(self._significant)):
            self._is_closing = True
            cell_of(self.context.ref).abort(Shutdown())  # a stop request would wait for the notices that came before

    def _permit(self, dead: Child) -> float:
        """Count one more restart, and say after how many seconds. Raises RestartIntensityExceeded."""
        now = self.context.system.clock.now()
        if not allowed(self._history, now, self._intensity, self._period):
            error = RestartIntensityExceeded(self.context.name, dead.name, self._intensity, self._period)
            raise error from getattr(dead.reason, "error", None)
        self._history.append(now)
        delay = self._backoff.delay(dead.restarts_in_a_row, self._chance())
        dead.restarts_in_a_row += 1
        return delay

    def _begin(self, todo: Plan[Child], dead: Child, delay: float) -> None:
        """Begin a restart, or add to the one that is under way."""
        ready_at = self.context.system.clock.now() + delay  # before the timer is set, which must not come too early
        if delay > 0:
            self.context.timers.start(dead, _BackoffOver(dead), delay)
        if self._strategy != "one_for_one":
            self._begin_in_order(todo, ready_at)
        elif delay == 0:
            self._restart(dead)

    def _begin_in_order(self, todo: Plan[Child], ready_at: float) -> None:
        for child in todo.stop:
            child.must_stop = not child.is_down
            if child.restart == "temporary":
                self._dismiss(child)
        for child in todo.start:
            child.ready_at = max(child.ready_at, ready_at)
        self._agenda.revise(self._children.values())

    def _advance(self) -> None:
        self._agenda.advance(self.context.system.clock.now(), self._restart)

    def _restart(self, child: Child) -> None:
        child.is_down, child.is_starting = False, True
        logger.info("Supervisor %r starts %r again, which ended: %s.", self.context.name, child.name, child.reason)
        try:
            child.cell.relaunch(make_actor(child.spec), child.reason)
        except BaseException as error:
            cell_of(self.context.ref).kernel.log_escaped(f"Child {child.name!r} was not made again.", error)
            self._report_end(child, StartFailed(error))

    def _dismiss(self, child: Child) -> None:
        """It will not be started again, nor does its end mean anything."""
        child.is_leaving = True
        self._significant.discard(child)

    def _bury(self, child: Child) -> None:
        self._dismiss(child)
        child.is_down = False
        del self._children[child.name]
        child.cell.bury(child.reason)

    def _bury_late(self, child: Child) -> None:
        """Bury it while this supervisor ends, when nobody hears any more what kept it from starting."""
        if child.cell.is_awaited and isinstance(child.reason, StartFailed):
            cell_of(self.context.ref).kernel.log_escaped(f"Child {child.name!r} did not start.", child.reason.error)
        child.stop_killing()
        self._bury(child)
        self._tell_if_all_are_gone()

    def _tell_if_all_are_gone(self) -> None:
        if not self._children and self._when_gone is not None:
            when_gone, self._when_gone = self._when_gone, None
            when_gone()

    # -- its own end, as its incarnation has it --------------------------------------------------------------------

    async def stop_children(self) -> None:
        """Stop the children, the last started first; each has its own deadline, and meanwhile this one has none. Cut
        short, by a further kill, kill them. Leaves no orphan: returns, or raises, when all are gone."""
        self._is_closing = True
        children = [*reversed(self._children.values())]
        for child in children:
            if child.cell.status == "restarting":
                self._bury_late(child)
            elif self._stops_all_at_once:
                child.shut_down()
        with life_of(self.context).deadlines.paused():
            try:
                for child in children:
                    child.shut_down()
                    await child.cell.stopped.wait()
            except BaseException:
                gone = anyio.Event()
                self.kill_children(gone.set)
                await wait_through(gone)
                raise

    def kill_children(self, when_gone: Callable[[], object]) -> None:
        """Kill the children, of which none is left when `when_gone` is called: at once, or by the last one's end."""
        self._is_closing = True
        self._when_gone = when_gone
        for child in [*self._children.values()]:
            child.cell.abort(Killed())
            if child.cell.status == "restarting":
                self._bury_late(child)
        self._tell_if_all_are_gone()
