"""What a user writes: an actor, and what it sees of the world it lives in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, TypeVarTuple

import anyio

from actwright_actors._latch import Latch
from actwright_actors.exit import ExitReason

if TYPE_CHECKING:
    from actwright_actors._cell import Cell
    from actwright_actors.ref import ActorRef
    from actwright_actors.system import ActorSystem

__all__ = ["Actor", "ActorContext", "ChildTask", "Request"]

M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")


class Request(Generic[R_co]):
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
    """Seconds for `on_stop`, and for child tasks to end; None: the system's `stop_timeout`."""

    async def on_start(self) -> None:
        """Runs first. Mail queues meanwhile.

        An exception here is StartFailed: `spawn` raises it, and `on_stop` is not called. `stop()` waits until this
        has returned; `kill()` cancels it.
        """

    async def handle(self, message: M_contra) -> Any:
        """Handle one message. What it returns answers an `ask`, and is ignored for a `tell`.

        An exception crashes the actor; whoever asked gets ActorDead with it as the cause. `kill()` cancels it;
        `stop()` waits until it has returned.
        """
        raise TypeError(f"{type(self).__name__} got {message!r} but has no handle(). Override `async def handle`.")

    async def on_stop(self, reason: ExitReason) -> None:
        """Runs last, once, if `on_start` succeeded, however the actor ended; its child tasks have ended by then.

        It is shielded from every cancellation, and has `stop_timeout` seconds; then, or at a further `kill()`, it is
        cancelled and the actor counts as Killed. An exception makes an otherwise normal end Crashed.
        """


class ActorContext:
    """An actor's own identity and its means to act. Only in the loop's thread."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def ref(self) -> ActorRef[Any]:
        """The reference by which others know this actor."""
        return self._cell.ref

    @property
    def system(self) -> ActorSystem:
        """The system it lives in."""
        return self._cell.system

    @property
    def name(self) -> str:
        """Unique among the system's live actors."""
        return self._cell.name

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
        return self._cell.start_child(async_fn, args, context)


class ChildTask:
    """A task that lives no longer than its actor, unless abandoned. Only in the loop's thread."""

    __slots__ = ("_cell", "_ended", "scope")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._ended = Latch()
        self.scope = anyio.CancelScope()

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Cancel it. It ends at its next checkpoint, and that is no crash."""
        self.scope.cancel()

    async def wait(self) -> None:
        """Wait until it has ended. Cancelling this wait does not cancel the task."""
        await self._ended.wait()

    def abandon(self) -> None:
        """The actor no longer waits for it, nor crashes with it: it belongs to the system, which counts it in
        `system.abandoned` until it ends, and logs what escapes from it. The system cancels it when it closes."""
        if not self.done:
            self._cell.abandon(self)

    def mark_ended(self) -> None:
        self._ended.set()
