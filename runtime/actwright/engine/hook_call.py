"""One call of a hook, with a bound on its time."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import anyio

from actwright.authoring.hooks import is_async
from actwright.engine.steps import timed_steps
from actwright.exceptions import HookTimedOut
from actwright_actors import ActorDead, SystemClosed
from actwright_actors.backends import escaped_cancellation_is_forged, forget_event_loop

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Awaitable, Callable

    from actwright.authoring.hooks import Hook
    from actwright.engine.threads import Job, WorkerThreads
    from actwright_actors import ActorContext, ChildTask, Timer

__all__ = ["HookCall"]

logger = logging.getLogger("actwright.engine")

_UNWIND_SECONDS = 1.0
"""How long an async hook that was cancelled at its timeout may take to unwind before it is abandoned."""


class HookCall:
    """Calls `fn()`, on the loop if `hook` is async and in a thread if not, and tells what it raised.

    Args:
        actor: whose child tasks async hooks are.
        context: the context variables that the call sees.
        timeout: seconds that the call may take, from when it begins: waiting for a thread does not count.

    Attributes:
        was_cut: nobody was there any more to see its end, so it neither succeeded nor failed.
    """

    def __init__(
        self, fn: Callable[[], Any], hook: Hook, actor: ActorContext, context: contextvars.Context, timeout: float
    ) -> None:
        self._fn = fn
        self._hook = hook
        self._actor = actor
        self._context = context
        self._timeout = timeout
        self._has_ended = False
        self._raised: BaseException | None = None
        self._timed_out_as: HookTimedOut | None = None
        self._over = anyio.Event()
        """Set when nobody need wait any longer."""
        self._really_over: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._timer: Timer | None = None
        self._work: ChildTask | Job | None = None
        self.was_cut = False

    def start(self, threads: WorkerThreads) -> None:
        """Make the call, and return at once."""
        if is_async(self._hook.fn):
            self._arm()
            self._work = self._actor.start_soon(self._await_it, context=self._context)
        else:
            forget_event_loop(self._context)
            self._work = threads.submit(self._call_it)

    async def error(self) -> BaseException | None:
        """Wait for its end and return what it raised, None if nothing; past the timeout, a HookTimedOut."""
        await self._over.wait()
        if self._timer is not None:
            self._timer.cancel()
        return self._timed_out_as or self._raised

    @property
    def is_really_over(self) -> bool:
        """Whether the code itself has ended: of one that was abandoned, that is later."""
        return self._has_ended

    async def really_over(self) -> None:
        """Wait for that."""
        if not self._has_ended:
            self._really_over = self._really_over or anyio.Event()
            await self._really_over.wait()

    def _call_it(self) -> None:
        self._actor.system.post(self._arm)
        try:
            value = self._context.run(self._fn)
        except BaseException as error:
            self._end_in_thread(error)
            return
        if isawaitable(value):
            # A plain function, or a lambda, that hands on what an async one returned.
            self._fn = lambda: value
            try:
                self._actor.system.post(partial(self._go_on_in_loop, value))
            except SystemClosed:  # it was cut before
                self._end_unawaited(value)
        else:
            self._end_in_thread(None)

    def _end_in_thread(self, error: BaseException | None) -> None:
        self._raised, self._has_ended = error, True  # at once: who closes looks here, and the loop may be busy
        with suppress(SystemClosed):  # and nobody waits
            self._actor.system.post(self._tell)

    def _end(self, error: BaseException | None = None) -> None:
        self._raised, self._has_ended = error, True
        self._tell()

    def _tell(self) -> None:
        """Those who wait, in the loop."""
        self._over.set()
        if self._really_over is not None:
            self._really_over.set()

    def _go_on_in_loop(self, value: Awaitable[Any]) -> None:
        try:
            self._work = self._actor.start_soon(self._await_it, context=self._context)
        except ActorDead:
            self._note_cut()
            self._end_unawaited(value)
            self._tell()

    def _end_unawaited(self, value: Awaitable[Any]) -> None:
        """Its code will not go on."""
        self._has_ended = True
        if isinstance(value, Coroutine):  # else Python warns that nobody has awaited it
            value.close()

    async def _await_it(self) -> None:
        """Await the hook and keep how that ended. A cancellation that nobody ordered is a failure of the hook."""
        error: BaseException | None = None
        try:
            with self._scope:
                try:
                    awaitable: Awaitable[Any] = self._fn()
                    await timed_steps(awaitable, self._warn_of_slow_step)
                except anyio.get_cancelled_exc_class() as cancelled:
                    if self._scope.cancel_called or not escaped_cancellation_is_forged(self._scope):
                        raise
                    error = cancelled
                except BaseException as raised:
                    error = raised
        except anyio.get_cancelled_exc_class():
            self._note_cut()
            raise
        self._end(error)

    def cut(self) -> None:
        """Wait for it no longer, however it ends."""
        if not self._has_ended:
            self._note_cut()
            self.abandon()

    def _note_cut(self) -> None:
        self.was_cut = True
        self._over.set()

    def _arm(self) -> None:
        if not self._has_ended:
            self._timer = self._actor.system.timers.call_later(self._timeout, self._timed_out)

    def _timed_out(self) -> None:
        if self._has_ended:  # in time: the loop was held, and whoever waits has not come to it yet
            return
        self._timed_out_as = HookTimedOut(
            f"Hook '{self._hook.name}' took longer than its timeout of {self._timeout:g} s"
        )
        self._scope.cancel()
        unwinds = is_async(self._hook.fn)
        self._timer = self._actor.system.timers.call_later(_UNWIND_SECONDS if unwinds else 0, self._abandon_late)

    def _abandon_late(self) -> None:
        if self._has_ended or self._work is None:
            return
        logger.warning("Hook '%s' did not end at its timeout. It is abandoned; it may still run.", self._hook.name)
        self.abandon()

    def abandon(self) -> None:
        """Wait for it no longer, nor let a closing pool do so."""
        if self._work is not None and not self._has_ended:
            self._work.abandon()
            self._over.set()

    def _warn_of_slow_step(self, seconds: float) -> None:
        logger.warning(
            "Hook '%s' is async and held the event loop for %.0f ms: everything else waited. Make it a plain function "
            "(it then runs in a thread), or await what it waits for.",
            self._hook.name, seconds * 1000,
        )  # fmt: skip
