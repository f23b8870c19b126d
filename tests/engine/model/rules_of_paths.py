"""What is true of the states that runs go through. Each rule says what breaks it; the table is written anew here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.engine.model.lives import FINAL, History, Life, Step

__all__ = ["RULES"]

NEXT: Final[dict[str, set[str]]] = {
    "SCHEDULED": {"RUNNING", "FAILED", "CANCELLING", "CRASHED"},
    "PENDING": {"RUNNING", "FAILED", "CANCELLING", "CRASHED"},
    "RUNNING": {"COMPLETED", "FAILED", "AWAITING_RETRY", "CANCELLING", "CRASHED"},
    "AWAITING_RETRY": {"RUNNING", "CANCELLING", "CRASHED"},
    "CANCELLING": {"CANCELLED", "CRASHED"},
    **{final: set() for final in FINAL},
}


def a_run_goes_by_the_table_from_pending(history: History) -> Iterator[str]:
    for life in history.lives:
        if (first := life.steps[0].row) != "PENDING":
            yield f"{life.label} began in {first}"
        for before, after in pairwise(life.steps):
            if after.row not in NEXT[before.row]:
                yield f"{life.label} went from {before.row} to {after.row}"


def attempts_are_counted_and_named(history: History) -> Iterator[str]:
    for life in history.lives:
        attempts = 0
        for step in life.steps:
            attempts += step.row == "RUNNING"
            run = step.entered.run
            if run.run_count != attempts:
                yield f"{life.label} says it is in attempt {run.run_count} when it enters {step.row}, after {attempts}"
            if step.row == "RUNNING" and run.state.name != ("Running" if attempts == 1 else "Retrying"):
                yield f"{life.label} is named {run.state.name} in attempt {attempts}"


def children_are_final_before_an_attempt_is_over(history: History) -> Iterator[str]:
    for life in history.lives:
        for step in life.steps:
            if step.row not in (*FINAL, "AWAITING_RETRY"):
                continue
            for child in life.children:
                began, ended = child.steps[0].place, child.last.place if child.is_final else None
                if began < step.place and (ended is None or ended > step.place):
                    yield f"{life.label} entered {step.row} before its child {child.label} had ended"


def a_child_begins_only_while_its_caller_runs(history: History) -> Iterator[str]:
    """Or in the instant in which that is cancelled: its body is told once that is committed."""
    for child in history.lives:
        if child.parent is not None:
            began = child.steps[0]
            caller = [step for step in child.parent.steps if step.place < began.place][-1]
            is_told_now = caller.row == "CANCELLING" and caller.entered.at == began.entered.at
            if caller.row != "RUNNING" and not is_told_now:
                yield f"{child.label} was called by {child.parent.label}, which was {caller.row}"


def a_body_plays_in_its_running_state_alone_and_once(history: History) -> Iterator[str]:
    for life in history.lives:
        running = {step.entered.run.run_count: step for step in life.steps if step.row == "RUNNING"}
        for attempt, body in life.bodies.items():
            step = running.get(attempt)
            if step is None or step.place > body.began_at:
                yield f"{life.label}: the body of attempt {attempt} began before its state was entered"
            elif _follower(life, step, body.began_at) is not None:
                yield f"{life.label}: the body of attempt {attempt} began when the run had gone on"


def an_attempt_follows_only_one_whose_body_has_ended(history: History) -> Iterator[str]:
    for life in history.lives:
        for step in life.steps:
            if step.row == "AWAITING_RETRY":
                body = life.bodies.get(step.entered.run.run_count)
                if body is not None and (body.ended_at is None or body.ended_at > step.place):
                    yield f"{life.label} awaits a retry while the body of attempt {body.began.attempt} still plays"


def messages_are_received_in_order_and_once(history: History) -> Iterator[str]:
    """Whatever attempt takes them. Bodies here take whatever comes first."""
    for life in history.lives:
        if life.received != life.sent[: len(life.received)]:
            yield f"{life.label} was sent {life.sent} and has received {life.received}"


def a_retry_waits_for_its_delay(history: History) -> Iterator[str]:
    for life in history.lives:
        for before, after in pairwise(life.steps):
            waited = after.entered.at - before.entered.at
            if before.row == "AWAITING_RETRY" and after.row == "RUNNING" and waited < life.node.retry_delay_seconds:
                yield f"{life.label} was tried again after {waited} s"


def _follower(life: Life, step: Step, place: int) -> Step | None:
    """What the run had entered since, by that place."""
    return next((other for other in life.steps if step.place < other.place < place), None)


RULES = (
    a_run_goes_by_the_table_from_pending,
    attempts_are_counted_and_named,
    children_are_final_before_an_attempt_is_over,
    a_child_begins_only_while_its_caller_runs,
    a_body_plays_in_its_running_state_alone_and_once,
    an_attempt_follows_only_one_whose_body_has_ended,
    a_retry_waits_for_its_delay,
    messages_are_received_in_order_and_once,
)
