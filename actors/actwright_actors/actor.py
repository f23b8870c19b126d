"""What a user writes: an actor, and what it sees of the world it lives in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, TypeVarTuple

import anyio

from actwright_actors._latch import Latch
from actwright_actors.exit import ExitReason
from actwright_actors.replies import DeferredReply

if TYPE_CHECKING:
    from actwright_actors._incarnation import Incarnation
    from actwright_actors.keyed_timers import KeyedTimers
    from actwright_actors.ref import ActorRef
    from actwright_actors.system import ActorSystem

__all__ = ["Actor", "ActorContext", "Ask", "ChildTask"]

M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")


class Ask(Generic[R_co]):
    """Base for a message whose answer is an `R`, so that `await ref.ask(message)` is typed as `R`.

    The actor that handles it owes that type; nothing checks it at run time.
    """

    __slots__ = ()


class Actor(Generic[M_contra]):
    """State that only its own task touches, driven by messages of type `M`. After OTP's gen_server.

    Subclass it and override what is needed. All three callbacks run in the actor's own task, one at a time. An
    exception that escapes one of them ends the actor; it is never raised into another task.
    """

    context: ActorContext
    """Set by the system before `on_start`."""

    stop_timeout: ClassVar[float | None] = None
    """Seconds for `on_stop`, for child tasks to end, and for a handler to give in to a cancellation; None: the
    system's `stop_timeout`. What a supervisor waits for its children does not count."""

    stash_capacity: ClassVar[int] = 1_000
    """How many messages `context.stash()` puts aside."""

    # To a type checker it would say that an actor has every attribute; no test runs as one.
    if not TYPE_CHECKING:  # pragma: no branch

        def __getattr__(self, name: str) -> Any:
            hint = " yet: it gets one when it is spawned; use it in on_start and later" if name == "context" else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    async def on_start(self) -> None:
        """Runs first. Mail queues meanwhile.

        An exception here is StartFailed: `spawn` raises it, and `on_stop` is not called. `stop()` waits until this
        has returned; `kill()` cancels it. An actor that is supervised fails its supervisor's start the first time,
        and counts as one more death later.
        """

    async def handle(self, message: M_contra) -> Any:
        """Handle one message. What it returns answers an `ask`, and is ignored for a `tell`.

        It is looked up once, when `on_start` has returned: to do otherwise from some message on, let it decide by the
        actor's state, or write a StateMachine.

        An exception crashes the actor; whoever asked gets ActorDead with it as the cause, who monitors the actor sees
        it in Down. `kill()` cancels it; `stop()` waits until it has returned. If it swallows the cancellation for
        `stop_timeout` seconds, the actor is given up: it counts as ended, and nothing more is handled.
        """
        raise TypeError(f"{type(self).__name__} got {message!r} but has no handle(). Override `async def handle`.")

    async def on_stop(self, reason: ExitReason) -> None:
        """Runs last, once, if `on_start` succeeded, however the actor ended; its child tasks have ended by then.

        It is shielded from every cancellation, and has `stop_timeout` seconds; then, or at a further `kill()`, it is
        cancelled and the actor counts as Killed. An exception makes an otherwise normal end Crashed, which who monitors
        the actor sees in Down; after an abnormal end it is only logged. For an actor that was given up it runs when its
        handler returns at last, after Down.
        """


class ActorContext:
    """An actor's own identity and its means to act. Only in the loop's thread.

    It belongs to one incarnation: after a supervised restart the new actor object has a context of its own.
    """

    __slots__ = ("_life",)

    def __init__(self, life: Incarnation) -> None:
        self._life = life

    @property
    def ref(self) -> ActorRef[Any]:
        """The reference by which others know this actor."""
        return self._life.cell.ref

    @property
    def system(self) -> ActorSystem:
        """The system it lives in."""
        return self._life.cell.kernel.system

    @property
    def name(self) -> str:
        """Unique among the system's live actors."""
        return self._life.cell.name

    @property
    def timers(self) -> KeyedTimers:
        """Timers that send this actor messages, each known by a key."""
        return self._life.timers()

    # -- the message at hand ---------------------------------------------------------------------------------------

    def defer_reply(self) -> DeferredReply[Any]:
        """Take upon oneself to answer the message being handled later; what `handle` returns is then ignored.

        If the message was told and not asked, the answer goes nowhere. Raises RuntimeError the second time.
        """
        return DeferredReply(self._life, self._life.defer())

    def stash(self) -> None:
        """Put the message being handled aside, until `unstash_all`; whoever asked goes on waiting.

        A stash lasts beyond a supervised restart: its messages are then first in line. A timer's message that is
        stashed is no longer the timer's: cancelling that does not take it back. Raises StashFull when it holds
        `stash_capacity` messages, RuntimeError when no message is being handled or this one is stashed already.
        """
        self._life.stash()

    def unstash_all(self) -> int:
        """Put all that was stashed, in its order, before the user messages that wait; says how many that were."""
        return self._life.unstash_all()

    # -- others ----------------------------------------------------------------------------------------------------

    def link(self, other: ActorRef[Any]) -> None:
        """Tie this incarnation's life and the other's together, as OTP does: the end of one is the end of both.

        When one crashes or is killed, the other ends as Crashed, with a LinkBroken that says why; when one is shut
        down, so is the other; a normal end harms nobody. A link breaks once: after a restart, link anew, in `on_start`.
        At once if the other is dead. To be told instead of ended, `other.monitor(self.context.ref)`.
        """
        self._life.link(other)

    def unlink(self, other: ActorRef[Any]) -> None:
        """Take `link` back, whichever side made it."""
        self._life.unlink(other)

    def start_soon(
        self,
        async_fn: Callable[[*Ts], Coroutine[Any, Any, object]],
        *args: *Ts,
        context: Context | None = None,
    ) -> ChildTask:
        """Run `async_fn(*args)` beside the actor, which goes on handling messages. Returns at once.

        When the actor ends, by whatever way, its child tasks are cancelled and awaited before `on_stop` and `Down`;
        one that has not ended after `stop_timeout` seconds is abandoned. An exception that escapes from it, of any
        kind, crashes the actor. It runs in a copy of `context`, by default of the current one.

        Raises ActorDead when the actor is already ending.
        """
        return self._life.start_child(async_fn, args, context)


class ChildTask:
    """A task that lives no longer than its actor, unless abandoned. Only in the loop's thread."""

    __slots__ = ("_ended", "_life", "scope")

    def __init__(self, life: Incarnation, ended: Latch) -> None:
        self._life = life
        self._ended = ended
        self.scope = anyio.CancelScope()

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Cancel it. It ends at its next checkpoint, and that is no crash."""
        self._life.cell.kernel.require_loop_thread("ChildTask.cancel")
        self.scope.cancel()

    async def wait(self) -> None:
        """Wait until it has ended. Cancelling this wait does not cancel the task."""
        self._life.cell.kernel.require_loop_thread("ChildTask.wait")
        await self._ended.wait()

    def abandon(self) -> None:
        """The actor no longer waits for it, nor crashes with it: it belongs to the system, which counts it in
        `system.abandoned` until it ends, and logs what escapes from it. The system cancels it when it closes."""
        if not self.done:
            self._life.abandon(self)
