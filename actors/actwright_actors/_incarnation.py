"""One life of an actor: from its start to its exit reason. The actor's context is a view of it.

A supervised restart ends one incarnation and puts the next one into the same cell. So nothing that belongs to one life
alone (its timers, child tasks, answers owed) can reach into the next, even when the task of a life that was given up
goes on. Everything here runs in the loop's thread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio

from actwright_actors._deadline import Deadline, Deadlines
from actwright_actors._latch import Ending, Latch
from actwright_actors._log import logger
from actwright_actors._messages import IDLE, Envelope, Reply, TimerFired, content
from actwright_actors._runner import run_actor, run_child
from actwright_actors.actor import Actor, ActorContext, ChildTask
from actwright_actors.errors import ActorDead, AlreadySpawned, DeadlockDetected, StashFull
from actwright_actors.exit import Crashed, ExitReason, Killed, StartFailed
from actwright_actors.keyed_timers import KeyedTimers
from actwright_actors.ref import ActorRef

if TYPE_CHECKING:
    from actwright_actors._cell import Cell, Keeper

__all__ = ["Incarnation", "life_of"]


_NOBODY: Final = Actor[Any]()
_NOBODY_HANDLES: Final = _NOBODY.handle


class Incarnation:
    """What is there of an actor for one life."""

    __slots__ = (
        "__weakref__",
        "_deadlines",
        "_debts",
        "_ending",
        "_kills_next",
        "_patience",
        "_stash",
        "_stashed_turn",
        "_timers",
        "_wait",
        "abort_reason",
        "actor",
        "as_keeper",
        "busy_since",
        "cell",
        "children",
        "children_gone",
        "current",
        "handle",
        "has_started",
        "reason",
        "scope",
        "settled",
        "status",
        "task",
    )

    def __init__(self, cell: Cell, actor: Actor[Any]) -> None:
        if "context" in vars(actor):  # getattr would have Actor make the text of an error, at 2 us for each spawn
            raise AlreadySpawned(actor)
        self.cell = cell
        self.actor = actor
        self.status: Literal["starting", "running", "stopping", "ended"] = "starting"
        self.scope = anyio.CancelScope()
        self.settled = Latch(cell.kernel.make_wake)
        """Set when `on_start` has succeeded, or never will."""
        self.handle = _NOBODY_HANDLES
        """The actor's, looked up once: to do so for each message costs a tenth of a `tell`."""
        self.has_started = False
        """`on_start` has returned, so `on_stop` is due."""
        self.task: object = None
        """The task that runs it; None in a test kit, where the test's does."""
        self.abort_reason: ExitReason | None = None
        self.reason: ExitReason | None = None
        """Why it ended; set once."""
        self.current: Any = IDLE
        """What is being handled, with its envelope."""
        self.busy_since = 0.0
        """When that began, by `time.perf_counter`."""
        self._wait: tuple[Cell, Callable[[], bool]] | None = None
        self.children: dict[ChildTask, None] = {}
        self.children_gone: Latch | None = None
        self._ending: Ending | None = None
        self._kills_next = False
        self.as_keeper: Keeper | None = None
        """Its actor, once it has kept others alive."""
        self._deadlines: Deadlines | None = None
        self._patience: Deadline | None = None
        self._debts: dict[Reply, None] | None = None
        self._stash: deque[Any] | None = None
        self._stashed_turn = -1
        """`cell.handled` at the latest stash(), which tells one message from the next even if they are one object."""
        self._timers: KeyedTimers | None = None
        actor.context = ActorContext(self)

    @classmethod
    def over(cls, cell: Cell) -> Incarnation:
        """A life that has ended, for who looks for that of a dead actor when nobody has it any more."""
        life = cls(cell, Actor())
        life.status, life.reason = "ended", cell.exit_reason
        life.settled.set()
        life.forget_actor()
        return life

    # -- life cycle ------------------------------------------------------------------------------------------------

    def launch(self, context: Context | None) -> None:
        """Start its task."""
        self.cell.kernel.start_task(run_actor, self, name=self.cell.name, context=context)

    def mark_running(self) -> None:
        """`on_start` has returned, for one that was given up in vain."""
        self.has_started = True
        self.handle = self.actor.handle
        if self.status == "starting":
            self.status = "running"
            self.settled.set()
            self.cell.incarnation_started()

    def follow(self, before: Incarnation) -> None:
        """Take over what was asked of the actor since that life ended. Before this one is launched."""
        self._ending, before._ending = before._ending, None
        if before._kills_next:
            self.abort(Killed())

    def seconds_to_stop(self) -> float:
        """The time for `on_start` to return, for its child tasks to end, and then for `on_stop`."""
        own = self.actor.stop_timeout if self.cell.stop_timeout is None else self.cell.stop_timeout
        return self.cell.kernel.stop_timeout if own is None else own

    @property
    def deadlines(self) -> Deadlines:
        """What it has to be done by, however long it waits for others."""
        if self._deadlines is None:
            self._deadlines = Deadlines(self.cell.kernel.timers, self.cell.kernel.clock.now)
        return self._deadlines

    def abort(self, reason: ExitReason) -> None:
        """End it now: cancel what it is doing. The reason is written down before the cancellation can be seen."""
        if self.status != "ended":
            if self.abort_reason is None:
                self.abort_reason = reason
            self.cut()

    def kill(self) -> None:
        """End it now as Killed; if it is over, the life that follows, if one does."""
        if self.status == "ended":
            self._kills_next = True
        else:
            self.abort(Killed())

    def cancel(self) -> None:
        """Cancel what is left of it, once it is abandoned."""
        self.scope.cancel()

    def cut(self) -> None:
        """Cancel the callback that its task is in, and give it up when that is of no use."""
        self.scope.cancel()
        if self._patience is None:
            seconds = self.seconds_to_stop()
            if math.isinf(seconds):  # to take any time for its end is one thing, to swallow a kill another
                seconds = self.cell.kernel.stop_timeout
            self._patience = self.deadlines.start(seconds, partial(self._give_up, seconds))

    def unwound(self) -> None:
        """It gave in to the cancellation, or there was none."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self, seconds: float) -> None:
        """Whoever waits for its end waits no longer. Its task cannot be ended from outside; it is only counted."""
        logger.error(
            "Actor %r was cancelled %s s ago and goes on: it swallows cancellation, or waits under a shield. It counts "
            "as %s, and its task as abandoned.", self.cell.name, seconds, self.abort_reason or Killed(),
        )  # fmt: skip
        for child in list(self.children):
            child.cancel()
            child.abandon()
        self.cell.kernel.abandoned.add(self)
        if self.status == "ended":  # it was given up before, and its on_stop came late and swallows its cut as well
            return
        self.status = "stopping"
        end = partial(self.end, self.abort_reason or Killed())
        if self.as_keeper is None:
            end()
        else:
            self.as_keeper.kill_children(end)

    def end(self, reason: ExitReason) -> None:
        """It is over, or given up: settle what it owes and give the cell back. The second call finds all done."""
        if self.status == "ended":
            return
        self.status = "ended"
        self.reason = reason
        self.unwound()
        self._settle_debts(reason)
        self.current = IDLE
        if self._timers is not None:
            self._timers.clear()
        if self._stash is not None:
            self.unstash_all()
        self.settled.set()
        self.cell.incarnation_ended(self, reason)
        self.tell_of_end(reason)

    def forget_actor(self) -> None:
        """Whoever keeps a reference to the dead keeps nothing of the user's."""
        self.actor = _NOBODY
        self.handle = _NOBODY_HANDLES

    def ending(self) -> Ending:
        """The end to come: of this life, or, if it is over, of the one that follows, or of the actor if none does."""
        if self._ending is None:
            self._ending = Ending(self.cell.kernel.make_wake)
        return self._ending

    def tell_of_end(self, reason: ExitReason) -> None:
        """The end that was to come has come, if anybody waits for it."""
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.come(reason)

    def report(self, reason: ExitReason) -> None:
        """Say a crash in the log, since perhaps nobody watches, and let a KeyboardInterrupt end the system."""
        if isinstance(reason, Crashed | StartFailed):
            if not (self.cell.is_awaited and isinstance(reason, StartFailed)):
                logger.error("Actor %r ended: %s", self.cell.name, type(reason).__name__, exc_info=reason.error)
            self.cell.kernel.interrupt_if_asked(reason.error)

    def has_expired(self, envelope: Envelope) -> bool:
        """Whether its deadline has passed, so that nobody wants it handled."""
        if envelope.reply is not None:
            return envelope.reply.outcome == "expired"
        return self.cell.kernel.clock.now() >= envelope.deadline

    # -- answers ---------------------------------------------------------------------------------------------------

    def answer(self, reply: Reply, value: Any) -> None:
        """Settle `reply`, or count a late one."""
        if not reply.answer(value):
            self.cell.kernel.late_replies += 1

    def defer(self) -> Reply | None:
        """Take the answer to the current message upon oneself; None if nobody waits for one."""
        self.cell.kernel.require_loop_thread("ActorContext.defer_reply")
        reply = self.current.reply if isinstance(self.current, Envelope) else None
        if reply is None:
            return None
        if reply.is_taken:
            raise RuntimeError(f"The answer of actor {self.cell.name!r} was deferred, or its message stashed, already.")
        reply.is_taken = True
        reply.redirect(None)
        if self._debts is None:
            self._debts = {}
        self._debts[reply] = None
        return reply

    def pay(self, reply: Reply, value: Any) -> None:
        """Give a deferred answer. From any thread."""
        self.cell.kernel.run_in_loop(partial(self._pay, reply, value))

    def _pay(self, reply: Reply, value: Any) -> None:
        if self._debts is not None:
            self._debts.pop(reply, None)
        self.answer(reply, value)

    def _settle_debts(self, reason: ExitReason) -> None:
        current = self.current.reply if isinstance(self.current, Envelope) else None
        if current is not None and not current.is_taken:
            current.fail(ActorDead(self.cell.ref, reason))
        for reply in self._debts or ():
            reply.fail(ActorDead(self.cell.ref, reason))
        self._debts = None

    # -- links -----------------------------------------------------------------------------------------------------

    def link(self, other: ActorRef[Any]) -> None:
        """End with the other's incarnation, and have it end with this one. A life that is over links nothing."""
        self.cell.kernel.require_loop_thread("ActorContext.link")
        if self.status != "ended":
            self.cell.link(other)

    def unlink(self, other: ActorRef[Any]) -> None:
        """Take `link` back."""
        self.cell.kernel.require_loop_thread("ActorContext.unlink")
        self.cell.unlink(other)

    # -- waiting for others ----------------------------------------------------------------------------------------

    @property
    def waits_for(self) -> Cell | None:
        """Whom its own task waits for, and until then handles nothing; once it is over, who is to start the next."""
        if self.status == "ended":
            return self.cell.supervisor
        if self._wait is None:
            return None
        target, is_over = self._wait
        return None if is_over() else target

    def begin_to_wait(self, target: Cell, is_over: Callable[[], bool]) -> None:
        """Note that its own task waits for `target`. Raises DeadlockDetected if that one in the end waits for it.

        `is_over` tells when the wait is over, which its task itself sees only at its next turn.
        """
        chain = [self.cell]
        step: Cell | None = target
        while step is not None:
            chain.append(step)
            if step is self.cell:
                raise DeadlockDetected([cell.ref for cell in chain])
            step = step.life.waits_for
        self._wait = target, is_over

    def end_wait(self) -> None:
        """Its task goes on."""
        self._wait = None

    def redirect_wait(self, target: Cell | None, is_over: Callable[[], bool]) -> None:
        """What its task waits for comes from `target` from now on, or from no actor's own task."""
        self._wait = None if target is None else (target, is_over)

    @contextmanager
    def waiting_for(self, target: Cell, is_over: Callable[[], bool]) -> Generator[None]:
        """Begin to wait for `target`, and end with the block."""
        self.begin_to_wait(target, is_over)
        try:
            yield
        finally:
            self.end_wait()

    def deadline(self) -> float:
        """Until when whoever asked for what is being handled waits."""
        if self.status == "running" and isinstance(self.current, Envelope) and self.current.reply is not None:
            return self.current.deadline
        return math.inf

    # -- the stash -------------------------------------------------------------------------------------------------

    def stash(self) -> None:
        """Put the current message aside."""
        self.cell.kernel.require_loop_thread("ActorContext.stash")
        item, turn = self.current, self.cell.handled
        if item is IDLE or self._stashed_turn == turn:
            raise RuntimeError(
                f"Actor {self.cell.name!r} has no message to stash: "
                f"{'it handles none' if item is IDLE else 'this one is in the stash'}. Call stash() in handle, once."
            )
        if self._stash is None:
            self._stash = deque()
        if len(self._stash) >= self.actor.stash_capacity:
            raise StashFull(self.cell.ref, self.actor.stash_capacity)
        if isinstance(item, Envelope) and item.reply is not None:
            item.reply.is_taken = True  # until it is handled again, be it unstashed in this very handler
        self._stashed_turn = turn
        # A timer that has delivered its message is done with it: cancelling or restarting it takes nothing back.
        self._stash.append(item.message if isinstance(item, TimerFired) else item)

    def unstash_all(self) -> int:
        """Put all that was stashed before the user messages that wait, in its order."""
        self.cell.kernel.require_loop_thread("ActorContext.unstash_all")
        stashed, self._stash = self._stash or (), None
        self.cell.mailbox.put_back(stashed)
        return len(stashed)

    def stashed(self) -> list[Any]:
        """What is in the stash, in its order."""
        return [content(item) for item in self._stash or ()]

    # -- timers ----------------------------------------------------------------------------------------------------

    def timers(self) -> KeyedTimers:
        """Its keyed timers, made at the first use."""
        if self._timers is None:
            kernel = self.cell.kernel
            kernel.require_loop_thread("ActorContext.timers")
            self._timers = KeyedTimers(kernel.timers, kernel.clock.now, self._remind, kernel.require_loop_thread)
        return self._timers

    def _remind(self, fired: TimerFired) -> None:
        if self.status != "ended":  # a life that was given up may go on setting timers
            self.cell.signal(fired)

    # -- child tasks -----------------------------------------------------------------------------------------------

    def start_child(
        self, async_fn: Callable[..., Coroutine[Any, Any, object]], args: tuple[Any, ...], context: Context | None
    ) -> ChildTask:
        """Run `async_fn(*args)` beside the actor."""
        self.cell.kernel.require_loop_thread("ActorContext.start_soon")
        if self.status not in ("starting", "running"):
            raise ActorDead(self.cell.ref, self.reason)
        ended = Latch(self.cell.kernel.make_wake)
        child = ChildTask(self, ended)
        self.cell.kernel.start_task(run_child, self, child, ended, async_fn, args, name=self.cell.name, context=context)
        self.children[child] = None
        return child

    def abandon(self, child: ChildTask) -> None:
        """Wait for `child` no longer, nor crash with it."""
        self.cell.kernel.require_loop_thread("ChildTask.abandon")
        self.cell.kernel.abandoned.add(child)
        self._release(child)

    def child_ended(self, child: ChildTask, error: BaseException | None) -> None:
        """The last thing that a child's task does."""
        if child not in self.children:
            self.cell.kernel.abandoned_ended(child, error)
            return
        if error is not None:
            if self.abort_reason is not None or self.status == "stopping":
                self.cell.kernel.log_escaped(
                    "A child task of actor %r crashed while the actor was ending.", error, self.cell.name
                )
            self.abort(Crashed(error))
        self._release(child)

    def _release(self, child: ChildTask) -> None:
        self.children.pop(child, None)
        if self.children_gone is not None and not self.children:
            self.children_gone.set()


def life_of(context: ActorContext) -> Incarnation:
    """Whose view a context is: also where the cell is in its next life by now."""
    return context._life  # pyright: ignore[reportPrivateUsage]  # so that it need not be public
