"""The table of what may follow what, and what the end of an attempt becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.authoring.hooks import HOOK_EVENTS
from actwright.exceptions import FailedRun, InvalidReturn, RunTimedOut
from actwright.models.outcomes import Crash, Raised, Returned, Timeout, outcome_of_error
from actwright.models.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Pending,
    Retrying,
    Running,
    Scheduled,
    State,
    StateType,
    TimedOut,
)
from actwright.models.transitions import (
    HOOK_EVENTS_OF,
    TABLE,
    awaiting_retry,
    end_of_attempt,
    hook_events,
    may_follow,
    row_of,
)

ALLOWED = {
    "Scheduled": {"Running", "Retrying", "Failed", "TimedOut", "Cancelling", "Crashed"},
    "Pending": {"Running", "Retrying", "Failed", "TimedOut", "Cancelling", "Crashed"},
    "Running": {"Completed", "Cached", "Failed", "TimedOut", "AwaitingRetry", "Cancelling", "Crashed"},
    "Retrying": {"Completed", "Cached", "Failed", "TimedOut", "AwaitingRetry", "Cancelling", "Crashed"},
    "AwaitingRetry": {"Running", "Retrying", "Failed", "TimedOut", "Cancelling", "Crashed"},
    "Cancelling": {"Cancelled", "Crashed"},
}
"""By name, from the design; what is not here may not be."""

NAMED = {
    "Scheduled": Scheduled(),
    "AwaitingRetry": AwaitingRetry(),
    "Pending": Pending(),
    "Running": Running(),
    "Retrying": Retrying(),
    "Paused": State[Any](type=StateType.PAUSED),
    "Completed": Completed(),
    "Cached": Completed(name="Cached"),
    "Failed": Failed(),
    "TimedOut": TimedOut(),
    "Cancelling": Cancelling(),
    "Cancelled": Cancelled(),
    "Crashed": Crashed(),
}

named = st.sampled_from(sorted(NAMED))
retry_budgets = st.integers(min_value=0, max_value=3)


# The table


@given(named, named)
def test_a_state_may_follow_another_exactly_where_the_design_says_so(before: str, after: str) -> None:
    assert may_follow(NAMED[before], NAMED[after]) == (after in ALLOWED.get(before, set()))


@given(named, st.text(), st.text())
def test_what_may_follow_is_told_by_types_and_not_by_what_a_user_calls_a_state(
    before: str, message: str, name: str
) -> None:
    renamed = NAMED[before].model_copy(update={"message": message})
    assert all(may_follow(renamed, state) == may_follow(NAMED[before], state) for state in NAMED.values())
    done = Completed(name=name, message=message)
    assert not any(may_follow(done, state) for state in NAMED.values())


@given(st.data(), retry_budgets)
def test_every_history_that_the_table_allows_can_end_and_then_nothing_follows(
    data: st.DataObject, retries: int
) -> None:
    state, history = data.draw(st.sampled_from([Pending(), Scheduled()])), list[str]()
    while not state.is_final():
        history.append(row_of(state))
        following = [
            after
            for after in NAMED.values()
            if may_follow(state, after)
            and not (row_of(after) == "AWAITING_RETRY" and history.count("RUNNING") > retries)
        ]
        assert following, f"{history} is a dead end"
        state = data.draw(st.sampled_from(following))
    assert TABLE[row_of(state)] == frozenset()
    assert not any(may_follow(state, after) for after in NAMED.values())


@pytest.mark.parametrize("row", TABLE)
def test_from_each_row_a_final_one_is_reached(row: str) -> None:
    reached, unseen = {row}, [row]
    while unseen:
        new = TABLE[unseen.pop()] - reached
        reached |= new
        unseen += new
    assert any(not TABLE[end] for end in reached)


def test_a_crash_and_a_cancel_may_follow_whatever_is_not_decided_yet() -> None:
    for row, following in TABLE.items():
        assert "CRASHED" in following or not following
        assert "CANCELLING" in following or not following or row == "CANCELLING"


def test_each_row_of_the_table_is_that_of_a_state_and_nothing_is_said_twice() -> None:
    rows = {row_of(state) for state in NAMED.values()}
    assert set(TABLE) == rows - {"PAUSED"}
    assert set(HOOK_EVENTS_OF) <= set(TABLE)
    assert set().union(*TABLE.values()) <= set(TABLE)


# Which hooks


def test_entering_a_state_makes_the_hooks_of_its_kind_due_and_on_end_last() -> None:
    expected = {
        "Running": ("on_running",),
        "Retrying": ("on_running",),
        "AwaitingRetry": ("on_retry",),
        "Completed": ("on_completion", "on_end"),
        "Cached": ("on_completion", "on_end"),
        "Failed": ("on_failure", "on_end"),
        "TimedOut": ("on_failure", "on_end"),
        "Cancelling": ("on_cancellation",),
        "Cancelled": ("on_end",),
        "Crashed": ("on_crashed", "on_end"),
    }
    assert {name: hook_events(state) for name, state in NAMED.items()} == {
        name: expected.get(name, ()) for name in NAMED
    }


def test_every_list_of_hooks_is_called_by_some_state() -> None:
    assert {event for events in HOOK_EVENTS_OF.values() for event in events} == set(HOOK_EVENTS)


# The end of an attempt


def test_a_value_completes_the_run_and_is_its_result() -> None:
    value = object()
    state = end_of_attempt(Returned(value))
    assert (state.name, state.result()) == ("Completed", value)


def test_an_exception_fails_the_run_which_says_what_it_was() -> None:
    error = ValueError("meh")
    state = end_of_attempt(Raised(error))
    assert (state.name, state.message, state.cause) == ("Failed", "The body raised ValueError: meh", error)
    assert end_of_attempt(Raised(KeyError())).message == "The body raised KeyError"


def test_a_timeout_is_a_failure_named_timed_out() -> None:
    error = RunTimedOut("too long")
    state = end_of_attempt(Timeout(error))
    assert (state.type, state.name, state.message, state.cause) == (StateType.FAILED, "TimedOut", "too long", error)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("", [SystemExit()])]
)
def test_what_passes_every_except_exception_crashes_the_run(error: BaseException) -> None:
    outcome = outcome_of_error(error)
    state = end_of_attempt(outcome)
    assert (state.type, state.cause) == (StateType.CRASHED, error)
    assert type(error).__name__ in (state.message or "")


def test_a_crash_may_bring_its_own_words() -> None:
    assert end_of_attempt(Crash(SystemExit(143), "SIGTERM")).message == "SIGTERM"


@given(st.sampled_from([Exception, ValueError, TimeoutError, RunTimedOut]), st.text())
def test_whatever_is_an_exception_is_a_failure(kind: type[Exception], said: str) -> None:
    error = kind(said)
    assert outcome_of_error(error) == Raised(error)


@given(st.sampled_from(sorted(name for name, state in NAMED.items() if state.is_final() or state.is_cancelling())))
def test_a_returned_state_decides_and_is_another_event_in_the_same_words(name: str) -> None:
    given_state = NAMED[name].model_copy(update={"message": "as I say", "data": 42})
    state = end_of_attempt(Returned(given_state))
    assert (state.type, state.name, state.message, state.data) == (given_state.type, name, "as I say", 42)
    assert state != given_state


def test_a_returned_failure_without_a_cause_gets_one_to_raise() -> None:
    state = end_of_attempt(Returned(Failed(message="no rows")))
    with pytest.raises(FailedRun, match="no rows"):
        state.result()


@pytest.mark.parametrize("name", ["Scheduled", "AwaitingRetry", "Pending", "Running", "Retrying", "Paused"])
def test_a_returned_state_that_ends_nothing_is_a_failure_that_says_so(name: str) -> None:
    state = end_of_attempt(Returned(NAMED[name]))
    assert state.is_failed()
    assert isinstance(state.cause, InvalidReturn)
    assert f"returned the state {name}" in str(state.cause)


finals = st.sampled_from([Completed(), Failed(cause=ValueError("meh")), Cancelled(), Crashed()])


def numbered(states: list[State[Any]]) -> dict[int, State[Any]]:
    return dict(enumerate(states))


@given(st.lists(finals, min_size=1), st.sampled_from([list, tuple, set, frozenset, numbered]))
def test_only_states_complete_the_run_exactly_if_all_of_them_are_completed(
    states: list[State[Any]], held_in: Any
) -> None:
    value = held_in(states)
    state = end_of_attempt(Returned(value))
    assert state.is_completed() == all(each.is_completed() for each in states)
    assert state.is_final()
    assert state.data is value


def test_the_first_cause_among_the_states_is_the_failure_s_own() -> None:
    error = ValueError("meh")
    state = end_of_attempt(Returned([Completed(), Cancelled(), Failed(cause=error)]))
    assert state.cause is error
    assert state.message == "2/3 states are not completed: Cancelled, Failed"


@pytest.mark.parametrize("value", [[], {}, [Failed(), 1], (None, Crashed()), {"state": Failed(), "n": 1}, "text", None])
def test_a_mix_of_states_and_values_is_a_value(value: object) -> None:
    state = end_of_attempt(Returned(value))
    assert (state.name, state.data) == ("Completed", value)


@given(st.integers(1, 9), st.floats(0, 1e6))
def test_between_two_attempts_the_failure_and_what_is_left_are_told(left: int, delay: float) -> None:
    ended = end_of_attempt(Raised(ValueError("meh")))
    state = awaiting_retry(ended, left, delay)
    assert may_follow(Running(), state)
    assert state.cause is ended.cause
    assert state.message == (
        f"The body raised ValueError: meh; {left} {'retry' if left == 1 else 'retries'} left, the next in {delay:g} s"
    )


outcomes = st.one_of(
    st.builds(Returned, st.one_of(st.integers(), named.map(NAMED.__getitem__), st.lists(finals))),
    st.builds(Raised, st.builds(ValueError, st.text())),
    st.builds(Timeout, st.builds(RunTimedOut, st.text())),
    st.builds(Crash, st.builds(SystemExit, st.integers()), st.none() | st.text()),
)


@given(outcomes)
def test_whatever_ends_an_attempt_a_running_run_may_enter_what_it_becomes(outcome: Any) -> None:
    state = end_of_attempt(outcome)
    if state.is_cancelled():  # which goes by way of Cancelling
        assert may_follow(Running(), Cancelling())
        assert may_follow(Cancelling(), state)
    else:
        assert may_follow(Running(), state)
