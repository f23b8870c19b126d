"""The hook actor: awaits async hooks, and runs sync ones in a thread pool of its own.

One child task delivers one batch, so hooks of one transition run one after another and those of different runs side by
side. A hook can neither fail nor hang its run: whatever it raises is recorded, and past its timeout it is abandoned.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actwright.authoring.context import CURRENT, RunContext
from actwright.authoring.tracebacks import authors_traceback
from actwright.engine.hook_call import HookCall
from actwright.engine.messages import HooksDone
from actwright.engine.outbox import FOREVER
from actwright.journal.protocol import DeliveryChanged
from actwright.models.deliveries import DeliveryStatus
from actwright.models.outcomes import described
from actwright.telemetry.reports import report_on_try
from actwright_actors import Actor

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Generator

    from actwright.authoring.hooks import Hook
    from actwright.authoring.logging import RunLogger
    from actwright.engine.host import Host
    from actwright.engine.outbox import Batch, Due
    from actwright.models.deliveries import HookDelivery

__all__ = ["Deliver", "HookActor"]


_MOMENT_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True)
class Deliver:
    """Run these hooks: their transition is committed."""

    batch: Batch


class HookActor(Actor[Deliver]):
    """Delivers what is due. Restarted, it goes on with what it finds released and not done."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._begun: set[Batch] = set()

    async def on_start(self) -> None:
        for batch in self._host.released_batches():
            self._begin(batch)

    async def handle(self, message: Deliver) -> None:
        self._begin(message.batch)

    def _begin(self, batch: Batch) -> None:
        # One released while this actor was between two lives is found at the start, and is in the mailbox as well.
        if batch not in self._begun and self._host.is_released(batch):
            self._begun.add(batch)
            self.context.start_soon(self._deliver, batch)

    async def _deliver(self, batch: Batch) -> None:
        waited_for = batch.waited_for
        for place, due in enumerate(batch.dues):
            if place >= waited_for:
                await self._tell(batch)
            await self._deliver_one(batch, due)
            if not due.done:
                return
        await self._tell(batch)
        self._begun.discard(batch)
        self._host.batch_done(batch)

    async def _tell(self, batch: Batch) -> None:
        """Let the run go on: what it waits for is done, and that is committed, so that nothing which happens to this
        process from now on makes it run again."""
        if not batch.told:
            await self._host.commit()
            batch.told = True
            batch.run.signal(HooksDone(batch.state))

    async def _deliver_one(self, batch: Batch, due: Due) -> None:
        """One delivery, to its end: tries until one succeeds or no other may follow; or until it is taken back."""
        log = batch.run.log
        while not due.done and not batch.taken_back:
            if due.delivery.untold is not None:
                await self._tell_of_failure(batch, due, log)
            elif due.call is not None:  # ours, or one that outlived the hook actor before us, as a thread does
                if due.delivery.status is DeliveryStatus.RUNNING:
                    await self._conclude(batch, due, due.call, log)
                else:  # its failure is written down: the next try begins once its code itself has ended
                    await self._see_it_end(batch, due, due.call)
            elif due.delivery.next_at is not None:
                await self._wait_for_retry(batch, due)
            elif why := self._expired(due):
                never_begun = due.delivery.changed(attempt=0, started_at=None) if due.is_announced else due.delivery
                self._change(due, never_begun.skipped(self._now(), why))
                log.error("Hook '%s' is not run: %s", due.hook.name, why)
                due.done = True
            else:
                await self._write_start(due)
                if batch.taken_back:  # while that was committed
                    return
                log.info("Running hook '%s' in response to entering state '%s'", due.hook.name, batch.state.name)
                args, context = (batch.run.subject, batch.snapshot, batch.state), self._context(batch, due)
                due.report = report_on_try(batch.snapshot, due.delivery, context)
                due.call = self._call(partial(due.hook.fn, *args), due.hook, context)

    async def _write_start(self, due: Due) -> None:
        if due.is_announced:
            due.is_announced = False
            due.delivery = due.delivery.changed(started_at=self._now())
        else:
            due.tries_cut += due.delivery.status is DeliveryStatus.RUNNING  # and nobody knows of its end
            due.delivery = due.delivery.started(self._now())
            await self._host.commit(DeliveryChanged(due.delivery))

    async def _conclude(self, batch: Batch, due: Due, call: HookCall, log: RunLogger) -> None:
        """Wait for a try to end, record how, and see whether another one follows."""
        error = await call.error()
        if call.was_cut:
            due.call = None
            due.report.cut(self._now())
            return
        due.report.ended(self._now(), error)
        if error is None:
            self._change(due, due.delivery.succeeded(self._now()))
            due.done = True
            log.info("Hook '%s' finished running successfully", due.hook.name)
        else:
            self._change(due, self._after_failure(batch, due, described(error)))
            log.error(
                "An error was encountered while running hook '%s'", due.hook.name, exc_info=authors_traceback(error)
            )
            due.done = due.delivery.status is DeliveryStatus.FAILED

    async def _see_it_end(self, batch: Batch, due: Due, call: HookCall) -> None:
        if not call.is_really_over:
            with _waiting(batch, due, FOREVER):
                await call.really_over()
        due.call = None

    def _after_failure(self, batch: Batch, due: Due, why: str) -> HookDelivery:
        if _may_retry(due):
            return due.delivery.to_be_retried(self._now(), why, self._later(due.hook.retry_delay_seconds))
        if self._on_hook_failure(batch) is None:
            return due.delivery.failed(self._now(), why)
        return due.delivery.to_be_told(self._now(), why)

    async def _wait_for_retry(self, batch: Batch, due: Due) -> None:
        """Once: the time of day may be set back, here or by another process. Whoever is told of waits hears of each,
        and has a moment to act, also where the time is over by now: else one that fails again at once would go on and
        on before all others."""
        now = self._now()
        until = due.delivery.waiting_at_most(due.hook.retry_delay_seconds, now).next_at
        least = 0.0 if batch.on_wait is None else _MOMENT_SECONDS
        if until is not None and (seconds := max((until - now).total_seconds(), least)) > 0:
            with _waiting(batch, due, until):
                await self._host.sleep(seconds)
        due.delivery = due.delivery.changed(next_at=None)

    def _change(self, due: Due, delivery: HookDelivery) -> None:
        due.delivery = delivery
        self._host.journal.append(DeliveryChanged(delivery))

    def _call(self, fn: Callable[[], Any], hook: Hook, context: contextvars.Context) -> HookCall:
        timeout = hook.timeout_seconds or self._host.options.hook_timeout_seconds
        call = HookCall(fn, hook, self.context, context, timeout)
        call.start(self._host.hook_threads)
        return call

    def _context(self, batch: Batch, due: Due) -> contextvars.Context:
        """What the hook sees: the context variables of the run's caller, and where it stands."""
        context = batch.run.origin.context.copy()
        where = RunContext(batch.run, delivery=due.delivery, runtime_wide=due.runtime_wide, entered=batch.snapshot)
        context.run(CURRENT.set, where)
        return context

    def _on_hook_failure(self, batch: Batch) -> Hook | None:
        return batch.on_hook_failure or self._host.options.on_hook_failure

    async def _tell_of_failure(self, batch: Batch, due: Due, log: RunLogger) -> None:
        """Say that a delivery failed for good to whoever the Runtime has for that. That is no hook: it is not told
        of its own failures. Its start is committed as a hook's is, so that a death in it is known for one."""
        told = self._on_hook_failure(batch)
        if told is not None:
            if due.telling is None:  # else it outlived the hook actor before us, as a thread does
                due.delivery = due.delivery.telling()
                await self._host.commit(DeliveryChanged(due.delivery))
                if batch.taken_back:
                    return
                context = batch.run.origin.context.copy()
                due.telling = self._call(partial(told.fn, due.delivery.told()), told, context)
            error = await due.telling.error()
            if due.telling.was_cut:
                due.telling = None
                return
            if error is not None:
                log.error("on_hook_failure '%s' raised", told.name, exc_info=authors_traceback(error))
        self._change(due, due.delivery.told())
        due.done = True

    def _expired(self, due: Due) -> str | None:
        limit = due.hook.expires_seconds
        if limit is None or self._now() - due.delivery.due_at < timedelta(seconds=limit):
            return None
        return f"it was due at {due.delivery.due_at:%Y-%m-%d %H:%M:%S} UTC and expired {limit:g} s later"

    def _now(self) -> datetime:
        return self._host.now()

    def _later(self, seconds: float) -> datetime | None:
        """So long from now; None for at once."""
        if not seconds:
            return None
        try:
            return self._now() + timedelta(seconds=seconds)
        except OverflowError:  # past the end of any calendar
            return FOREVER


@contextmanager
def _waiting(batch: Batch, due: Due, until: datetime) -> Generator[None]:
    due.waits_until = until
    if batch.on_wait is not None:
        batch.on_wait()
    try:
        yield
    finally:
        due.waits_until = None


def _may_retry(due: Due) -> bool:
    attempts, most = due.delivery.attempt, due.hook.max_attempts
    failures = attempts - due.delivery.cuts - due.tries_cut  # a death is no failure of the hook's: it uses up no retry
    return failures <= due.hook.retries and (most is None or attempts < most)
