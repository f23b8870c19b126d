"""Parameters and results as history keeps them."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter, field_serializer

from actwright.exceptions import MissingResult
from actwright.models.values_at_rest import (
    kept_parameters,
    kept_result,
    parameters_at_rest,
    parameters_from_rest,
    result_at_rest,
    result_from_rest,
    tags_from_rest,
)

LIMIT = 65_536


class Account(BaseModel):
    name: str
    password: SecretStr
    extra: Any = None


@dataclass
class Point:
    x: Any
    y: Any = 0


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: int


class Opaque: ...


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__

    def __len__(self) -> int:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Faceless:
    def __getattribute__(self, name: str) -> Any:
        raise SystemExit("no")


class RudeDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("these items are mine")


class RudeModel(BaseModel):
    value: int = 0

    @field_serializer("value")
    def refuse(self, value: int) -> int:
        raise SystemExit(2)


def kept(value: object, limit: int = LIMIT) -> Any:
    """A value as it is read back."""
    text = parameters_at_rest({"value": value}, limit)
    json.loads(text, parse_constant=refuse_constant)
    return parameters_from_rest(text)["value"]


def refuse_constant(name: str) -> object:
    raise AssertionError(f"{name} is no JSON")


def why_not(value: object, limit: int = LIMIT) -> str:
    missing = kept(value, limit)
    assert isinstance(missing, MissingResult)
    return str(missing)


@pytest.mark.parametrize(
    "value", [0, -1, 10**50, True, None, 1.5, "", "text", "ü", "\ud800", [1, [2]], {"a": {"b": []}}]
)
def test_what_json_has_comes_back_as_it_was(value: object) -> None:
    assert kept(value) == value
    assert kept([value]) == [value]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_does_not_have_come_back_too(value: float) -> None:
    assert repr(kept(value)) == repr(kept([value])[0]) == repr(value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": 0}}),
        (Colour.RED, "red"),
        (Pair(1, 2), [1, 2]),
        ((1, {2}), [1, [2]]),
        (deque([1, 2]), [1, 2]),
        (b"text", "text"),
        (Path("a/b"), "a/b"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "null": "b", "[1, 2]": "c"}),
        ({"$actwright": "missing", "why": 1}, {"$actwright": "missing", "why": 1}),
    ],
)
def test_what_has_a_form_in_json_takes_it(value: object, form: object) -> None:
    assert kept(value) == form


@pytest.mark.parametrize("secret", [SecretStr("hush"), SecretBytes(b"hush"), Secret[str]("hush"), SecretStr("")])
def test_secrets_are_masked_wherever_they_are(secret: Any) -> None:
    held: list[Any] = [
        secret,
        [secret],
        {"a": secret},
        Point(secret),
        Account(name="a", password=SecretStr("hush"), extra=[secret]),
    ]
    text = parameters_at_rest({"secret": secret, "held": held, "key": {secret: 1}}, LIMIT)
    assert "hush" not in text
    assert text.count("**********") == 8


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Opaque(), "Opaque cannot be written as JSON"),
        (threading.Lock(), "lock cannot be written as JSON"),
        (Account, "cannot be written as JSON"),
        (b"\xff", "bytes that are no text"),
        pytest.param(10**5000, "a number of 16610 bits", id="long"),
        ({1: "a", "1": "b"}, "two of its keys are the same"),
        (RudeDict(a=1), "RuntimeError: these items are mine"),
        (RudeModel(), "SystemExit: 2"),
        pytest.param(Rude(), "Rude cannot be written as JSON", id="rude"),
        pytest.param(Faceless(), "SystemExit: no", id="faceless"),
    ],
)
def test_what_cannot_be_kept_is_missing_and_says_why(value: object, why: str) -> None:
    assert why in why_not(value)


def test_only_the_part_that_cannot_be_kept_is_missing_and_it_says_where_it_was() -> None:
    read = kept({"ids": [7, Opaque()]})
    assert read["ids"][0] == 7
    assert str(read["ids"][1]) == (
        "Parameter 'value', at ['ids'][1], was not kept in history: Opaque cannot be written as JSON."
    )


class Streaming(BaseModel):
    lines: Iterable[int]


def test_an_iterator_is_not_used_up() -> None:
    def fresh() -> Iterator[int]:
        return (number for number in range(3))

    plain, listed, dataclassed, modelled = fresh(), fresh(), fresh(), Streaming(lines=fresh())
    assert "iterator" in why_not(plain)
    assert "iterator" in str(kept([listed])[0])
    assert "iterator" in str(kept(Point(dataclassed))["x"])
    assert "iterator" in str(kept(modelled)["lines"])
    assert [list(each) for each in (plain, listed, dataclassed, modelled.lines)] == [[0, 1, 2]] * 4


def test_what_holds_itself_and_what_is_too_deep_end_somewhere() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert "it holds itself" in str(kept(ring)[0])
    assert "nested more than 100 deep" in parameters_at_rest({"deep": deep}, LIMIT)
    shared = [1]
    assert kept([shared, shared]) == [[1], [1]]


def test_where_parameters_are_too_large_the_largest_are_left_out() -> None:
    text = parameters_at_rest({"id": 7, "body": "x" * 800, "note": "y" * 500}, 1_000)
    assert len(text) <= 1_000
    read = parameters_from_rest(text)
    assert read["id"] == 7
    assert read["note"] == "y" * 500
    assert str(read["body"]) == (
        "Parameter 'body' was not kept in history: it is too large: the parameters of a run may take 1000 bytes in all."
    )


def test_something_large_is_not_read_to_its_end() -> None:
    read: list[int] = []

    class Noticed(list[int]):
        def __iter__(self) -> Iterator[int]:
            for item in super().__iter__():
                read.append(item)
                yield item

    class Copied(dict[int, int]):
        def items(self) -> Any:
            raise AssertionError("it is copied")

    assert "too large" in why_not(Copied.fromkeys(range(10_000)), 100)
    assert "too large" in why_not(Noticed(range(10_000)), 100)
    assert "too large" in why_not([Noticed(range(90))] * 50, 100)
    assert len(read) < 100


def test_no_parameters_are_an_empty_object() -> None:
    assert parameters_at_rest({}, 0) == "{}"
    assert parameters_from_rest("{}") == {}


def test_small_parameters_take_less_than_five_microseconds() -> None:
    parameters = {"a": 1, "b": 2, "c": 3, "word": "hello"}

    def seconds_of_a_thousand() -> float:
        began = time.perf_counter()
        for _ in range(1_000):
            parameters_at_rest(parameters, LIMIT)
        return time.perf_counter() - began

    assert min(seconds_of_a_thousand() for _ in range(20)) < 0.005


keys = st.text() | st.integers() | st.none() | st.booleans() | st.floats() | st.binary() | st.tuples(st.integers())
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.uuids()
    | st.datetimes() | st.decimals() | st.complex_numbers()
    | st.sampled_from([Opaque(), RudeModel(), Colour.RED])
)  # fmt: skip
structures = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner) | st.dictionaries(keys, inner) | st.builds(Point, inner, inner)
        | st.builds(Account, name=st.text(), password=st.text(), extra=inner) | st.lists(inner).map(tuple)
    ),
    max_leaves=20,  # of each of several values: making them takes longer than all that is asked of them
)  # fmt: skip


@given(st.dictionaries(st.text(), structures), st.integers(0, 2_000))
def test_whatever_is_given_json_comes_of_it_and_can_be_read_back(parameters: dict[str, Any], limit: int) -> None:
    text = parameters_at_rest(parameters, limit)
    assert isinstance(json.loads(text, parse_constant=refuse_constant), dict)
    assert list(parameters_from_rest(text)) == list(parameters)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.just("$actwright"), inner),
)


@given(json_values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert kept(value) == value


def test_a_result_comes_back_as_its_annotation_says() -> None:
    returns = TypeAdapter(list[Account])
    text = result_at_rest([Account(name="a", password=SecretStr("hush"))], returns)
    assert "hush" not in text
    (account,) = result_from_rest(text, returns)
    assert isinstance(account, Account)
    assert result_from_rest(text)[0]["name"] == "a"


@pytest.mark.parametrize("value", [None, 3, "x", {"missing": "x"}, {"value": 1}, [1.5]])
def test_a_result_without_an_annotation_is_kept_as_json(value: object) -> None:
    assert result_from_rest(result_at_rest(value)) == value


def test_a_result_that_is_not_what_its_annotation_says_is_kept_all_the_same() -> None:
    returns = TypeAdapter(int)
    assert result_from_rest(result_at_rest("words", returns), returns) == "words"


@pytest.mark.parametrize(
    "value",
    [
        Opaque(),
        RudeModel(),
        iter([1]),
        b"\xff",
        "\ud800",
        pytest.param(Rude(), id="rude"),
        pytest.param(10**5000, id="5,001 digits"),
    ],
)
def test_a_result_that_cannot_be_kept_says_why(value: object) -> None:
    missing = result_from_rest(result_at_rest(value))
    assert isinstance(missing, MissingResult)
    assert str(missing).startswith("The run completed, and its result was not kept: it ")


def test_a_result_that_is_an_iterator_is_not_used_up() -> None:
    stream = iter([1, 2])
    result_at_rest(stream, TypeAdapter(Iterable[int]))
    assert list(stream) == [1, 2]


@pytest.mark.parametrize("value", [10**5000, [1, {"deep": -(10**5000)}]], ids=["by itself", "deep"])
@pytest.mark.parametrize("returns", [None, TypeAdapter(Any)])
def test_a_result_that_python_could_not_read_back_is_not_kept(value: object, returns: TypeAdapter[Any] | None) -> None:
    missing = result_from_rest(result_at_rest(value, returns), returns)
    assert isinstance(missing, MissingResult)
    assert "it cannot be read back from JSON: ValueError: Exceeds the limit" in str(missing)


UNREADABLE = ["", "{", "[]", "3", '{"value": ' + "1" * 5000 + "}", '{"other": 1}', "[" * 100_000]


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_result_that_cannot_be_read_is_missing_and_says_why(text: str) -> None:
    missing = result_from_rest(text)
    assert isinstance(missing, MissingResult)
    assert "it cannot be read back from JSON: " in str(missing)
    assert list(kept_result(text)) == ["missing"]


UNREADABLE_PARAMETERS = ["", "{", "[]", "3", "[" * 100_000, '{"a": {"$actwright": "missing"}}']


@pytest.mark.parametrize("text", UNREADABLE_PARAMETERS, ids=range(len(UNREADABLE_PARAMETERS)))
def test_parameters_that_cannot_be_read_are_missing_and_say_why(text: str) -> None:
    (missing,) = parameters_from_rest(text).values()
    assert isinstance(missing, MissingResult)
    assert str(missing).startswith("The parameters cannot be read from history: ")
    assert len(kept_parameters(text)) == 1


@pytest.mark.parametrize("text", ["", "{", "{}", "3", "[1]", "[" * 100_000], ids=range(6))
def test_tags_that_cannot_be_read_are_one_that_says_so(text: str) -> None:
    assert tags_from_rest(text) == ["(unreadable)"]
    assert tags_from_rest('["a", "b"]') == ["a", "b"]


def test_of_parameters_only_the_number_that_is_too_long_for_this_process_is_missing() -> None:
    read = parameters_from_rest(f'{{"a": 1, "b": {{"c": [2, -{"9" * 5000}]}}}}')
    assert (read["a"], read["b"]["c"][0]) == (1, 2)
    assert str(read["b"]["c"][1]) == (
        "Parameter 'b', at ['c'][1], was not kept in history: "
        "it is a number of 5000 digits, which Python does not read here."
    )
