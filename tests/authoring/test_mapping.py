from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from actwright.authoring.annotations import allow_failure, unmapped
from actwright.authoring.mapping import calls_of_map
from actwright.authoring.tasks import task
from actwright.exceptions import MappingLengthMismatch, MappingMissingIterable, ParameterBindError


class Row(BaseModel):
    n: int


@task
def join(left: Any, right: Any = 0, *more: Any, key: Any = None) -> None: ...


def parameters_of(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    return [call.parameters for call in calls_of_map(join, args, kwargs)]


@given(st.lists(st.integers()))
def test_there_is_one_call_for_each_item_in_order(items: list[int]) -> None:
    assert [each["left"] for each in parameters_of(items)] == items


def test_iterables_go_item_by_item_and_all_else_goes_whole() -> None:
    found = parameters_of([1, 2], "text", (5, 6), key={"a": 1})
    assert found == [
        {"left": 1, "right": "text", "more": (5,), "key": {"a": 1}},
        {"left": 2, "right": "text", "more": (6,), "key": {"a": 1}},
    ]


@pytest.mark.parametrize("whole", ["text", b"bytes", {"a": 1}, Row(n=1), 3, None])
def test_strings_mappings_and_models_go_whole(whole: object) -> None:
    assert [each["right"] for each in parameters_of([1, 2], whole)] == [whole, whole]


def test_unmapped_goes_whole_without_its_wrapper() -> None:
    names = ["a", "b", "c"]
    assert all(each["key"] is names for each in parameters_of([1, 2], key=unmapped(names)))


def test_allow_failure_around_an_iterable_goes_around_each_item() -> None:
    assert [each["left"] for each in parameters_of(allow_failure([1, 2]))] == [allow_failure(1), allow_failure(2)]
    assert parameters_of([1], allow_failure(3))[0]["right"] == allow_failure(3)


def test_a_generator_is_read_once() -> None:
    assert [each["left"] for each in parameters_of(n * n for n in range(3))] == [0, 1, 4]


def test_an_iterable_default_is_not_mapped_over() -> None:
    @task
    def with_default(x: int, known: tuple[int, ...] = (1, 2, 3)) -> None: ...

    assert [call.parameters["known"] for call in calls_of_map(with_default, ([1, 2],), {})] == [(1, 2, 3)] * 2


def test_wait_for_goes_whole_to_each_call() -> None:
    calls = calls_of_map(join, ([1, 2],), {"wait_for": iter(["future"])})
    assert [call.wait_for for call in calls] == [("future",), ("future",)]


def test_wait_for_that_is_no_list_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^wait_for must be a list of futures; got int\. Write wait_for=\[\.\.\.\]"):
        calls_of_map(join, ([1, 2],), {"wait_for": 3})


def test_different_lengths_are_refused_with_each_length() -> None:
    with pytest.raises(MappingLengthMismatch, match="got left: 2, argument 3: 1, key: 3") as caught:
        parameters_of([1, 2], 0, [1], key=[1, 2, 3])
    assert str(caught.value).startswith("'join'.map() needs iterables of one length")


def test_nothing_to_map_over_is_refused() -> None:
    with pytest.raises(MappingMissingIterable, match=r"^'join'\.map\(\) was given nothing to map over"):
        parameters_of("text", 3, key=unmapped([1]))


def test_arguments_that_do_not_fit_are_refused_before_any_call_is_given_back() -> None:
    with pytest.raises(ParameterBindError, match="unexpected keyword argument 'colour'"):
        parameters_of([1, 2], colour="red")
