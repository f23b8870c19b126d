"""What may follow what, and what a body's end becomes. Data and pure functions; no I/O.

Scheduled, Pending -> Running | Failed | Cancelling | Crashed
Running            -> Completed | Failed | AwaitingRetry | Cancelling | Crashed
AwaitingRetry      -> Running (named Retrying) | Failed | Cancelling | Crashed
Cancelling         -> Cancelled | Crashed
Completed, Failed, Cancelled, Crashed: final
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from actwright.exceptions import FailedRun, InvalidReturn
from actwright.models.outcomes import Crash, Outcome, Raised, Returned, Timeout, described
from actwright.models.states import AwaitingRetry, Completed, Crashed, Failed, State, StateType, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["HOOK_EVENTS_OF", "TABLE", "awaiting_retry", "end_of_attempt", "hook_events", "may_follow", "row_of"]

_BEFORE_START = frozenset({"RUNNING", "FAILED", "CANCELLING", "CRASHED"})

#: From a row's name to the rows that may follow.
TABLE: Final[Mapping[str, frozenset[str]]] = {
    "SCHEDULED": _BEFORE_START,
    "PENDING": _BEFORE_START,
    "RUNNING": frozenset({"COMPLETED", "FAILED", "AWAITING_RETRY", "CANCELLING", "CRASHED"}),
    "AWAITING_RETRY": _BEFORE_START,  # the next attempt may be another process's, with another version of the flow
    "CANCELLING": frozenset({"CANCELLED", "CRASHED"}),
    "COMPLETED": frozenset(),
    "FAILED": frozenset(),
    "CANCELLED": frozenset(),
    "CRASHED": frozenset(),
}

#: From a row's name to the hooks that entering it makes due, in order.
HOOK_EVENTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "RUNNING": ("on_running",),
    "AWAITING_RETRY": ("on_retry",),
    "COMPLETED": ("on_completion", "on_end"),
    "FAILED": ("on_failure", "on_end"),
    "CANCELLING": ("on_cancellation",),
    "CANCELLED": ("on_end",),
    "CRASHED": ("on_crashed", "on_end"),
}


def row_of(state: State[Any]) -> str:
    """The table's row for a state: its type, except that AwaitingRetry is told apart from other SCHEDULED states."""
    if state.type is StateType.SCHEDULED and state.name == "AwaitingRetry":
        return "AWAITING_RETRY"
    return state.type  # a string, too; `.value` is a call of Python code


def may_follow(before: State[Any], after: State[Any]) -> bool:
    """Whether a run in `before` may enter `after`."""
    return row_of(after) in TABLE.get(row_of(before), ())


def hook_events(state: State[Any]) -> tuple[str, ...]:
    """Which hooks become due when a run enters `state`, in the order in which they run."""
    return HOOK_EVENTS_OF.get(row_of(state), ())


def end_of_attempt(outcome: Outcome) -> State[Any]:
    """The state in which a run ends if no other attempt follows this one.

    A returned value must hold states, not futures, by now. A returned CANCELLING or CANCELLED state comes back as
    such: the run goes by Cancelling to Cancelled.
    """
    match outcome:
        case Returned(value):
            return _end_of_return(value)
        case Raised(error):
            return Failed(message=f"The body raised {described(error)}", cause=error)
        case Timeout(error):
            return TimedOut(message=str(error), cause=error)
        case Crash(error, message):
            return Crashed(message=message or f"The body was cut short by {described(error)}", cause=error)


def awaiting_retry(ended: State[Any], retries_left: int, delay_seconds: float) -> State[Any]:
    """The state between a failed attempt and the next one; it keeps the failure's message and cause."""
    left = "1 retry" if retries_left == 1 else f"{retries_left} retries"
    message = f"{ended.message or ended.name}; {left} left, the next in {delay_seconds:g} s"
    return AwaitingRetry(message=message, cause=ended.cause)


def _end_of_return(value: Any) -> State[Any]:
    if isinstance(value, State):
        return _end_of_returned_state(cast("State[Any]", value))
    states = _states_alone(value)
    if states is None:
        return Completed(data=value)
    bad = [state for state in states if not state.is_completed()]
    if not bad:
        return Completed(data=value, message="All states completed.")
    message = f"{len(bad)}/{len(states)} states are not completed: " + ", ".join(state.name for state in bad)
    return Failed(message=message, cause=next((state.cause for state in bad if state.cause), None), data=value)


def _end_of_returned_state(state: State[Any]) -> State[Any]:
    if not (state.is_final() or state.is_cancelling()):
        error = InvalidReturn(
            f"The body returned the state {state.name} ({state.type.value}), which ends nothing. "
            "Return a final state, Cancelling, or a value."
        )
        return Failed(message=str(error), cause=error)
    cause = state.cause
    if state.is_failed() and cause is None:
        cause = FailedRun(state.message or f"The body returned {state.name}.")
    # A state of its own: the same words, but another event of another run.
    return State(type=state.type, name=state.name, message=state.message, data=state.data, cause=cause)


def _states_alone(value: Any) -> list[State[Any]] | None:
    """The states of a collection that holds nothing else, or None."""
    if not isinstance(value, list | tuple | set | frozenset | dict):
        return None
    held = cast("Iterable[object]", value.values() if isinstance(value, dict) else value)
    items = list(held)
    states = [cast("State[Any]", item) for item in items if isinstance(item, State)]
    return states if states and len(states) == len(items) else None
