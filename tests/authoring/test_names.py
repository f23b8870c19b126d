from __future__ import annotations

import string
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.authoring.flows import flow
from actwright.authoring.names import check_run_name, generate_name, run_name
from actwright.authoring.tasks import task
from actwright.models.ids import new_id


class Anything:
    """A value that has every key."""

    def __getitem__(self, key: object) -> str:
        return ""


class Known(dict[str, object]):
    """Fails the test on a name that is not known, whatever is done about the KeyError."""

    def __missing__(self, key: str) -> object:
        pytest.fail(f"the check let {key!r} pass")


RUN_ID = UUID("12345678-0000-4000-8000-000000000000")


def load_rows(day: date, rows: int = 1) -> None: ...


def test_a_flow_run_is_named_by_two_words_and_a_task_run_by_its_task_and_id() -> None:
    assert len(run_name(flow(load_rows), RUN_ID, {}).split("-")) == 2
    assert len({generate_name() for _ in range(20)}) > 1
    assert run_name(task(load_rows), RUN_ID, {}) == "load_rows-678"


def test_a_template_is_filled_with_parameters_and_with_what_is_known_of_the_run() -> None:
    parameters = {"day": date(2024, 5, 1), "rows": 3}
    of_flow = flow(load_rows, flow_run_name="{flow.name} {day:%Y}/{rows:>{rows}} {flow_run.id}")
    of_task = task(load_rows, task_run_name="{task.name} {day.month} {task_run.id!s:.3}")
    assert run_name(of_flow, RUN_ID, parameters) == f"load-rows 2024/  3 {RUN_ID}"
    assert run_name(of_task, RUN_ID, parameters) == "load_rows 5 123"


def test_a_function_names_a_run() -> None:
    assert run_name(flow(load_rows, flow_run_name=lambda: "by hand"), RUN_ID, {}) == "by hand"


def test_a_name_that_a_huge_parameter_went_into_is_shortened() -> None:
    parameters = {"day": "x" * 1_000_000}
    by_template = run_name(flow(load_rows, flow_run_name="load {day}"), RUN_ID, parameters)
    by_function = run_name(task(load_rows, task_run_name=lambda: "x" * 201), RUN_ID, parameters)
    assert by_template == f"load {'x' * 192}..."
    assert by_function == f"{'x' * 197}..."
    assert run_name(task(load_rows, task_run_name=lambda: "x" * 200), RUN_ID, {}) == "x" * 200


def test_a_function_that_gives_no_string_is_named_in_the_error() -> None:
    nameless: Callable[[], Any] = lambda: 3  # noqa: E731 - a lambda is what users write here
    with pytest.raises(TypeError, match="flow_run_name of 'load-rows' must return a string; it returned 3"):
        run_name(flow(load_rows, flow_run_name=nameless), RUN_ID, {})


def test_a_template_of_a_method_may_name_its_instance() -> None:
    class Store:
        name = "main"

        @task(task_run_name="{self.name}/{key}")
        def load(self, key: str) -> None: ...

    assert run_name(Store().load, RUN_ID, {"key": "k"}) == "main/k"


@pytest.mark.parametrize(
    "template", ["{other}", "{}", "{0}", "{flow_run.name}", "{flow}", "{rows:{other}}", "{task.name}"]
)
def test_a_template_that_names_something_unknown_is_refused_where_it_is_written(template: str) -> None:
    with pytest.raises(ValueError, match=r"which is unknown\. Known: day, rows, flow\.name, flow_run\.id\.$"):
        flow(load_rows, flow_run_name=template)


def test_the_refusal_names_what_is_unknown() -> None:
    with pytest.raises(ValueError, match=r"^task_run_name '{rows}-{colour}' names 'colour', which is unknown"):
        task(load_rows, task_run_name="{rows}-{colour}")


@pytest.mark.parametrize("template", ["{rows", "rows}", "{rows!}"])
def test_a_malformed_template_is_refused_where_it_is_written(template: str) -> None:
    with pytest.raises(ValueError, match="is not a template"):
        flow(load_rows, flow_run_name=template)


def test_a_template_is_checked_again_when_options_change() -> None:
    with pytest.raises(ValueError, match="names 'colour'"):
        flow(load_rows).with_options(flow_run_name="{colour}")


def test_a_template_that_a_value_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match=r"flow_run_name '{day:%Y}' of 'load-rows' cannot be filled"):
        run_name(flow(load_rows, flow_run_name="{day:%Y}"), RUN_ID, {"day": "monday"})


@given(st.text(alphabet="ab{}!:.[] 0", max_size=12))
def test_a_template_that_passes_the_check_never_misses_a_name(template: str) -> None:
    try:
        check_run_name(template, "flow", ["a", "b"])
    except ValueError:
        return
    # What the values themselves make of a format, a key or an attribute is their own business.
    with suppress(ValueError, AttributeError, TypeError):
        string.Formatter().vformat(template, (), Known(a=Anything(), b=Anything()))


def test_the_runs_of_a_task_are_told_apart_by_their_names() -> None:
    names = {run_name(task(load_rows), new_id(), {}) for _ in range(50)}
    assert len(names) > 45
