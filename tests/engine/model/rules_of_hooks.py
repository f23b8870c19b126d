"""What is true of hooks: which are due, in what order they run, how often, and who waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.engine.model import program as do
from tests.engine.model.lives import Change, Delivery, History, Life, Step

from actwright.models.deliveries import DeliveryStatus

__all__ = ["AT_THE_END", "RULES"]

DUE: Final[dict[str, tuple[str, ...]]] = {
    "RUNNING": ("on_running",),
    "AWAITING_RETRY": ("on_retry",),
    "COMPLETED": ("on_completion", "on_end"),
    "FAILED": ("on_failure", "on_end"),
    "CANCELLING": ("on_cancellation",),
    "CANCELLED": ("on_end",),
    "CRASHED": ("on_crashed", "on_end"),
}


def a_transition_makes_due_what_is_registered_for_it_in_order(history: History) -> Iterator[str]:
    for life, step in history.steps():
        registered = history.scripts(life.node)
        own = [one for one in registered if not one[0].startswith("runtime")]
        shared = [one for one in registered if one[0].startswith("runtime")]
        due = [
            (event, name)
            for hooks in (own, shared)
            for event in DUE.get(step.row, ())
            for name, script in hooks
            if script.event == event
        ]
        deliveries = sorted(step.entered.deliveries, key=lambda one: one.position)
        made = [(one.event, one.hook_name) for one in deliveries]
        if made != due:
            yield f"{life.label} entered {step.row}, which made due {made} and not {due}"
        if [one.position for one in deliveries] != list(range(len(made))):
            yield f"{life.label} entered {step.row}: its deliveries are not numbered in order"


def hooks_of_one_transition_run_one_after_another(history: History) -> Iterator[str]:
    for life, step in history.steps():
        for batch in step.batches:
            for before, after in pairwise(batch):
                if after.begun is not None and not before.ended_before(after.begun.place):
                    yield f"{life.label}: {after.now.hook_name!r} began before {before.now.hook_name!r} had ended"


def a_call_is_made_once_for_each_try_that_is_written_down(history: History) -> Iterator[str]:
    for delivery in history.deliveries:
        tries = [change.place for change in delivery.changes if change.delivery.status is DeliveryStatus.RUNNING]
        numbers = [call.attempt for _, call in delivery.calls]
        if numbers != sorted(set(numbers)) or len(numbers) > len(tries):
            yield f"{delivery.now.hook_name!r} was called in its tries {numbers}; {len(tries)} were written down"
        for place, call in delivery.calls:
            if tries[call.attempt - 1] > place:
                yield f"{delivery.now.hook_name!r} was called before that was written down"


def a_hook_gets_the_state_that_made_it_due(history: History) -> Iterator[str]:
    for _, step in history.steps():
        for delivery in step.deliveries:
            if any(call.state.id != step.entered.run.state.id for _, call in delivery.calls):
                yield f"{delivery.now.hook_name!r} got another state than {step.row}"


def a_hook_ends_as_its_script_says(history: History) -> Iterator[str]:
    for delivery in history.deliveries:
        if delivery.ended_at is None:
            continue
        name, now, script = delivery.now.hook_name, delivery.now, delivery.script
        failures = delivery.failures
        if now.status is DeliveryStatus.SKIPPED:
            yield f"{name!r} was skipped"
        elif now.status is DeliveryStatus.FAILED and len(failures) != script.retries + 1:
            yield f"{name!r} was given up after {len(failures)} failed tries; it has {script.retries} retries"
        elif now.status is DeliveryStatus.SUCCEEDED and not _may_succeed(script, now.attempt):
            yield f"{name!r} succeeded in try {now.attempt}"
        returns = [end for _, end in delivery.ends if end.how == "returned"]
        timed_out = any("HookTimedOut" in (seen.error or "") for seen in failures)
        if now.status is DeliveryStatus.SUCCEEDED and len(returns) != 1 and not timed_out:
            yield f"{name!r} returned {len(returns)} times and succeeded once"
        if now.status is DeliveryStatus.FAILED and returns and not timed_out:
            yield f"{name!r} returned, and is written down as failed"
        cut = history.hooks_cut_at is not None and script.is_async
        if now.attempt != len(failures) + (now.status is DeliveryStatus.SUCCEEDED) and not cut:
            yield f"{name!r} took {now.attempt} tries, of which {len(failures)} failed"
        if failures and not timed_out and script.does in ("returns", "stands", "hangs", "runs"):
            yield f"{name!r} failed with {failures[0].error}"


def _may_succeed(script: do.HookScript, attempt: int) -> bool:
    return script.does not in ("raises", "exits", "stands then raises") and not (script.does == "once" and attempt == 1)


def a_body_begins_after_its_on_running_hooks(history: History) -> Iterator[str]:
    for life, step in history.steps():
        body = life.bodies.get(step.entered.run.run_count)
        if step.row == "RUNNING" and body is not None:
            for delivery in step.deliveries:
                if not delivery.ended_before(body.began_at):
                    yield f"{life.label}: its body began before {delivery.now.hook_name!r} had ended"


def a_run_goes_on_after_the_hooks_that_it_waits_for(history: History) -> Iterator[str]:
    for life in history.lives:
        waited_for: list[Delivery] = []
        for step in life.steps:
            if step.row != "CANCELLING":
                for delivery in waited_for:
                    if not delivery.ended_before(step.place):
                        yield f"{life.label} entered {step.row} before {delivery.now.hook_name!r} had ended"
            waited_for += step.waited_for()


def on_cancellation_hooks_run_after_the_body_has_unwound(history: History) -> Iterator[str]:
    for life, step in history.steps():
        if step.row != "CANCELLING":
            continue
        for delivery in step.deliveries:
            begun = delivery.begun
            if not delivery.is_deferred or begun is None:
                continue
            if _plays(life, step, begun):
                yield f"{life.label}: {delivery.now.hook_name!r} ran while the body still played"
            for child in life.children:
                if not child.is_final or child.last.place > begun.place:
                    yield f"{life.label}: {delivery.now.hook_name!r} ran before its child {child.label} had ended"


def _plays(life: Life, cancelling: Step, then: Change) -> bool:
    """Whether the body plays then, and is not abandoned: unless something else had told it to stop before, its grace
    began with its cancel."""
    body = life.bodies.get(cancelling.entered.run.run_count)
    if body is None or body.began_at > then.place or (body.ended_at is not None and body.ended_at < then.place):
        return False
    told_before = life.was("kill", "crash") or life.node.timeout_seconds is not None
    return then.at - cancelling.entered.at < do.GRACE and not told_before


def who_waits_is_told_the_end_after_its_hooks(history: History) -> Iterator[str]:
    final = history.final_steps()
    for place, state_id in history.told:
        step = final.get(state_id)
        if step is None or step.place > place:
            yield "somebody was told of an end that was not written down"
            continue
        for delivery in step.waited_for():
            if not delivery.ended_before(place):
                yield f"somebody was told of an end before {delivery.now.hook_name!r} had ended"


def nothing_is_left_to_do_for_a_hook(history: History) -> Iterator[str]:
    """In the end."""
    for delivery in history.deliveries:
        if delivery.ended_at is None:
            yield f"{delivery.now.hook_name!r} is {delivery.now.status} in the end"


RULES = (
    a_transition_makes_due_what_is_registered_for_it_in_order,
    hooks_of_one_transition_run_one_after_another,
    a_call_is_made_once_for_each_try_that_is_written_down,
    a_hook_gets_the_state_that_made_it_due,
    a_hook_ends_as_its_script_says,
    a_body_begins_after_its_on_running_hooks,
    a_run_goes_on_after_the_hooks_that_it_waits_for,
    on_cancellation_hooks_run_after_the_body_has_unwound,
    who_waits_is_told_the_end_after_its_hooks,
)
AT_THE_END = (nothing_is_left_to_do_for_a_hook,)
