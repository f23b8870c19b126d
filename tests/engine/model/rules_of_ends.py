"""What is true of how runs end: each end has its reason, and whoever asked for it was told the truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.engine.model import program as do
from tests.engine.model.lives import FINAL, Body, History, Life, Step

from actwright.exceptions import RunTimedOut

__all__ = ["AT_THE_END", "RULES"]


def an_end_has_its_reason(history: History) -> Iterator[str]:
    for life in history.lives:
        if life.is_final and not _has_reason(history, life):
            ended = life.body.ended.how if life.body and life.body.ended else None
            yield f"{life.label} is {life.last.row}, for no reason: its last body ended {ended!r}"


def _has_reason(history: History, life: Life) -> bool:
    match life.last.row:
        case "COMPLETED":
            return _verdict(history, life) == "COMPLETED"
        case "CANCELLED":
            return _verdict(history, life) == "CANCELLED" or _was_to_be_cancelled(history, life)
        case "CRASHED":
            return _verdict(history, life) == "CRASHED" or life.was("kill", "crash")
        case _ if _timed_out(life.last):
            return _took_its_time(life)
        case _:
            return (
                _verdict(history, life) == "FAILED" or life.last is life.steps[1]
            )  # what it waited for did not complete


def _verdict(history: History, life: Life) -> str | None:
    """How the run ends by what its last body did alone."""
    body = life.body
    if body is None or body.ended is None or body.ended_at is None or body.ended_at > life.last.place:
        return None
    if body.ended.how == "returned":
        returned = [history.life(run_id).last.row for run_id in body.ended.returned]
        return "FAILED" if returned and "COMPLETED" not in returned else "COMPLETED"
    return {"raised": "FAILED", "cut": "CRASHED", "Cancelling": "CANCELLED"}.get(body.ended.how, body.ended.how.upper())


def _took(body: Body) -> float:
    return body.ended.at - body.began.at if body.ended else 0.0


def _took_its_time(life: Life) -> bool:
    """Whether its last attempt, and its body if that has ended, took as long as its timeout."""
    began = [step.entered.at for step in life.steps if step.row == "RUNNING"][-1]
    ended = life.body.ended.at if life.body and life.body.ended else life.last.entered.at
    return min(ended, life.last.entered.at) - began >= (life.node.timeout_seconds or 0)


def _timed_out(step: Step) -> bool:
    """Whether the run itself did, and not one that it waited for."""
    run = step.entered.run
    return isinstance(run.state.cause, RunTimedOut) and run.state.cause.run_id == run.id


def _was_to_be_cancelled(history: History, life: Life) -> bool:
    """Whether somebody asked for it, or an end above it did, or the end of the Runtime."""
    return history.closed_at is not None or any(
        above.was("cancel") or (above is not life and _goes_badly(above)) for above in life.family()
    )


def _goes_badly(life: Life) -> bool:
    """Whether something ends one of its attempts before its children."""
    ends_badly = any(body.ended is not None and body.ended.how in ("raised", "cut") for body in life.bodies.values())
    return ends_badly or life.node.timeout_seconds is not None or life.was("kill", "crash")


def retries_are_used_up_and_no_more(history: History) -> Iterator[str]:
    for life in history.lives:
        failures = crashes = 0
        for step, after in pairwise([*life.steps, None]):
            assert step is not None
            if step.row == "AWAITING_RETRY":
                is_crash = _ended(life, step) in ("cut", "Crashed") and not _timed_out(step)
                crashes, failures = crashes + is_crash, failures + (not is_crash)
            if after is None and step.row == "FAILED" and failures < life.node.retries and not _is_excused(life):
                yield f"{life.label} failed after {failures} of {life.node.retries} retries"
            if after is None and step.row == "CRASHED" and crashes < life.node.crash_retries and not _is_excused(life):
                yield f"{life.label} crashed after {crashes} of {life.node.crash_retries} crash retries"
        if failures > life.node.retries or crashes > life.node.crash_retries:
            yield f"{life.label} was tried again {failures} times after failures, {crashes} times after crashes"
        if life.node.condition in ("no", "raises") and failures + crashes:
            yield f"{life.label} was tried again, though its condition said no"


def _ended(life: Life, step: Step) -> str | None:
    body = life.bodies.get(step.entered.run.run_count)
    return body.ended.how if body and body.ended else None


def _is_excused(life: Life) -> bool:
    """Whether a run may fail though it has retries left: nobody wants one, or it never began, or its body was perhaps
    abandoned, or something else than its body ended it."""
    body = life.body
    abandoned = body is not None and (body.ended is None or _took(body) >= do.GRACE)
    return life.node.condition in ("no", "raises") or body is None or abandoned or life.was("kill", "crash")


def a_cancel_is_answered_with_what_came_of_it(history: History) -> Iterator[str]:
    for life in history.lives:
        for place, asked in life.answers:
            before = [step for step in life.steps if step.place < place]
            if asked.answer is None and "CANCELLING" not in [step.row for step in before]:
                yield f"{life.label}: a cancel was accepted, and the run was {before[-1].row}"
            if asked.answer is not None and (
                before[-1].row not in FINAL or before[-1].entered.run.state.name != asked.answer
            ):
                yield f"{life.label}: a cancel was refused with {asked.answer!r}, and the run was {before[-1].row}"


def a_cancel_before_anything_has_decided_is_accepted(history: History) -> Iterator[str]:
    for life in history.lives:
        cancels = [(place, one.at) for place, one in life.interventions if one.what == "cancel"]
        for number, (place, at) in enumerate(cancels):
            before = [step for step in life.steps if step.place < place]
            if number == 0 and _is_undecided(life, before[-1], place, at):
                after = [step.row for step in life.steps if step.place > place]
                if after[:1] != ["CANCELLING"]:
                    yield f"{life.label}: a cancel found it {before[-1].row}, and it then entered {after[:1]}"


def _is_undecided(life: Life, step: Step, place: int, at: float) -> bool:
    """Whether a run that was at rest there might still have ended in any way."""
    if life.was("kill", "crash", before=place):
        return False
    if step.row in ("PENDING", "AWAITING_RETRY"):
        return True
    body = life.bodies.get(step.entered.run.run_count)
    if step.row != "RUNNING" or (body and body.ended_at is not None and body.ended_at < place):
        return False
    timeout = life.node.timeout_seconds
    return body is None or timeout is None or at < body.began.at + timeout


def an_outcome_stands_whatever_comes_after_it(history: History) -> Iterator[str]:
    """Of a body that failed or crashed, with no retries left, while nobody had told it to stop."""
    for life in history.lives:
        body = life.body
        if body is None or body.ended is None or body.ended_at is None or body.ended.how not in ("raised", "cut"):
            continue
        step = [step for step in life.steps if step.row == "RUNNING"][-1]
        gone_on = [other for other in life.steps if step.place < other.place]
        cannot_retry = not (life.node.retries or life.node.crash_retries)
        if cannot_retry and not _was_told_to_stop(history, life, body.ended_at):
            expected = "FAILED" if body.ended.how == "raised" else "CRASHED"
            if gone_on and gone_on[0].row != expected:
                yield f"{life.label}: its body {body.ended.how!r}, and it entered {gone_on[0].row}"


def _was_told_to_stop(history: History, life: Life, place: int) -> bool:
    """Whether something might have, before that place."""
    if history.closed_at is not None and history.closed_at < place:
        return True
    times_out = any(above.node.timeout_seconds is not None for above in life.family())
    interventions = ("cancel", "kill", "crash")
    ended = any(
        above_body.ended_at is not None and above_body.ended_at < place
        for above in life.family()
        for above_body in above.bodies.values()
        if above is not life
    )
    return times_out or ended or any(above.was(*interventions, before=place) for above in life.family())


def every_run_ends(history: History) -> Iterator[str]:
    for life in history.lives:
        if not life.is_final:
            yield f"{life.label} is {life.last.row} in the end"


def every_cancel_is_answered(history: History) -> Iterator[str]:
    for life in history.lives:
        asked = sum(intervened.what == "cancel" for _, intervened in life.interventions)
        if asked != len(life.answers):
            yield f"{life.label}: {asked} cancels got {len(life.answers)} answers"


RULES = (
    an_end_has_its_reason,
    retries_are_used_up_and_no_more,
    a_cancel_is_answered_with_what_came_of_it,
    a_cancel_before_anything_has_decided_is_accepted,
    an_outcome_stands_whatever_comes_after_it,
)
AT_THE_END = (every_run_ends, every_cancel_is_answered)
