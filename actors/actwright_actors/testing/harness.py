"""An actor in a test's own hands: no system, no task of its own, one callback at a time."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Generic, Self, TypeVar, overload

import anyio
import anyio.lowlevel

from actwright_actors._cell import Cell
from actwright_actors._incarnation import Incarnation
from actwright_actors._latch import Latch
from actwright_actors._mailbox import EMPTY
from actwright_actors._messages import IDLE, Envelope, Reply, Special, StopRequest, content
from actwright_actors._runner import classify, open_special, reason_of_abort, wind_up
from actwright_actors.actor import Actor, Ask, ChildTask
from actwright_actors.dead_letters import DeadLetter
from actwright_actors.errors import ActorDead, AlreadySpawned
from actwright_actors.exit import Crashed, ExitReason, Normal, StartFailed
from actwright_actors.mailbox import MailboxOptions
from actwright_actors.ref import ActorRef
from actwright_actors.testing._still_kernel import StillKernel
from actwright_actors.testing.manual_clock import ManualClock
from actwright_actors.testing.pending_answer import PendingAnswer
from actwright_actors.testing.recorded_task import RecordedTask

__all__ = ["ActorHarness"]

M = TypeVar("M")
R = TypeVar("R")


class ActorHarness(Generic[M]):
    """An actor without a system: the test calls what a system would, in its own task, and sees what it raises.

    harness = await ActorHarness(Counter()).start()
    await harness.tell(1)
    assert await harness.ask(2) == 3
    await harness.stop()

    Mailbox, stash, timers, links and the order of the actor's end are the real ones; only nothing happens by itself.
    What the actor tells itself, what its timers send when the test advances `clock`, and what it unstashes waits until
    `handle_next` or `handle_all`. A child task is recorded, and runs if the test runs it. No deadline cuts `on_stop`.

    An exception that escapes from a callback ends the actor as in a system, `on_stop` included, and is then raised as
    it is. A kill, or the end of a linked actor, takes effect at the next call; a crash by it is raised there.

    Made inside a running event loop, on any back end. Nothing is left open if the test never stops it. The actor's
    system cannot spawn: test that in an ActorSystem. A handler that waits for a child task of its own, or for the
    clock, waits for ever unless another task of the test runs or advances it.
    """

    def __init__(self, actor: Actor[M], *, name: str | None = None, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        """Time, for all of the actor's timers."""
        self.dead_letters: list[DeadLetter] = []
        """What was sent to it and will never be handled."""
        self.child_tasks: list[RecordedTask] = []
        """What it has started with `context.start_soon`, in that order."""
        self._kernel = StillKernel(self.clock, self.dead_letters.append, self._record)
        self._cell = Cell(self._kernel, actor, name or type(actor).__name__, MailboxOptions(), math.inf)
        self._kernel.cells[self._cell.name] = self._cell
        self._life = self._cell.life
        self._is_busy = False

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[M]:
        """Its reference. What is sent there waits until the test has it handled."""
        return self._cell.ref

    @property
    def exit_reason(self) -> ExitReason | None:
        """Why it has ended; None if it has not."""
        return self._cell.exit_reason

    @property
    def waiting(self) -> list[Any]:
        """The messages in its mailbox, in the order in which they would be handled."""
        return [content(item) for item in self._cell.mailbox.items() if not isinstance(item, StopRequest)]

    @property
    def stashed(self) -> list[Any]:
        """The messages that it has put aside, in their order."""
        return self._life.stashed()

    @property
    def links(self) -> list[ActorRef[Any]]:
        """Whom it is linked to."""
        return self._cell.links()

    # -- driving ---------------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Call `on_start`. Raises AlreadySpawned the second time."""
        if self._life.status != "starting":
            raise AlreadySpawned(self._life.actor)
        await self._perform(self._start)
        return self

    async def tell(self, message: M) -> None:
        """Have it handle `message` now, before all that waits. Raises ActorDead if it has ended."""
        self._require_started()
        await self._perform(partial(self._handle, message))

    @overload
    async def ask(self, message: Ask[R]) -> R: ...
    @overload
    async def ask(self, message: M) -> Any: ...
    async def ask(self, message: Any) -> Any:
        """Have it handle `message` now, and return the answer, or raise the error of a Refusal.

        Raises AssertionError if it has not answered: for that, `ask_deferred`. Raises ActorDead if it has ended.
        """
        return (await self.ask_deferred(message)).result()

    @overload
    async def ask_deferred(self, message: Ask[R]) -> PendingAnswer[R]: ...
    @overload
    async def ask_deferred(self, message: M) -> PendingAnswer[Any]: ...
    async def ask_deferred(self, message: Any) -> PendingAnswer[Any]:
        """As `ask`, for an answer that may come later: by a deferred reply, or from the stash."""
        self._require_started()
        reply = Reply(self._kernel.make_wake(), None)
        await self._perform(partial(self._handle, Envelope(message, reply)))
        return PendingAnswer(self.ref, message, reply)

    async def handle_next(self) -> None:
        """Have it handle the first message that waits; if that is a stop, end. Raises AssertionError if none waits."""
        self._require_started()
        await self._end_if_aborted()
        self._require_alive()
        item = self._cell.mailbox.pop()
        if isinstance(item, StopRequest):
            await self._finish(item.reason)
        elif item is not EMPTY:
            await self._perform(partial(self._handle, item))
        elif self._cell.mailbox.is_closed:  # drained
            await self._finish(Normal())
        else:
            raise AssertionError(f"Nothing waits in the mailbox of actor {self.ref.name!r}.")

    async def handle_all(self) -> None:
        """Have it handle what waits, and what comes meanwhile, until nothing does or it has ended."""
        box = self._cell.mailbox
        await self._end_if_aborted()
        while self.exit_reason is None and (len(box) or box.is_closed):
            await self.handle_next()
            await anyio.lowlevel.checkpoint()  # so that a deadline of the test's reaches one that tells itself for ever
            await self._end_if_aborted()

    async def stop(self, reason: ExitReason | None = None) -> None:
        """End it with `reason` (default: Normal): `on_stop` is called if it had started, and what waits becomes dead
        letters. A child task that was not run never will be; one that runs is cancelled and awaited.

        Raises what `on_stop` raises, unless `reason` is an abnormal one (then it is logged), and ActorDead if it has
        ended already.
        """
        await self._end_if_aborted()
        self._require_alive()
        await self._finish(reason or Normal())

    # -- what its own task would do --------------------------------------------------------------------------------

    async def _start(self) -> None:
        await self._life.actor.on_start()
        self._life.mark_running()

    async def _handle(self, item: Any) -> None:
        self._life.current = item
        if isinstance(item, Special):
            await open_special(self._life, item)
        else:
            await self._life.handle(item)
        self._cell.handled += 1

    async def _perform(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Run one callback as the actor's own task would, to the actor's end if it brings that about."""
        await self._end_if_aborted()
        self._require_alive()
        life, lives, task = self._life, self._kernel.lives, self._kernel.current_task()
        lives[task], life.scope, self._is_busy = life, anyio.CancelScope(), True
        try:
            with life.scope:
                await callback()
        except BaseException as error:
            self._kernel.reraise_if_closed(error, task)
            await self._end(classify(life, error))
            raise
        finally:
            del lives[task]
            life.current, self._is_busy = IDLE, False
        await self._end_if_aborted()

    async def _end_if_aborted(self) -> None:
        """End it if it was killed, or crashed by a child task or a link, and raise the error of a crash."""
        life = self._life
        if life.abort_reason is not None and not self._is_busy and life.status in ("starting", "running"):
            _raise_crash(await self._end(reason_of_abort(life)))

    async def _finish(self, reason: ExitReason) -> None:
        final = await self._end(reason)
        if final is not reason:  # which may be a crash that the test has made up
            _raise_crash(final)

    async def _end(self, reason: ExitReason) -> ExitReason:
        life = self._life
        life.status = "stopping"
        for child in self.child_tasks:
            child.forget()
        reason = await wind_up(life, reason)
        life.end(reason)
        return reason

    def _record(
        self,
        life: Incarnation,
        task: ChildTask,
        ended: Latch,
        function: Callable[..., Coroutine[Any, Any, object]],
        args: tuple[Any, ...],
    ) -> None:
        self.child_tasks.append(RecordedTask(life, task, ended, function, args, self._end_if_aborted))

    def _require_started(self) -> None:
        if self._life.status == "starting":
            raise RuntimeError(f"Actor {self.ref.name!r} has not started: await harness.start() first.")

    def _require_alive(self) -> None:
        if self.exit_reason is not None:
            raise ActorDead(self.ref, self.exit_reason)


def _raise_crash(reason: ExitReason) -> None:
    if isinstance(reason, Crashed | StartFailed):
        raise reason.error
