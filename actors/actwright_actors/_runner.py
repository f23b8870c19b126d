"""The actor's task, from `on_start` to its exit reason.

Failure is a value here: nothing ever escapes from these tasks, so the group that hosts them never sees an actor's
exception, and no actor takes another one down by accident.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from actwright_actors import _backend
from actwright_actors._latch import Latch
from actwright_actors._log import logger
from actwright_actors._mailbox import EMPTY
from actwright_actors._messages import IDLE, Envelope, Special, StopRequest, TimerFired
from actwright_actors.actor import Actor, ChildTask
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.exit import Crashed, ExitReason, Killed, Normal, StartFailed
from actwright_actors.waiting import wait_through

if TYPE_CHECKING:
    from actwright_actors._incarnation import Incarnation

__all__ = ["run_actor", "run_child"]

# A handler that never really waits would starve timers, cancellation and signals. A checkpoint costs about ten
# messages, so one is made for every so many messages, or after so much time.
QUANTUM_MESSAGES: Final = 32
QUANTUM_SECONDS: Final = 0.005

DEFAULT_ON_STOP: Final = Actor[Any].on_stop


async def run_actor(life: Incarnation) -> None:
    """One incarnation. Never raises."""
    kernel = life.cell.kernel
    life.task = kernel.current_task()
    kernel.lives[life.task] = life
    try:
        reason = await live(life)
        life.unwound()
        if life.status != "ended":  # it is, if it was given up
            life.status = "stopping"
        reason = await wind_up(life, reason)
        life.report(reason)
        life.end(reason)
    finally:
        del kernel.lives[life.task]
        life.task = None
        kernel.abandoned_ended(life, None)
        if life.cell.exit_reason is not None:
            life.forget_actor()


async def live(life: Incarnation) -> ExitReason:
    """Start, handle messages until something ends it, and say what that was."""
    try:
        with life.scope:
            if life.abort_reason is None:
                await life.actor.on_start()
                life.mark_running()
                return await handle_messages(life)
    except BaseException as error:
        life.cell.kernel.reraise_if_closed(error, life.task)
        return classify(life, error)
    return reason_of_abort(life)


async def handle_messages(life: Incarnation) -> ExitReason:
    """The loop: one message after another, a checkpoint now and then, until it is to end."""
    cell, mailbox, handle = life.cell, life.cell.mailbox, life.handle
    kernel = cell.kernel
    taken, since = 0, perf_counter()
    life.busy_since = since
    while life.abort_reason is None:
        item = mailbox.pop()
        if item is EMPTY:
            if mailbox.is_closed:
                return Normal()
            await mailbox.wait()
            taken, since = 0, perf_counter()
            life.busy_since = since
            continue
        life.current, was_handled = item, True
        if not isinstance(item, Special):
            await handle(item)
        elif isinstance(item, StopRequest):
            life.current = IDLE  # which on_stop could stash, otherwise, for the next incarnation
            return item.reason
        else:
            was_handled = await open_special(life, item)
        now = perf_counter()
        if was_handled:
            cell.handled += 1
            seconds = now - life.busy_since
            if seconds >= kernel.slow_handler_seconds or kernel.instrument is not None:
                cell.message_handled(item, seconds)
        life.current, life.busy_since = IDLE, now
        taken += 1
        if taken >= QUANTUM_MESSAGES or now - since >= QUANTUM_SECONDS:
            await anyio.lowlevel.checkpoint()
            taken, since = 0, perf_counter()
            life.busy_since = since
    return life.abort_reason


async def open_special(life: Incarnation, item: Special) -> bool:
    """Handle what is in an envelope. False: it is stale by now, so that there was nothing to handle."""
    if isinstance(item, TimerFired):
        if not item.is_due():
            return False
        await life.handle(item.message)
        return True
    assert isinstance(item, Envelope)
    if life.has_expired(item):
        life.cell.return_to_sender(item, DeadLetterReason.EXPIRED)
        return False
    if item.reply is None:
        await life.handle(item.message)
    else:
        item.reply.is_taken = False  # it may come from the stash
        value = await life.handle(item.message)
        if not item.reply.is_taken:
            life.answer(item.reply, value)
    return True


def classify(life: Incarnation, error: BaseException) -> ExitReason:
    """What an exception that escaped from the actor's scope means."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        # Our own cancellation escapes the scope too when a native one arrived with it.
        if life.abort_reason is not None or not _backend.escaped_cancellation_is_forged(life.scope):
            return reason_of_abort(life)
    elif isinstance(life.abort_reason, Crashed):
        # A child's crash came first, and this is what became of the handler that it cancelled.
        life.cell.kernel.log_escaped("Actor %r raised while a crash was ending it.", error, life.cell.name)
        return reason_of_abort(life)
    return Crashed(error) if life.has_started else StartFailed(error)


def reason_of_abort(life: Incarnation) -> ExitReason:
    reason = life.abort_reason or Killed()
    if isinstance(reason, Crashed) and not life.has_started:
        return StartFailed(reason.error)
    return reason


async def wind_up(life: Incarnation, reason: ExitReason) -> ExitReason:
    """Do what is due at its end, of which it was `reason` so far, and say how that changes the reason."""
    if life.children:
        reason = await end_child_tasks(life, reason)
    if life.has_started and type(life.actor).on_stop is not DEFAULT_ON_STOP:
        reason = await run_last(life, reason, partial(life.actor.on_stop, reason))
    if life.as_keeper is not None:  # of whose children none is left, unless on_start failed, or on_stop was cut
        reason = await run_last(life, reason, life.as_keeper.stop_children)
    return reason


async def end_child_tasks(life: Incarnation, reason: ExitReason) -> ExitReason:
    """Cancel the child tasks and wait for their end; after `stop_timeout`, abandon those that are left."""
    gone = life.children_gone = Latch(life.cell.kernel.make_wake)
    children = list(life.children)
    for child in children:
        child.cancel()

    def give_up() -> None:
        for child in list(life.children):
            logger.warning("Actor %r ended, but its child task goes on; it is abandoned.", life.cell.name)
            child.abandon()

    timer = life.cell.kernel.timers.call_later(life.seconds_to_stop(), give_up)
    try:
        await wait_through(gone.wait)
    except anyio.get_cancelled_exc_class():
        pass  # a native cancel aimed at a task that is ending anyway
    finally:
        timer.cancel()
    return reason if reason.is_abnormal or life.abort_reason is None else life.abort_reason


async def run_last(life: Incarnation, reason: ExitReason, callback: Callable[[], Awaitable[None]]) -> ExitReason:
    """Call it under a shield with a deadline. What it raises, or a cut, is the reason where there was no worse one."""
    name = life.cell.name
    life.unwound()  # what was cut until now is what came before
    if reason.is_abnormal:
        life.abort_reason = reason  # what it counts as, should it be given up here
    seconds = life.seconds_to_stop()
    # In a closed system, for one that was abandoned, no timer runs any more but the loop's.
    ends = anyio.current_time() + seconds if life.cell.kernel.is_closed else math.inf
    life.scope = scope = anyio.CancelScope(deadline=ends, shield=True)  # what a further kill() cancels
    deadline = life.deadlines.start(seconds, life.cut)
    try:
        with scope:
            await callback()
    except BaseException as error:
        life.cell.kernel.reraise_if_closed(error, life.task)
        if not reason.is_abnormal:
            return Crashed(error)
        life.cell.kernel.log_escaped("on_stop of actor %r raised, which had ended already: %s.", error, name, reason)
    finally:
        deadline.cancel()
        life.unwound()
    if scope.cancelled_caught:
        logger.warning("on_stop of actor %r was cut: it took too long, or the actor was killed.", name)
        return reason if reason.is_abnormal else Killed()
    return reason


async def run_child(
    life: Incarnation,
    child: ChildTask,
    ended: Latch,
    async_fn: Callable[..., Coroutine[Any, Any, object]],
    args: tuple[Any, ...],
) -> None:
    """The task of one child. Never raises: what escapes is reported to its actor."""
    escaped: BaseException | None = None
    kernel = life.cell.kernel
    task = kernel.current_task()
    try:
        with child.scope:
            await async_fn(*args)
    except BaseException as error:
        kernel.reraise_if_closed(error, task)
        is_cancel = isinstance(error, anyio.get_cancelled_exc_class())
        if not is_cancel or _backend.escaped_cancellation_is_forged(child.scope):
            escaped = error
    ended.set()
    life.child_ended(child, escaped)
