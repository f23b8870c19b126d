"""Messages between processes: what JSON can tell, and who recognises it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, field_validator
from pydantic_core import from_json, to_json

from actwright.authoring.letters import Letter, Wanted, letter_of
from actwright.exceptions import AuthoringError

T = TypeVar("T")


@dataclass
class Order:
    number: int
    at: datetime = datetime(2025, 1, 1, tzinfo=UTC)


class Customer(BaseModel):
    name: str
    orders: list[Order] = []


class NotKnown(Protocol):
    """To `isinstance`, which a protocol must ask to know it, and to pydantic."""


class Color(Enum):
    RED = "red"


class WithSecret(BaseModel):
    password: SecretStr


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def through(message: object) -> Letter:
    """What comes out of the journal at the other end."""
    return Letter.from_payload(from_json(to_json(letter_of(message).to_payload())))


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
    letter = Letter("Order", {"number": "no number"})
    assert Wanted(Order)(letter) == ()
    assert Wanted(Order | int)(letter) == ()
    assert caplog.text.count("does not fit that class here") == 1


@dataclass
class Box(Generic[T]):
    inside: T


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Box[int], Box(1)),
        (Box[int] | None, Box(1)),
        (tuple[int, int], (1, 2)),
        (set[int], {1, 2}),
        (Annotated[Order, "wanted"], Order(1)),
        (Annotated[Order | Color, "wanted"], Color.RED),
    ],
)
def test_what_isinstance_does_not_take_is_recognised_too(wanted: Any, message: Any) -> None:
    assert Wanted(wanted)(message) == (message,)
    assert Wanted(wanted)(through(message)) == (message,)
    assert Wanted(wanted)(through(uuid4())) == ()


def test_what_others_send_makes_no_receive_raise() -> None:
    class Stop: ...

    class Picky(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def refuse(cls, _: int) -> int:
            raise KeyError("its own mistake")

    assert Wanted(Stop)(through({"number": 1})) == ()
    assert Wanted(Order | Stop)(through({"number": 1})) == (Order(1),)
    assert Wanted(Picky)(Letter("test_what_others_send_makes_no_receive_raise.<locals>.Picky", {"number": 1})) == ()
    assert Wanted(Picky)(Letter(None, {"number": 1})) == ()


@pytest.mark.parametrize("wanted", ["Order", 5, (int, str), NotKnown], ids=repr)
def test_a_type_that_nothing_could_be_is_refused_before_anything_is_waited_for(wanted: Any) -> None:
    with pytest.raises(TypeError, match="expected a class, a union of classes"):
        Wanted(wanted)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (object(), "must be JSON"),
        (float("nan"), "must be JSON"),
        ({"a": object()}, "must be JSON"),
        (lambda: None, "must be JSON"),
        (WithSecret(password=SecretStr("x")), "would not come back the same"),
        ({1: "a"}, "would not come back the same"),
        ("half of a pair: \ud800", "must be JSON"),
        ({"\ud800": 1}, "must be JSON"),
        (nested(220), "must be JSON"),
        (nested(5_000), "must be JSON"),
        ([10**5_000], "must be JSON"),
    ],
)
def test_what_json_cannot_tell_is_refused_by_who_sends_it(message: Any, why: str) -> None:
    with pytest.raises(AuthoringError, match=why):
        letter_of(message)


@pytest.mark.parametrize(
    "message", [nested(199), 10**1_000, "a\0b", [-0.0, 5e-324, 1e308]], ids=["deep", "long", "nul", "small"]
)
def test_what_can_just_be_written_can_be_read(message: Any) -> None:
    assert Wanted(object)(through(message)) == (message,)


def test_in_its_own_process_any_object_is_wanted_by_its_class() -> None:
    message = object()
    assert Wanted(object)(message) == (message,)
    assert Wanted(Any)(message) == (message,)
    assert Wanted(Order)(message) == ()
    assert Wanted(Order | int)(True) == (True,)
    assert Wanted(list[int])([1]) == ([1],)
    assert Wanted(list[int])(["1"]) == ()
