from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from actwright.authoring.parameters import Parameters
from actwright.exceptions import ParameterBindError, ParameterTypeError


def every_kind(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> None: ...
def simple(x: int, y: str = "y") -> None: ...


class Point(BaseModel):
    x: int


def of(fn: Callable[..., Any]) -> Parameters:
    return Parameters.of(fn, "Flow 'it'")


def test_arguments_are_bound_by_name_in_the_order_of_the_signature() -> None:
    bound = of(every_kind).bind((1, 2, 3, 4), {"z": 5})
    assert list(bound.items()) == [("a", 1), ("b", 2), ("rest", (3, 4)), ("c", 3), ("more", {"z": 5})]


def test_defaults_are_filled_in() -> None:
    assert of(simple).bind((1,), {}) == {"x": 1, "y": "y"}


values = st.integers()
names = st.sampled_from(["p", "q", "a"])  # `a` is positional-only, so `**more` may have an `a` of its own


@given(values, values, st.lists(values), values, st.dictionaries(names, values))
def test_calling_with_bound_parameters_is_calling_as_the_caller_did(
    a: int, b: int, rest: list[int], c: int, more: dict[str, int]
) -> None:
    def echo(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> object:
        return a, b, rest, c, more

    parameters = of(echo)
    args, kwargs = parameters.call_args(parameters.bind((a, b, *rest), {"c": c, **more}))
    assert echo(*args, **kwargs) == echo(a, b, *rest, c=c, **more)


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'x'"),
        ((1, "a", 2), {}, "too many positional arguments"),
        ((1,), {"x": 1}, "multiple values for argument 'x'"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_signature(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterBindError) as caught:
        of(simple).bind(args, kwargs)
    assert str(caught.value) == f"Flow 'it' cannot be called so: {says}. It takes (x: 'int', y: 'str' = 'y') -> 'None'."


def test_values_are_converted_by_their_annotations_whatever_the_kind_of_parameter() -> None:
    parameters = of(every_kind)
    checked = parameters.validate(parameters.bind(("1", "2", "3"), {"c": "4", "z": "5"}))
    assert checked == {"a": 1, "b": 2, "rest": (3,), "c": 4, "more": {"z": 5}}


def test_validating_leaves_what_it_was_given_alone() -> None:
    given_parameters = {"x": "1", "y": "y"}
    of(simple).validate(given_parameters)
    assert given_parameters == {"x": "1", "y": "y"}


def test_all_invalid_values_are_named_in_one_error() -> None:
    parameters = of(every_kind)
    with pytest.raises(ParameterTypeError) as caught:
        parameters.validate(parameters.bind(("one", 2, "three"), {"z": []}))
    assert str(caught.value) == (
        "Flow 'it' was called with invalid parameters:\n"
        "  a='one': Input should be a valid integer, unable to parse string as an integer\n"
        "  rest=('three',): 0: Input should be a valid integer, unable to parse string as an integer\n"
        "  more={'z': []}: z: Input should be a valid integer"
    )
    assert set(caught.value.errors) == {"a", "rest", "more"}


def test_a_model_stays_the_same_object_and_a_dict_becomes_one() -> None:
    def fn(point: Point) -> None: ...

    point = Point(x=1)
    assert of(fn).validate({"point": point})["point"] is point
    assert of(fn).validate({"point": {"x": "2"}})["point"] == Point(x=2)


def test_a_class_that_pydantic_does_not_know_is_checked_by_isinstance() -> None:
    class Thing: ...

    def fn(thing: Thing) -> None: ...

    thing = Thing()
    assert of(fn).validate({"thing": thing})["thing"] is thing
    with pytest.raises(ParameterTypeError, match="should be an instance of"):
        of(fn).validate({"thing": object()})


def test_dataclasses_and_parameters_without_annotation_pass() -> None:
    @dataclass
    class Row:
        n: int

    def fn(row: Row, anything: int, whatever: Any) -> None: ...

    del fn.__annotations__["anything"]
    checked = of(fn).validate({"row": {"n": "1"}, "anything": "1", "whatever": "1"})
    assert checked == {"row": Row(1), "anything": "1", "whatever": "1"}


def test_a_default_is_the_author_s_own_and_is_not_checked() -> None:
    def fn(x: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - what many people write

    assert of(fn).validate(of(fn).bind((), {})) == {"x": None}


def test_the_parameters_of_a_bound_method_are_those_after_the_first() -> None:
    def method(self: Any, x: int) -> None: ...
    def loose(*args: int) -> None: ...
    def none() -> None: ...

    assert of(method).of_bound_method().bind((1,), {}) == {"x": 1}
    assert of(method).of_bound_method().validate({"x": "1"}) == {"x": 1}
    assert of(loose).of_bound_method().names == ("args",)
    assert of(none).of_bound_method().names == ()


def test_another_owner_shares_what_was_worked_out() -> None:
    parameters = of(simple).owned_by("Task 'other'")
    with pytest.raises(ParameterTypeError, match=r"^Task 'other' was called with invalid parameters"):
        parameters.validate({"x": "one", "y": "y"})


def test_a_function_without_a_readable_signature_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"^Flow 'it': no signature found for .*max.*Put a function of your own around it"
    ):
        of(max)
