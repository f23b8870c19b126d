"""Whether a run is tried again: how many retries it has left, and what its author's `retry_condition_fn` says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actwright.authoring.hooks import is_async
from actwright.authoring.tracebacks import authors_traceback

if TYPE_CHECKING:
    from actwright.engine.live_run import LiveRun
    from actwright.models.states import State

__all__ = ["count_retry", "retries_left", "wants_retry"]


def retries_left(run: LiveRun, ended: State[Any]) -> int:
    """How many more attempts may follow one that ended in `ended`."""
    if ended.is_failed():
        return run.options.retries - run.failures
    if ended.is_crashed():
        return run.options.crash_retries - run.crashes
    return 0


def count_retry(run: LiveRun, ended: State[Any], delay_seconds: float) -> None:
    """An attempt that ended in `ended` is followed by another one: count it, and say so in the run's log."""
    if ended.is_crashed():
        run.crashes += 1
        which = f"Crash retry {run.crashes} of {run.options.crash_retries}"
    else:
        run.failures += 1
        which = f"Retry {run.failures} of {run.options.retries}"
    run.log.info("%s follows in %g s", which, delay_seconds)


async def wants_retry(run: LiveRun, ended: State[Any]) -> bool:
    """Whether an attempt that ended in `ended` is to be followed by another: yes, unless the author's condition says
    no. One that raises says no, and is logged. A sync one is asked in a worker thread."""
    condition = run.options.retry_condition_fn
    if condition is None:
        return True
    args = (run.subject, run.snapshot, ended)
    try:
        if is_async(condition):
            return bool(await condition(*args))
        return bool(await run.host.worker_threads.run(partial(run.origin.context.copy().run, condition, *args)))
    except Exception as error:
        run.log.error("retry_condition_fn raised, so the run is not retried", exc_info=authors_traceback(error))
        return False
