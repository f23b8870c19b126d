"""How one talks to an actor: a reference, safe to keep, to share and to use after the actor's death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import anyio

from actwright_actors._messages import Ask, Notice, Reply
from actwright_actors.actor import Request
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.errors import AskTimeout, MailboxFull, SystemClosed, WrongThread
from actwright_actors.exit import ExitReason, Killed, Normal
from actwright_actors.mailbox import Mailbox

if TYPE_CHECKING:
    from actwright_actors._cell import Cell, Status

__all__ = ["ActorRef", "Down"]

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Down(Notice):
    """Sent to each watcher, once, when `ref` is dead for good."""

    ref: ActorRef[Any]
    reason: ExitReason


class ActorRef(Generic[M_contra]):
    """A handle on an actor that takes messages of type `M`. Stays valid across supervised restarts, and after death.

    `tell`, `signal`, `stop`, `drain` and `kill` may be called in any thread: a foreign thread's call is handed to the
    loop, and the calls of one thread keep their order. Everything else belongs to the loop's thread, and raises
    WrongThread elsewhere. Hashable; equal to itself alone.
    """

    __slots__ = ("_cell", "_mailbox", "_thread_id")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._mailbox: Mailbox = cell.mailbox
        self._thread_id = cell.system.thread_id

    def __repr__(self) -> str:
        return f"<ActorRef {self.name!r} {self.status}>"

    @property
    def name(self) -> str:
        """Unique among the live actors of its system."""
        return self._cell.name

    @property
    def status(self) -> Status:
        """Where it is in its life; "restarting" is between two incarnations."""
        return self._cell.status

    @property
    def is_alive(self) -> bool:
        """Not dead for good; true between two incarnations."""
        return self._cell.status != "dead"

    @property
    def exit_reason(self) -> ExitReason | None:
        """Why it is dead; None while it lives."""
        return self._cell.exit_reason

    @property
    def mailbox_length(self) -> int:
        """How many messages wait, in both lanes."""
        return len(self._mailbox)

    # -- messages --------------------------------------------------------------------------------------------------

    def tell(self, message: M_contra) -> None:
        """Put `message` into the user lane; never waits. A dead actor's message becomes a dead letter.

        Raises MailboxFull if a bounded mailbox with the policy "wait" or "reject" has no room; from a foreign thread,
        which cannot be told, the message becomes a dead letter instead.
        """
        if get_ident() != self._thread_id:
            self._hand_over(partial(self._tell_from_thread, message), message)
        elif not self._mailbox.offer(message):
            self._cell.tell(message)

    def signal(self, message: M_contra) -> None:
        """Put `message` into the system lane: `handle` gets it before any user message, in order, however full the
        mailbox is. A dead actor's message becomes a dead letter."""
        if get_ident() != self._thread_id:
            self._hand_over(partial(self._cell.signal, message), message)
        else:
            self._cell.signal(message)

    async def send(self, message: M_contra) -> None:
        """As `tell`, but waits for room where the policy is "wait". Cancelled while waiting: it was not sent.

        With room it returns at once, without a checkpoint. Raises MailboxFull where the policy is "reject".
        """
        self._require_loop_thread("send", "Use tell(message).")
        await self._cell.send(message)

    @overload
    async def ask(self, message: Request[R], timeout: float = 5.0) -> R: ...
    @overload
    async def ask(self, message: M_contra, timeout: float = 5.0) -> Any: ...
    async def ask(self, message: Any, timeout: float = 5.0) -> Any:
        """Send `message` through the user lane and wait for what `handle` returns.

        `timeout` is in seconds of the system's clock, and includes the wait for room; `math.inf` waits for ever.
        Cancelled, it stops waiting; the message may still be handled.

        Raises AskTimeout; ActorDead, at once, if the actor is dead or dies before it answers (an exception raised by
        `handle` is its `__cause__`); MailboxFull if a bounded mailbox refuses the message, or drops it later.
        """
        self._require_loop_thread("ask", "Use tell(message), or anyio.from_thread.run(ref.ask, message).")
        cell, reply = self._cell, Reply()
        timer = cell.system.timers.call_later(timeout, reply.expire)
        try:
            item = Ask(message, reply)
            if not self._mailbox.offer(item):
                await self._send_before(item, reply, timeout)
            await reply.settled.wait()
        finally:
            timer.cancel()
        if reply.expired:
            raise AskTimeout(self, message, timeout)
        if reply.error is not None:
            raise reply.error
        return reply.value

    # -- life ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask it to end as Normal, once the handler that is running and all earlier system messages are done."""
        self._run_in_loop(partial(self._cell.request_stop, Normal()))

    def drain(self) -> None:
        """Ask it to handle all user messages that it has by now, then to end as Normal. Later ones become dead
        letters."""
        self._run_in_loop(self._cell.drain)

    def kill(self) -> None:
        """Cancel what it is doing, now. It ends as Killed, after `on_stop`; a second kill cuts `on_stop` too."""
        self._run_in_loop(partial(self._cell.abort, Killed()))

    async def stopped(self, timeout: float | None = None) -> ExitReason:
        """Wait until it is dead for good, and say why. Requests nothing.

        Raises TimeoutError after `timeout` seconds of the system's clock. Cancelling this affects nobody else.
        """
        self._require_loop_thread("stopped", "Use anyio.from_thread.run(ref.stopped).")
        cell = self._cell
        if timeout is None:
            await cell.stopped.wait()
        else:
            with anyio.CancelScope() as scope:
                timer = cell.system.timers.call_later(timeout, scope.cancel)
                try:
                    await cell.stopped.wait()
                finally:
                    timer.cancel()
        if cell.exit_reason is None:
            raise TimeoutError(f"Actor {self.name!r} has not stopped within {timeout} s; it is {self.status}.")
        return cell.exit_reason

    def monitor(self, watcher: ActorRef[Down]) -> None:
        """Have `watcher` get `Down(self, reason)` in its system lane, once, when this actor is dead for good: at once
        if it already is. Watching twice is watching once."""
        self._require_loop_thread("monitor", "Call it from an actor, or hand it over with system.post(...).")
        cell = self._cell
        if cell.exit_reason is None:
            cell.watchers[watcher] = None
        else:
            watcher.notify(Down(self, cell.exit_reason))

    def demonitor(self, watcher: ActorRef[Down]) -> None:
        """Take `monitor` back. A Down that is already in the watcher's mailbox stays there."""
        self._require_loop_thread("demonitor", "Call it from an actor, or hand it over with system.post(...).")
        self._cell.watchers.pop(watcher, None)

    def notify(self, notice: Notice) -> None:
        """Put a message of the library's own into the system lane. From any thread."""
        self._run_in_loop(partial(self._cell.signal, notice))

    # -- threads ---------------------------------------------------------------------------------------------------

    def _require_loop_thread(self, operation: str, advice: str) -> None:
        if get_ident() != self._thread_id:
            raise WrongThread(f"ActorRef.{operation}", advice)

    def _run_in_loop(self, fn: Callable[[], object]) -> None:
        if get_ident() == self._thread_id:
            fn()
            return
        try:
            self._cell.system.post(fn)
        except SystemClosed:
            return  # nothing lives in a closed system, so it has stopped

    def _hand_over(self, fn: Callable[[], object], message: M_contra) -> None:
        try:
            self._cell.system.post(fn)
        except SystemClosed:
            self._cell.return_to_sender(message, DeadLetterReason.DEAD)

    def _tell_from_thread(self, message: M_contra) -> None:
        try:
            self._cell.tell(message)
        except MailboxFull:
            self._cell.return_to_sender(message, DeadLetterReason.REJECTED)

    async def _send_before(self, item: Ask, reply: Reply, timeout: float) -> None:
        """Wait for room, but no longer than the ask's deadline."""
        with anyio.CancelScope() as scope:
            timer = self._cell.system.timers.call_later(timeout, scope.cancel)
            try:
                await self._cell.send(item)
            finally:
                timer.cancel()
        if scope.cancelled_caught:
            reply.expire()
