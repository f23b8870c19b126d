"""What a state says of itself, and what it gives or raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from actwright.exceptions import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun
from actwright.models.states import (
    AwaitingRetry,
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Pending,
    Retrying,
    Running,
    State,
    StateType,
    TimedOut,
)


@pytest.mark.parametrize("kind", StateType)
def test_a_state_takes_the_default_name_of_its_type_and_is_of_that_type_alone(kind: StateType) -> None:
    state = State[Any](type=kind)
    assert state.name == kind.value.capitalize()
    told = {each for each in StateType if getattr(state, f"is_{each.value.lower()}")()}
    assert told == {kind}


def test_only_completed_failed_cancelled_and_crashed_are_final() -> None:
    final = {kind for kind in StateType if State[Any](type=kind).is_final()}
    assert final == {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED}


@pytest.mark.parametrize(
    ("make", "kind", "name"),
    [
        (AwaitingRetry, StateType.SCHEDULED, "AwaitingRetry"),
        (Retrying, StateType.RUNNING, "Retrying"),
        (TimedOut, StateType.FAILED, "TimedOut"),
    ],
)
def test_a_finer_name_stands_for_a_known_type(make: Callable[[], State[Any]], kind: StateType, name: str) -> None:
    assert (make().type, make().name) == (kind, name)


def test_a_state_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Completed().name = "Failed"


def test_two_states_with_the_same_words_are_two_events() -> None:
    one = Failed(message="meh")
    assert one != Failed(message="meh")
    assert one == one.model_copy()
    assert len({one, one.model_copy(), Failed(message="meh")}) == 2


def test_a_state_is_shown_with_its_message_and_without_its_data() -> None:
    assert str(Completed(data="x" * 10**6)) == repr(Completed()) == "Completed()"
    assert repr(Failed(message="meh")) == "Failed('meh')"


@pytest.mark.parametrize("state", [Pending(), Running(), AwaitingRetry()], ids=str)
def test_what_is_not_final_has_no_result_yet(state: State[Any]) -> None:
    with pytest.raises(UnfinishedRun, match=f"The run is {state.name}"):
        state.result(raise_on_failure=False)


@pytest.mark.parametrize("value", [None, 42, ValueError("a value, not a failure")])
def test_completed_gives_what_the_body_returned(value: object) -> None:
    assert Completed(data=value).result() is value
    assert Completed(data=value).result(raise_on_failure=False) is value


ERROR, EXIT, INTERRUPT = ValueError("meh"), SystemExit(3), KeyboardInterrupt()


@pytest.mark.parametrize(
    ("state", "error"),
    [(Failed(cause=ERROR), ERROR), (Crashed(cause=EXIT), EXIT), (Crashed(cause=INTERRUPT), INTERRUPT)],
    ids=["failed", "exit", "interrupt"],
)
def test_what_did_not_complete_raises_the_very_exception_that_ended_it(state: State[Any], error: BaseException) -> None:
    assert state.result(raise_on_failure=False) is error
    with pytest.raises(type(error)) as raised:
        state.result()
    assert raised.value is error


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (Failed(message="why"), FailedRun),
        (Cancelled(message="why"), CancelledRun),
        (Crashed(message="why"), CrashedRun),
        (Crashed(message="why", cause=GeneratorExit()), CrashedRun),
    ],
)
def test_without_an_exception_that_can_be_raised_again_one_of_ours_tells_the_message(
    state: State[Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=r"^why$") as raised:
        state.result()
    assert raised.value.__cause__ is state.cause


def test_history_keeps_a_state_without_its_result_and_says_so_when_asked() -> None:
    state = Completed(message="done", data=[1, 2]).without_result()
    assert (state.name, state.message) == ("Completed", "done")
    with pytest.raises(MissingResult, match="history does not keep results"):
        state.result()
    assert isinstance(state.result(raise_on_failure=False), MissingResult)


def test_history_keeps_a_failure_without_its_exception() -> None:
    state = Failed(message="meh", cause=ValueError("meh")).without_result()
    assert state.cause is None
    with pytest.raises(FailedRun, match="meh"):
        state.result()


def test_a_state_that_holds_nothing_is_kept_as_it_is() -> None:
    state = Completed()
    assert state.without_result() is state
    assert state.without_result().result() is None
