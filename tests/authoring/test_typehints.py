"""Annotations that are strings: every function of this module has such, by the import above all others."""

from __future__ import annotations

import functools
import gc
import typing
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import pytest
import typing_extensions
from pydantic import BaseModel, Field

from actwright.authoring.parameters import Parameters
from actwright.exceptions import AuthoringError, ParameterTypeError

if TYPE_CHECKING:
    from decimal import Decimal

P = ParamSpec("P")
R = TypeVar("R")


def of(fn: Callable[..., Any]) -> Parameters:
    return Parameters.of(fn, "Task 'it'")


class Later(typing_extensions.TypedDict):
    x: int


def test_names_of_the_module_are_resolved_even_when_they_are_defined_later() -> None:
    assert of(uses_defined_later).validate({"value": {"x": "1"}})["value"] == DefinedLater(x=1)


def uses_defined_later(value: DefinedLater) -> None: ...


class DefinedLater(BaseModel):
    x: int


def test_names_of_the_enclosing_functions_are_resolved_after_these_have_returned() -> None:
    def outermost() -> Parameters:
        class Outer(BaseModel):
            x: int

        def middle() -> Parameters:
            class Inner(BaseModel):
                outer: Any

            def fn(inner: Inner, outers: list[Outer]) -> None: ...

            return of(fn)

        def with_both() -> Parameters:
            return middle()

        return with_both()

    checked = outermost().validate({"inner": {"outer": 1}, "outers": [{"x": "2"}]})
    assert (checked["inner"].outer, checked["outers"][0].x) == (1, 2)


def test_names_of_an_enclosing_class_inside_a_function_are_resolved() -> None:
    class Holder:
        class Own(BaseModel):
            x: int

        def fn(self, own: Own) -> None: ...

        parameters = of(fn)

    assert Holder.parameters.validate({"own": {"x": 1}})["own"] == Holder.Own(x=1)


def test_only_the_locals_that_an_annotation_mentions_are_kept_alive() -> None:
    class Big: ...

    def make() -> tuple[Parameters, weakref.ref[Big]]:
        class Mentioned(BaseModel): ...

        big = Big()

        def fn(x: Mentioned) -> None: ...

        return of(fn), weakref.ref(big)

    parameters, big = make()
    gc.collect()
    assert big() is None
    assert parameters.validate({"x": {}})


def test_an_annotation_of_the_result_need_not_resolve() -> None:
    def fn(x: int) -> Decimal:
        raise AssertionError

    assert of(fn).validate({"x": "1"}) == {"x": 1}


def test_an_annotation_that_does_not_resolve_is_named_at_the_first_validation_and_not_before() -> None:
    def fn(x: int, price: Decimal) -> None: ...

    parameters = of(fn)
    assert parameters.bind((1, 2), {}) == {"x": 1, "price": 2}
    with pytest.raises(AuthoringError) as caught:
        parameters.validate({"x": 1, "price": 2})
    assert str(caught.value) == (
        "Task 'it': the annotation 'Decimal' of parameter 'price' cannot be used to check its value: name 'Decimal' "
        "is not defined. Have its names at hand when the function is decorated (not only under TYPE_CHECKING), or "
        "turn the checks off with validate_parameters=False."
    )


def test_constraints_in_an_annotation_hold() -> None:
    def fn(x: Annotated[int, Field(gt=0)]) -> None: ...

    with pytest.raises(ParameterTypeError, match="greater than 0"):
        of(fn).validate({"x": -1})


def test_keyword_arguments_typed_by_a_typed_dict_are_checked() -> None:
    def fn(**more: typing.Unpack[Later]) -> None: ...
    def backported(**more: typing_extensions.Unpack[Later]) -> None: ...

    for each in (fn, backported):
        assert of(each).validate({"more": {"x": "1"}}) == {"more": {"x": 1}}


def test_the_annotations_of_a_decorated_function_are_its_own() -> None:
    def decorator(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(fn)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return fn(*args, **kwargs)

        return wrapper

    def bare(fn: Callable[P, R]) -> Callable[P, None]:
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> None: ...

        return wrapper

    assert of(decorator(uses_defined_later)).validate({"value": {"x": 1}})["value"] == DefinedLater(x=1)
    assert of(bare(uses_defined_later)).validate({"args": (1,), "kwargs": {}}) == {"args": (1,), "kwargs": {}}


def test_partials_callable_objects_and_classes_have_the_types_of_what_they_call() -> None:
    class Callee:
        def __call__(self, value: DefinedLater) -> None: ...

    class Made:
        def __init__(self, value: DefinedLater) -> None: ...

    for fn in (functools.partial(uses_defined_later), Callee(), Made):
        assert of(fn).validate({"value": {"x": 1}})["value"] == DefinedLater(x=1)
