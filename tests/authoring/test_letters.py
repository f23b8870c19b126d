"""Messages between processes: what JSON can tell, and who recognises it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from actwright.authoring.letters import Letter, Wanted, letter_of
from actwright.exceptions import AuthoringError


@dataclass
class Order:
    number: int
    at: datetime = datetime(2025, 1, 1, tzinfo=UTC)


class Customer(BaseModel):
    name: str
    orders: list[Order] = []


class Color(Enum):
    RED = "red"


class WithSecret(BaseModel):
    password: SecretStr


def through(message: object) -> Letter:
    """What comes out of the journal at the other end."""
    return Letter.from_payload(letter_of(message).to_payload())


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_what_json_has_comes_through_as_it_is(value: Any) -> None:
    assert Wanted(object)(through(value)) == (value,)


@pytest.mark.parametrize(
    "message", [Order(1), Customer(name="a", orders=[Order(2)]), Color.RED, uuid4(), datetime.now(UTC), (1, 2), {1, 2}]
)
def test_what_pydantic_can_write_and_read_comes_through_for_who_wants_its_class(message: Any) -> None:
    (came,) = Wanted(type(message))(through(message))
    assert came == message
    assert type(came) is type(message)
    assert Wanted(type(message) | int)(through(message)) == (message,)
    assert Wanted(WithSecret)(through(message)) == ()


def test_a_class_is_recognised_by_its_name_and_not_by_its_fields() -> None:
    @dataclass
    class Refund:
        number: int

    assert Wanted(Order)(through(Refund(1))) == ()
    assert Wanted(dict)(through(Refund(1))) == ()


def test_plain_json_fits_a_class_that_it_describes() -> None:
    assert Wanted(Order)(through({"number": 1})) == (Order(1),)
    assert Wanted(Order)(through({"number": "1"})) == ()
    assert Wanted(Literal["stop"])(through("stop")) == ("stop",)
    assert Wanted(Literal["stop"])(through("go")) == ()


def test_a_message_that_names_a_class_and_does_not_fit_it_stays_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    letter, wanted = Letter("Order", {"number": "no number"}), Wanted(Order)
    assert wanted(letter) == ()
    assert wanted(letter) == ()
    assert caplog.text.count("does not fit that class here") == 1


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (object(), "must be JSON"),
        (float("nan"), "must be JSON"),
        ({"a": object()}, "must be JSON"),
        (lambda: None, "must be JSON"),
        (WithSecret(password=SecretStr("x")), "would not come back the same"),
        ({1: "a"}, "would not come back the same"),
    ],
)
def test_what_json_cannot_tell_is_refused_by_who_sends_it(message: Any, why: str) -> None:
    with pytest.raises(AuthoringError, match=why):
        letter_of(message)


def test_in_its_own_process_any_object_is_wanted_by_its_class() -> None:
    message = object()
    assert Wanted(object)(message) == (message,)
    assert Wanted(Any)(message) == (message,)
    assert Wanted(Order)(message) == ()
    assert Wanted(Order | int)(True) == (True,)
    assert Wanted(list[int])([1]) == ([1],)
    assert Wanted(list[int])(["1"]) == ()
