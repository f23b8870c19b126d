"""How one talks to an actor: a reference, safe to keep, to share and to use after the actor's death."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import anyio

from actwright_actors._checks import require_at_least
from actwright_actors._messages import Envelope, Notice, Reply
from actwright_actors.actor import Ask
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.errors import AskTimeout, DeadlockDetected, MailboxFull, SystemClosed, WrongThread
from actwright_actors.exit import ExitReason, Normal

if TYPE_CHECKING:
    from actwright_actors._cell import Cell
    from actwright_actors._latch import Ending

__all__ = ["ActorRef", "Down", "Status"]

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")

Status = Literal["starting", "running", "stopping", "restarting", "dead"]
"""Where an actor is in its life; "restarting" is between two incarnations."""


@dataclass(frozen=True, slots=True)
class Down(Notice):
    """Sent to each watcher, once, when `ref` is dead for good."""

    ref: ActorRef[Any]
    reason: ExitReason


class ActorRef(Generic[M_contra]):
    """A handle on an actor that takes messages of type `M`. Stays valid across supervised restarts, and after death.

    `tell`, `signal`, `stop`, `drain` and `kill` may be called in any thread: a foreign thread's call is handed to the
    loop, and the calls of one thread keep their order. Its properties may be read in any thread. `monitor`, `demonitor`
    and all that is awaited belong to the loop's thread, and raise WrongThread elsewhere. Hashable; equal to itself
    alone.
    """

    __slots__ = ("__weakref__", "_cell", "_mailbox", "_thread_id")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._mailbox = cell.mailbox
        self._thread_id = cell.kernel.thread_id

    def __repr__(self) -> str:
        return f"<ActorRef {self.name!r} {self.status}>"

    @property
    def name(self) -> str:
        """Unique among the live actors of its system."""
        return self._cell.name

    @property
    def status(self) -> Status:
        """Where it is in its life."""
        return self._cell.status

    @property
    def is_alive(self) -> bool:
        """Not dead for good; true between two incarnations."""
        return self._cell.exit_reason is None

    @property
    def exit_reason(self) -> ExitReason | None:
        """Why it is dead; None while it lives."""
        return self._cell.exit_reason

    @property
    def mailbox_length(self) -> int:
        """How many messages wait, in both lanes."""
        return len(self._mailbox)

    # -- messages --------------------------------------------------------------------------------------------------

    def tell(self, message: M_contra, *, expires_in: float | None = None) -> None:
        """Put `message` into the user lane; never waits. A dead actor's message becomes a dead letter.

        One that is not being handled `expires_in` seconds from now becomes a dead letter as well. Raises ValueError if
        that is no number or below 0, and MailboxFull if a bounded mailbox with the policy "wait" or "reject" has no
        room; from a foreign thread, which cannot be told, the message becomes a dead letter instead.
        """
        if get_ident() != self._thread_id:
            self._hand_over(partial(self._tell_from_thread, message, expires_in), message)
            return
        item = message if expires_in is None else self._expiring(message, expires_in)
        if not self._mailbox.offer(item):
            self._cell.overflow(item)

    def signal(self, message: M_contra) -> None:
        """Put `message` into the system lane: `handle` gets it before any user message, in order, however full the
        mailbox is. A dead actor's message becomes a dead letter."""
        if get_ident() != self._thread_id:
            self._hand_over(partial(self._cell.signal, message), message)
        else:
            self._cell.signal(message)

    async def send(self, message: M_contra, *, expires_in: float | None = None) -> None:
        """As `tell`, but waits for room where the policy is "wait". Cancelled while waiting: it was not sent.

        With room it returns at once, without a checkpoint. Raises MailboxFull where the policy is "reject", and
        DeadlockDetected, at once, if that actor waits for room, or for an answer, of the one that sends.
        """
        self._require_loop_thread("send", "Use tell(message).")
        item = message if expires_in is None else self._expiring(message, expires_in)
        if not self._mailbox.offer(item):
            turn = anyio.Event()
            with self._cell.kernel.waiting_for(self._cell, turn.is_set):
                await self._cell.send(item, turn)

    @overload
    async def ask(self, message: Ask[R], timeout: float = 5.0) -> R: ...
    @overload
    async def ask(self, message: M_contra, timeout: float = 5.0) -> Any: ...
    async def ask(self, message: Any, timeout: float = 5.0) -> Any:
        """Send `message` through the user lane and wait for what `handle` returns.

        `timeout` is in seconds of the system's clock, and includes the wait for room; `math.inf` waits for ever. An
        actor that asks while it handles an ask waits no longer than its own asker does, and then crashes unless it
        catches AskTimeout. Cancelled, it stops waiting; the message may still be handled. One whose deadline passed
        before it was handled becomes a dead letter.

        Raises AskTimeout; ActorDead, at once, if the actor is dead or dies before it answers (an exception raised by
        `handle` is its `__cause__`); DeadlockDetected, at once, if that actor waits, itself or through others, for
        the one that asks; MailboxFull if a bounded mailbox refuses the message, or drops it later.
        """
        self._require_loop_thread("ask", "Use tell(message), or anyio.from_thread.run(ref.ask, message).")
        kernel = self._cell.kernel
        now = kernel.clock.now()
        deadline = now + timeout
        asker = kernel.waiting_life()
        if asker is not None:
            deadline = min(deadline, asker.deadline())
        reply = Reply(kernel.make_wake(), asker)
        timer = kernel.timers.call_at(deadline, reply.expire)
        try:
            if asker is not None:
                asker.begin_to_wait(self._cell, reply.is_settled)
            item = Envelope(message, reply, deadline)
            if not self._mailbox.offer(item):
                await self._send_before(item, reply, deadline)
            await reply.wait()
        finally:
            timer.cancel()
            reply.forsake()
            if asker is not None:
                asker.end_wait()
        if reply.outcome == "expired":
            seconds = max(0.0, deadline - now)  # its own asker may have had no time left
            raise AskTimeout(self, message, seconds, self._cell.why_no_answer(item))
        if reply.error is not None:
            raise reply.error
        return reply.value

    # -- life ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask it to end as Normal, once the handler that is running and all earlier system messages are done.

        Between two incarnations, `stop`, `drain` and `kill` are for the next one, if there will be one.
        """
        self._cell.kernel.run_in_loop(partial(self._cell.request_stop, Normal()))

    def drain(self) -> None:
        """Ask it to handle all user messages that it has by now, then to end as Normal. Later ones become dead
        letters."""
        self._cell.kernel.run_in_loop(self._cell.drain)

    def kill(self) -> None:
        """Cancel what it is doing, now. It ends as Killed, after `on_stop`; a second kill cuts `on_stop` too.

        Between two incarnations: the next one ends as Killed before its `on_start`, and that is one more death.
        """
        self._cell.kernel.run_in_loop(self._cell.kill)

    async def stop_and_wait(self, timeout: float | None = None) -> ExitReason:
        """`stop()`, then wait for the end of this incarnation, which its supervisor may follow by another.

        Called between two incarnations, as in a back-off, it waits for the end of the next one, for which the request
        then is, or for the actor's death, if there is none. Why it ended before is not what this returns.

        Raises TimeoutError after `timeout` seconds of the system's clock, and DeadlockDetected in the actor's own
        task, and in one for which its supervisor waits before it can start it again. Cancelled, it stops waiting; the
        stop stands.
        """
        return await self._wait_for_end(self.stop, timeout)

    async def drain_and_wait(self, timeout: float | None = None) -> ExitReason:
        """`drain()`, then wait as `stop_and_wait` does."""
        return await self._wait_for_end(self.drain, timeout)

    async def kill_and_wait(self, timeout: float | None = None) -> ExitReason:
        """`kill()`, then wait as `stop_and_wait` does."""
        return await self._wait_for_end(self.kill, timeout)

    async def stopped(self, timeout: float | None = None) -> ExitReason:
        """Wait until it is dead for good, and say why. Requests nothing.

        Raises TimeoutError after `timeout` seconds of the system's clock, and DeadlockDetected in the actor's own
        task and in that of its supervisor, which alone can tell its end from the beginning of a restart. Cancelling
        this affects nobody else.
        """
        self._require_loop_thread("stopped", "Use anyio.from_thread.run(ref.stopped).")
        self._require_other_task()
        cell = self._cell
        above = cell.supervisor
        if above is not None and above.life is cell.kernel.waiting_life():
            raise DeadlockDetected([above.ref, self, above.ref])
        await self._within(timeout, cell.stopped.wait)
        if cell.exit_reason is None:
            raise TimeoutError(f"Actor {self.name!r} has not stopped within {timeout} s; it is {self.status}.")
        return cell.exit_reason

    def monitor(self, watcher: ActorRef[Down]) -> None:
        """Have `watcher` get `Down(self, reason)` in its system lane, once, when this actor is dead for good: at once
        if it already is. Watching twice is watching once."""
        self._require_loop_thread("monitor", "Call it from an actor, or hand it over with system.post(...).")
        self._cell.watch(watcher, watcher.signal)  # which may live in another loop

    def demonitor(self, watcher: ActorRef[Down]) -> None:
        """Take `monitor` back. A Down that is already in the watcher's mailbox stays there."""
        self._require_loop_thread("demonitor", "Call it from an actor, or hand it over with system.post(...).")
        self._cell.unwatch(watcher)

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait_for_end(self, request: Callable[[], object], timeout: float | None) -> ExitReason:
        self._require_loop_thread("stop_and_wait", "Use anyio.from_thread.run(ref.stop_and_wait).")
        self._require_other_task()
        cell = self._cell
        if cell.exit_reason is not None:
            return cell.exit_reason
        ending = cell.life.ending()
        with self._waiting_for_next_life(ending):
            request()
            await self._within(timeout, ending.wait)
        if ending.reason is None:
            raise TimeoutError(f"Actor {self.name!r} has not ended within {timeout} s; it is {self.status}.")
        return ending.reason

    def _waiting_for_next_life(self, ending: Ending) -> AbstractContextManager[None]:
        """Say, if there is none now, that the caller waits for one, which takes the supervisor's own task."""
        if self.status != "restarting":
            return nullcontext()
        return self._cell.kernel.waiting_for(self._cell, lambda: self.status != "restarting" or ending.is_set())

    async def _within(self, timeout: float | None, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait, but no longer than `timeout` seconds of the system's clock."""
        if timeout is None:
            await wait()
            return
        with anyio.CancelScope() as scope:
            timer = self._cell.kernel.timers.call_later(timeout, scope.cancel)
            try:
                await wait()
            finally:
                timer.cancel()

    async def _send_before(self, item: Envelope, reply: Reply, deadline: float) -> None:
        """Wait for room, but no longer than the ask's deadline."""
        with anyio.CancelScope() as scope:
            timer = self._cell.kernel.timers.call_at(deadline, scope.cancel)
            try:
                await self._cell.send(item, anyio.Event())
            finally:
                timer.cancel()
        if scope.cancelled_caught:
            reply.expire()

    def _require_other_task(self) -> None:
        if self._cell.kernel.waiting_life() is self._cell.life:
            raise DeadlockDetected([self, self])

    # -- threads ---------------------------------------------------------------------------------------------------

    def _require_loop_thread(self, operation: str, advice: str) -> None:
        if get_ident() != self._thread_id:
            raise WrongThread(f"ActorRef.{operation}", advice)

    def _hand_over(self, fn: Callable[[], object], message: M_contra) -> None:
        try:
            self._cell.kernel.post(fn)
        except SystemClosed:
            self._cell.return_to_sender(message, DeadLetterReason.DEAD)

    def _tell_from_thread(self, message: M_contra, expires_in: float | None) -> None:
        try:
            self.tell(message, expires_in=expires_in)
        except MailboxFull:
            self._cell.return_to_sender(message, DeadLetterReason.REJECTED)
        except Exception:  # a priority that raises: posting logs it
            self._cell.return_to_sender(message, DeadLetterReason.REJECTED)
            raise

    def _expiring(self, message: M_contra, expires_in: float) -> Envelope:
        require_at_least("The expires_in of a message", expires_in, 0.0)
        return Envelope(message, None, self._cell.kernel.clock.now() + expires_in)
