"""What is true whenever all is at rest: nothing that could go on stands still, and nothing goes on that was stopped."""

from __future__ import annotations

from collections.abc import Iterator

from tests.engine.model import program as do
from tests.engine.model.lives import Body, History, Life, Step

from actwright.models.deliveries import DeliveryStatus

__all__ = ["RULES"]


def a_run_that_nothing_holds_up_has_ended(history: History) -> Iterator[str]:
    for life in history.lives:
        if not life.is_final and not _is_held_up(history, life):
            yield f"{life.label} is {life.last.row}, and nothing holds it up"


def _is_held_up(history: History, life: Life) -> bool:
    if any(not child.is_done for child in life.children) or any(not step.is_waited_out for step in life.steps):
        return True
    match life.last.row:
        case "PENDING":
            return _waits_for_others(life)
        case "AWAITING_RETRY":
            return history.now < life.last.entered.at + life.node.retry_delay_seconds
        case "RUNNING" if life.body is None:
            return _waits_for_a_thread(history, life)
        case _:
            return life.body is not None and life.body.ended is None and not _is_abandoned(history, life)


def _waits_for_others(life: Life) -> bool:
    """Whether it was to begin after others, one of which goes on."""
    others = life.parent.children if life.parent else []
    return any(not other.is_done for other in others if other is not life)


def _waits_for_a_thread(history: History, life: Life) -> bool:
    return not life.node.is_async and history.program.worker_threads < len(history.lives)


def _is_abandoned(history: History, life: Life) -> bool:
    """Whether its body was told to stop a grace ago, for all that is known. Who takes a run over gives its body another
    one, from the moment in which the actor before it was given up."""
    took_over = (one.at + do.ACTOR_PATIENCE for _, one in life.interventions if one.what in ("kill", "crash"))
    told_at = max([life.last.entered.at, *took_over])
    return life.last.row == "CANCELLING" and history.now >= told_at + do.GRACE


def a_body_plays_only_while_nobody_has_told_it_to_stop(history: History) -> Iterator[str]:
    """Those that leave at once when they are cancelled."""
    for life in history.lives:
        body = life.body
        if body is None or body.ended is not None or not life.node.is_async or _is_stubborn(life):
            continue
        if why := _why_told_to_stop(history, life, body):
            yield f"{life.label}: its body still plays, though {why}"


def _is_stubborn(life: Life) -> bool:
    """Whether its body may take its time to leave; one that has called a run waits for the end of that."""
    stands = any(isinstance(step, do.Stand) and step.when_cancelled != "obeys" for step in life.node.script)
    calls = any(isinstance(step, do.Start) and step.how == "call" for step in life.node.script)
    return stands or (calls and any(not child.is_done for child in life.children))


def _why_told_to_stop(history: History, life: Life, body: Body) -> str | None:
    timeout = life.node.timeout_seconds
    if life.last.row != "RUNNING":
        return f"it is {life.last.row}"
    if timeout is not None and history.now >= body.began.at + timeout:
        return "its time is over"
    for above in life.family():
        if above.was("kill", "crash"):
            return f"{above.label} was ended"
        if above is not life and above.last.row != "RUNNING":
            return f"its caller {above.label} is {above.last.row}"
        if above is not life and above.body and above.body.ended and above.body.ended.how in ("raised", "cut"):
            return f"the body of {above.label} has ended badly"
    return None


def a_hook_that_is_due_has_begun(history: History) -> Iterator[str]:
    if history.hooks_cut_at is not None and history.now < history.hooks_cut_at + do.HOOK_ACTOR_PATIENCE:
        return  # there may be no hook actor yet
    for life, step in history.steps():
        for batch in step.batches:
            first = next((delivery for delivery in batch if delivery.ended_at is None), None)
            if first is None or first.begun is not None or first.now.status is DeliveryStatus.RUNNING:
                continue
            if not (first.is_deferred and _is_held_up_before_its_hooks(history, life, step)):
                yield f"{first.now.hook_name!r} of {life.label} is due, and has not begun"


def _is_held_up_before_its_hooks(history: History, life: Life, cancelling: Step) -> bool:
    """Whether a run that is Cancelling has not unwound."""
    before = [step for step in life.steps if step.place < cancelling.place]
    at_once = [one for one in cancelling.waited_for() if not one.is_deferred]
    return (
        any(not child.is_done for child in life.children)
        or any(not step.is_waited_out for step in before)
        or any(one.ended_at is None for one in at_once)
        or (life.body is not None and life.body.ended is None and not _is_abandoned(history, life))
    )


def a_body_that_waits_for_a_message_has_it_if_it_is_there(history: History) -> Iterator[str]:
    for life in history.lives:
        is_at_work = life.body is not None and life.body.ended is None
        if is_at_work and life.awaits and len(life.sent) > len(life.received):
            yield f"{life.label} waits for a message, and was sent one that it has not received"


RULES = (
    a_run_that_nothing_holds_up_has_ended,
    a_body_plays_only_while_nobody_has_told_it_to_stop,
    a_hook_that_is_due_has_begun,
    a_body_that_waits_for_a_message_has_it_if_it_is_there,
)
