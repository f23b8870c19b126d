"""What a test may say of hooks. What fails says what did run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actwright.authoring.hooks import HOOK_EVENTS, name_of
from actwright.models.deliveries import DeliveryStatus
from actwright.testing.history import history_of, runs_meant, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.engine.runtime import Runtime
    from actwright.testing.history import RunOrName

__all__ = ["assert_hook_ran", "assert_no_failed_hooks"]


def assert_hook_ran(
    run_or_name: RunOrName,
    event: str,
    *,
    times: int | None = None,
    hook: Callable[..., Any] | str | None = None,
    runtime: Runtime | None = None,
) -> None:
    """See that hooks ran, and succeeded.

    Args:
        run_or_name: a run (a handle, a FlowRun or TaskRun, an id, a run's name), or a flow or task, or the name of
            one, whose runs are then taken together.
        event: the list that the hook stands in: "on_failure", ...
        times: how often exactly, over all hooks that are meant; 0 for never; None for at least once.
        hook: this one alone: the function, or its name.
        runtime: whose history; without it this process's own, and those that its harness's Runtimes have in memory.

    Raises:
        AssertionError: it was otherwise; the message tells what the hooks of these runs did.
        ValueError: there is no such event.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    if event not in HOOK_EVENTS:
        raise ValueError(f"There is no event {event!r}. Expected one of {', '.join(HOOK_EVENTS)}.")
    history = history_of(runtime)
    runs = runs_meant(run_or_name, history)
    deliveries = {run.id: history.deliveries(run.id) for run in runs}
    name = hook if isinstance(hook, str) or hook is None else name_of(hook)
    ran = sum(
        delivery.event == event and delivery.status is DeliveryStatus.SUCCEEDED and name in (None, delivery.hook_name)
        for of_one in deliveries.values()
        for delivery in of_one
    )
    if ran == times or (times is None and ran):
        return
    which = f"{event} hook" + (f" {name!r}" if name else "")
    expected = "at least once" if times is None else _times(times)
    what_did = told(runs, history, deliveries)
    raise AssertionError(f"Expected the {which} to run {expected}; it succeeded {_times(ran)}.\n{what_did}")


def assert_no_failed_hooks(runtime: Runtime | None = None) -> None:
    """See that no hook has failed for good.

    Args:
        runtime: whose history; without it this process's own, and those that its harness's Runtimes have in memory.

    Raises:
        AssertionError: some have; it names them, their runs and their errors.
    """
    __tracebackhide__ = True
    history = history_of(runtime)
    failed = {d.run_id for d in history.deliveries() if d.status is DeliveryStatus.FAILED}
    if failed:
        runs = [run for run in history.runs() if run.id in failed]
        raise AssertionError(f"Hooks have failed.\n{told(runs, history)}")


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
