"""The actor's task, from `on_start` to its exit reason.

Failure is a value here: nothing ever escapes from these tasks, so the group that hosts them never sees an actor's
exception, and no actor takes another one down by accident.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from actwright_actors import _backend
from actwright_actors._latch import Latch
from actwright_actors._messages import Ask, StopRequest
from actwright_actors.actor import Actor, ChildTask
from actwright_actors.exit import Crashed, ExitReason, Killed, Normal, StartFailed
from actwright_actors.mailbox import EMPTY
from actwright_actors.waiting import wait_through

if TYPE_CHECKING:
    from actwright_actors._cell import Cell

__all__ = ["run_actor", "run_child"]

logger = logging.getLogger("actwright_actors")

# A handler that never really waits would starve timers, cancellation and signals. A checkpoint costs about ten
# messages, so one is made for every so many messages, or after so much time.
QUANTUM_MESSAGES: Final = 32
QUANTUM_SECONDS: Final = 0.005

DEFAULT_ON_STOP: Final = Actor[Any].on_stop


async def run_actor(cell: Cell) -> None:
    """One incarnation. Never raises."""
    actor = cell.actor
    assert actor is not None
    reason = await live(cell, actor)
    has_started = cell.status == "running"
    cell.status = "stopping"
    reason = await end_children(cell, reason)
    if has_started:
        reason = await call_on_stop(cell, actor, reason)
    cell.report(reason)
    cell.ended(reason)


async def live(cell: Cell, actor: Actor[Any]) -> ExitReason:
    """Start, handle messages until something ends it, and say what that was."""
    try:
        with cell.scope:
            if cell.abort_reason is None:
                await actor.on_start()
                cell.mark_running()
                return await handle_messages(cell, actor)
    except GeneratorExit:
        raise  # the loop was torn down under us: a coroutine being closed must not await again
    except BaseException as error:
        return classify(cell, error)
    return reason_of_abort(cell)


async def handle_messages(cell: Cell, actor: Actor[Any]) -> ExitReason:
    mailbox = cell.mailbox
    handled, since = 0, perf_counter()
    while cell.abort_reason is None:
        item = mailbox.pop()
        if item is EMPTY:
            if mailbox.is_closed:
                return Normal()
            await mailbox.wait()
            handled, since = 0, perf_counter()
            continue
        if isinstance(item, Ask):
            cell.pending = item.reply
            item.reply.answer(await actor.handle(item.message))
            cell.pending = None
        elif isinstance(item, StopRequest):
            return item.reason
        else:
            await actor.handle(item)
        handled += 1
        if handled >= QUANTUM_MESSAGES or perf_counter() - since >= QUANTUM_SECONDS:
            await anyio.lowlevel.checkpoint()
            handled, since = 0, perf_counter()
    return cell.abort_reason


def classify(cell: Cell, error: BaseException) -> ExitReason:
    """What an exception that escaped from the actor's scope means."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        # Our own cancellation escapes the scope too when a native one arrived with it.
        if cell.abort_reason is not None or not _backend.escaped_cancellation_is_forged(cell.scope):
            return reason_of_abort(cell)
    elif isinstance(cell.abort_reason, Crashed):
        # A child's crash came first, and this is what became of the handler that it cancelled.
        logger.error("Actor %r raised while a crash was ending it.", cell.name, exc_info=error)
        return reason_of_abort(cell)
    return StartFailed(error) if cell.status == "starting" else Crashed(error)


def reason_of_abort(cell: Cell) -> ExitReason:
    reason = cell.abort_reason or Killed()
    if isinstance(reason, Crashed) and cell.status == "starting":
        return StartFailed(reason.error)
    return reason


async def end_children(cell: Cell, reason: ExitReason) -> ExitReason:
    """Cancel the child tasks and wait for their end; after `stop_timeout`, abandon those that are left."""
    if not cell.children:
        return reason
    gone = cell.children_gone = Latch()
    children = list(cell.children)
    for child in children:
        child.cancel()

    def give_up() -> None:
        for child in list(cell.children):
            logger.warning("Actor %r ended, but its child task goes on; it is abandoned.", cell.name)
            child.abandon()

    timer = cell.system.timers.call_later(cell.seconds_to_stop(), give_up)
    try:
        await wait_through(gone.wait)
    except anyio.get_cancelled_exc_class():
        pass  # a native cancel aimed at a task that is ending anyway
    finally:
        timer.cancel()
    return reason if reason.is_abnormal or cell.abort_reason is None else cell.abort_reason


async def call_on_stop(cell: Cell, actor: Actor[Any], reason: ExitReason) -> ExitReason:
    """Call `on_stop` under a shield with a deadline, and say how that changes the reason."""
    if type(actor).on_stop is DEFAULT_ON_STOP:
        return reason
    cell.scope = scope = anyio.CancelScope(shield=True)  # what a further kill() cancels
    timer = cell.system.timers.call_later(cell.seconds_to_stop(), scope.cancel)
    try:
        with scope:
            await actor.on_stop(reason)
    except GeneratorExit:
        raise
    except BaseException as error:
        if not reason.is_abnormal:
            return Crashed(error)
        logger.error("on_stop of actor %r raised, which had ended already: %s.", cell.name, reason, exc_info=error)
    finally:
        timer.cancel()
    if scope.cancelled_caught:
        logger.warning("on_stop of actor %r was cut: it took too long, or the actor was killed.", cell.name)
        return reason if reason.is_abnormal else Killed()
    return reason


async def run_child(
    cell: Cell, child: ChildTask, async_fn: Callable[..., Coroutine[Any, Any, object]], args: tuple[Any, ...]
) -> None:
    """The task of one child. Never raises: what escapes is reported to the cell."""
    escaped: BaseException | None = None
    try:
        with child.scope:
            await async_fn(*args)
    except GeneratorExit:
        raise
    except BaseException as error:
        is_cancel = isinstance(error, anyio.get_cancelled_exc_class())
        if not is_cancel or _backend.escaped_cancellation_is_forged(child.scope):
            escaped = error
    cell.child_ended(child, escaped)
