"""What there is of an actor apart from its code: identity, mailbox, life cycle. The reference points here.

A cell outlives its actor object: a supervised restart puts a new object (the next incarnation) into the same cell,
which is why name, mailbox and references stay. Everything here runs in the loop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio

from actwright_actors._latch import Latch
from actwright_actors._messages import Ask, Notice, Reply, StopRequest
from actwright_actors._runner import run_actor, run_child
from actwright_actors.actor import Actor, ActorContext, ChildTask
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.errors import ActorDead, MailboxFull
from actwright_actors.exit import Crashed, ExitReason, Killed, Shutdown, StartFailed
from actwright_actors.mailbox import Mailbox, MailboxOptions
from actwright_actors.ref import ActorRef, Down

if TYPE_CHECKING:
    from actwright_actors.system import ActorSystem
    from actwright_actors.timers import Timer

__all__ = ["Cell", "Keeper", "Status"]

logger = logging.getLogger("actwright_actors")

Status = Literal["starting", "running", "stopping", "restarting", "dead"]


class Keeper(Protocol):
    """Decides about a cell's incarnations: a supervisor."""

    def child_started(self, cell: Cell) -> None:
        """`on_start` has returned."""
        ...

    def child_ended(self, cell: Cell, reason: ExitReason) -> None:
        """The incarnation is over; the keeper owes the cell a `relaunch` or a `bury`."""
        ...


class Cell:
    """One actor's place in a system."""

    __slots__ = (
        "__weakref__",
        "abort_reason",
        "actor",
        "children",
        "children_gone",
        "exit_reason",
        "is_awaited",
        "keeper",
        "mailbox",
        "name",
        "pending",
        "ref",
        "scope",
        "settled",
        "status",
        "stop_timeout",
        "stopped",
        "system",
        "watchers",
    )

    def __init__(
        self, system: ActorSystem, actor: Actor[Any], name: str, options: MailboxOptions, stop_timeout: float | None
    ) -> None:
        self.system = system
        self.name = name
        self.mailbox = Mailbox(options)
        self.ref: ActorRef[Any] = ActorRef(self)
        self.stop_timeout = stop_timeout
        self.keeper: Keeper | None = None
        self.is_awaited = False
        """Somebody waits for its start, and is told of a failure."""
        self.watchers: dict[ActorRef[Any], None] = {}
        self.exit_reason: ExitReason | None = None
        self.stopped = Latch()
        """Set when it is dead for good."""
        self._prepare(actor)

    def _prepare(self, actor: Actor[Any]) -> None:
        self.actor: Actor[Any] | None = actor
        self.status: Status = "starting"
        self.scope = anyio.CancelScope()
        self.abort_reason: ExitReason | None = None
        self.pending: Reply | None = None
        """Whoever asked the message being handled."""
        self.settled = Latch()
        """Set when `on_start` has succeeded, or never will."""
        self.children: dict[ChildTask, None] = {}
        self.children_gone: Latch | None = None

    # -- life cycle ------------------------------------------------------------------------------------------------

    def launch(self, context: Context | None) -> None:
        """Start the task of this incarnation."""
        assert self.actor is not None
        self.actor.context = ActorContext(self)
        self.system.start_task(run_actor, self, name=self.name, context=context)

    def relaunch(self, actor: Actor[Any]) -> None:
        """Start the next incarnation, with the mail that is left."""
        self._prepare(actor)
        self.launch(None)

    def mark_running(self) -> None:
        """`on_start` has returned."""
        self.status = "running"
        self.settled.set()
        if self.keeper is not None:
            self.keeper.child_started(self)

    def seconds_to_stop(self) -> float:
        """The time for its child tasks to end, and then for `on_stop`."""
        own = self.stop_timeout if self.actor is None or self.stop_timeout is not None else self.actor.stop_timeout
        return self.system.stop_timeout if own is None else own

    def request_stop(self, reason: ExitReason) -> None:
        self.signal(StopRequest(reason))

    def shut_down(self) -> Timer:
        """Stop it in order; a timer, for the caller to cancel at its end, kills it when it takes too long."""
        seconds = self.seconds_to_stop()
        self.request_stop(Shutdown())
        return self.system.timers.call_later(seconds, partial(self._kill_late, seconds))

    def _kill_late(self, seconds: float) -> None:
        logger.warning("Actor %r did not stop within %s s; it is killed.", self.name, seconds)
        self.abort(Killed())

    def drain(self) -> None:
        if self.status != "dead":
            self.mailbox.close()

    def abort(self, reason: ExitReason) -> None:
        """End it now: cancel what it is doing. The reason is written down before the cancellation can be seen."""
        if self.status != "dead":
            if self.abort_reason is None:
                self.abort_reason = reason
            self.scope.cancel()

    def ended(self, reason: ExitReason) -> None:
        """The last thing that an incarnation's task does."""
        if self.pending is not None:
            self.pending.fail(ActorDead(self.ref, reason))
            self.pending = None
        self.status = "restarting"
        self.settled.set()
        if self.keeper is None:
            self.bury(reason)
        else:
            # A drain or a second stop() was meant for the incarnation that is gone.
            self.mailbox.reopen(lambda item: not isinstance(item, StopRequest))
            self.keeper.child_ended(self, reason)

    def bury(self, reason: ExitReason) -> None:
        """Free the name, return the mail, tell the watchers."""
        self.status = "dead"
        self.exit_reason = reason
        self.actor = None
        self.system.forget(self)
        self.mailbox.close()
        for item in self.mailbox.clear():
            self.return_to_sender(item, DeadLetterReason.UNHANDLED)
        for watcher in self.watchers:
            watcher.notify(Down(self.ref, reason))
        self.watchers.clear()
        self.stopped.set()

    # -- mail ------------------------------------------------------------------------------------------------------

    def tell(self, item: Any) -> None:
        if not self.mailbox.offer(item):
            self._overflow(item)

    async def send(self, item: Any) -> None:
        if self.mailbox.offer(item):
            return
        may_wait = self.mailbox.options.overflow == "wait" and not self.mailbox.is_closed
        if not (may_wait and await self.mailbox.offer_when_room(item)):
            self._overflow(item)

    def signal(self, item: Any) -> None:
        if self.status == "dead":
            self.return_to_sender(item, DeadLetterReason.DEAD)
        else:
            self.mailbox.signal(item)

    def _overflow(self, item: Any) -> None:
        box = self.mailbox
        if box.is_closed:
            dead = self.status == "dead"
            self.return_to_sender(item, DeadLetterReason.DEAD if dead else DeadLetterReason.DRAINING)
        elif box.options.overflow == "drop_newest":
            self.return_to_sender(item, DeadLetterReason.DROPPED_NEWEST)
        elif box.options.overflow == "drop_oldest":
            self.return_to_sender(box.replace_oldest(item), DeadLetterReason.DROPPED_OLDEST)
        else:
            raise MailboxFull(self.ref, box.options.capacity or 0)

    def return_to_sender(self, item: Any, why: DeadLetterReason) -> None:
        """Make a dead letter of it; whoever asked is told at once."""
        if isinstance(item, Ask):
            full = why in (DeadLetterReason.DROPPED_NEWEST, DeadLetterReason.DROPPED_OLDEST)
            capacity = self.mailbox.options.capacity or 0
            item.reply.fail(MailboxFull(self.ref, capacity) if full else ActorDead(self.ref, self.exit_reason))
            item = item.message
        if not isinstance(item, Notice):
            self.system.dead_letter(item, self.ref, why)

    # -- child tasks -----------------------------------------------------------------------------------------------

    def start_child(
        self, async_fn: Callable[..., Coroutine[Any, Any, object]], args: tuple[Any, ...], context: Context | None
    ) -> ChildTask:
        self.system.require_loop_thread("ActorContext.start_soon")
        if self.status not in ("starting", "running"):
            raise ActorDead(self.ref, self.exit_reason)
        child = ChildTask(self)
        self.children[child] = None
        self.system.start_task(run_child, self, child, async_fn, args, name=self.name, context=context)
        return child

    def abandon(self, child: ChildTask) -> None:
        self.system.adopt(child)
        self._release(child)

    def child_ended(self, child: ChildTask, error: BaseException | None) -> None:
        child.mark_ended()
        if child not in self.children:
            self.system.abandoned_ended(child, error)
            return
        if error is not None:
            self._child_crashed(error)
        self._release(child)

    def _child_crashed(self, error: BaseException) -> None:
        if self.abort_reason is not None or self.status == "stopping":
            logger.error("A child task of actor %r crashed while the actor was ending.", self.name, exc_info=error)
        self.abort(Crashed(error))

    def _release(self, child: ChildTask) -> None:
        self.children.pop(child, None)
        if self.children_gone is not None and not self.children:
            self.children_gone.set()

    # -- failure ---------------------------------------------------------------------------------------------------

    def report(self, reason: ExitReason) -> None:
        """Say a crash in the log, since perhaps nobody watches, and let a KeyboardInterrupt end the system."""
        if isinstance(reason, Crashed | StartFailed):
            if not (self.is_awaited and isinstance(reason, StartFailed)):
                logger.error("Actor %r ended: %s", self.name, type(reason).__name__, exc_info=reason.error)
            if isinstance(reason.error, KeyboardInterrupt):
                self.system.interrupt(reason.error)
