"""What a run is given and what it tells of itself: parameters, names, tags, counts, times, and where prints go."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, final_state, kinds, made
from tests.engine.watched import open_runtime

from actwright import flow, run_flow, runtime, tags, task, wait
from actwright.exceptions import ParameterBindError, ParameterTypeError
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


def of(kind: str) -> Any:
    """What `actwright.runtime` tells of this kind of run."""
    return runtime.flow_run if kind == "flow" else runtime.task_run


# Parameters


@kinds
@bodies
async def test_parameters_are_converted_by_their_annotations_and_told_to_body_and_hook(
    kind: str, is_async: bool, recorder: Recorder
) -> None:
    def body(number: int, *more: float, word: str = "x", **rest: int) -> Any:
        return number, more, word, rest, of(kind).parameters

    async def async_body(number: int, *more: float, word: str = "x", **rest: int) -> Any:
        return body(number, *more, word=word, **rest)

    subject = made(kind, async_body if is_async else body, on_end=[recorder.hook("end")])
    async with open_runtime():
        number, more, word, rest, told = (await final_state(subject, "1", "2", 3, a="4")).result()
    assert (number, more, word, rest) == (1, (2.0, 3.0), "x", {"a": 4})
    assert told == {"number": 1, "more": (2.0, 3.0), "word": "x", "rest": {"a": 4}}
    assert recorder.seen[0].run.parameters == told


@kinds
async def test_an_invalid_parameter_fails_the_run_and_the_error_names_it(kind: str) -> None:
    def body(number: int, word: str) -> None:
        raise AssertionError("the body ran")

    async with open_runtime() as opened:
        state = await final_state(made(kind, body), "x", word="fine")
        (run,) = opened.journal.runs()
    assert (state.name, run.run_count, run.start_time) == ("Failed", 0, None)
    with pytest.raises(ParameterTypeError, match="number='x': Input should be a valid integer") as caught:
        state.result()
    assert list(caught.value.errors) == ["number"]


@kinds
async def test_without_validation_parameters_are_what_was_given(kind: str) -> None:
    def body(number: int) -> Any:
        return number

    async with open_runtime():
        assert (await final_state(made(kind, body, validate_parameters=False), "x")).result() == "x"


@kinds
async def test_arguments_that_do_not_fit_are_an_error_before_a_run_exists(kind: str) -> None:
    def body(number: int) -> None: ...

    async with open_runtime() as opened:
        for args, kwargs in [((), {}), ((1, 2), {}), ((1,), {"number": 2}), ((1,), {"other": 2})]:
            with pytest.raises(ParameterBindError):
                await final_state(made(kind, body), *args, **kwargs)
        assert list(opened.journal.runs()) == []


class Secretive:
    def __repr__(self) -> str:
        raise RuntimeError("not for you")


@kinds
@pytest.mark.parametrize("value", ["x" * 1_000_000, Secretive(), object()], ids=["huge", "no-repr", "opaque"])
async def test_a_huge_or_odd_parameter_runs_fine_and_is_shown_shortened(
    kind: str, value: Any, recorder: Recorder
) -> None:
    def body(anything: Any) -> Any:
        return anything

    async with open_runtime():
        subject = made(kind, body, on_end=[recorder.hook("end")])
        assert (await final_state(subject, value)).result() is value
    assert len(repr(recorder.seen[0].run)) < 300


# Names


@kinds
async def test_a_name_template_is_filled_with_the_parameters(kind: str, recorder: Recorder) -> None:
    def body(word: str, number: int) -> Any:
        return of(kind).name

    options: Any = {f"{kind}_run_name": "{word}-{number:03}", "on_end": [recorder.hook("end")]}
    async with open_runtime():
        assert (await final_state(made(kind, body, **options), "x", "7")).result() == "x-007"
    assert recorder.seen[0].run.name == "x-007"


@kinds
async def test_a_name_function_sees_the_run_that_it_names(kind: str) -> None:
    def body(word: str) -> Any:
        return of(kind).name

    options: Any = {f"{kind}_run_name": lambda: "named " + of(kind).parameters["word"]}
    async with open_runtime():
        assert (await final_state(made(kind, body, **options), "x")).result() == "named x"


@kinds
async def test_a_name_that_cannot_be_made_fails_the_run_with_its_hooks(kind: str, recorder: Recorder) -> None:
    def broken() -> str:
        raise KeyError("on purpose")

    options: Any = {f"{kind}_run_name": broken, "on_failure": [recorder.hook("on_failure")]}
    async with open_runtime():
        state = await final_state(made(kind, lambda: None, name="x", **options))
    assert (state.name, state.message) == ("Failed", "KeyError: 'on purpose'")
    assert recorder.order == ["on_failure"]


async def test_a_flow_run_has_two_words_for_a_name_and_a_task_run_its_tasks_name() -> None:
    @task
    async def my_task() -> str | None:
        return runtime.task_run.name

    @flow
    async def my_flow() -> list[str | None]:
        return [runtime.flow_run.name, await my_task()]

    async with open_runtime():
        of_flow, of_task = await my_flow()
    assert of_flow is not None
    assert len(of_flow.split("-")) >= 2
    assert of_task is not None
    assert of_task.startswith("my_task-")


# Tags


@kinds
@bodies
async def test_a_run_has_its_own_tags_and_those_around_its_call(kind: str, is_async: bool, recorder: Recorder) -> None:
    def body() -> Any:
        return of(kind).tags

    async def async_body() -> Any:
        return body()

    subject = made(kind, async_body if is_async else body, tags=["own"], on_end=[recorder.hook("end")])
    async with open_runtime():
        with tags("b", "a"):
            assert (await final_state(subject)).result() == ["a", "b", "own"]
        assert (await final_state(subject)).result() == ["own"]
    assert [seen.run.tags for seen in recorder.seen] == [["a", "b", "own"], ["own"]]


@bodies
async def test_tags_around_a_flow_reach_its_tasks_and_those_in_it_only_what_they_surround(is_async: bool) -> None:
    def tags_of_task() -> list[str]:
        return runtime.task_run.tags

    inner = task(tags_of_task)

    def outer() -> list[list[str]]:
        with tags("inside"):
            first = inner.submit()
        return [first.result(), inner.submit().result()]

    async def async_outer() -> list[list[str]]:
        with tags("inside"):
            first = inner.submit()
        return [await first, await inner.submit()]

    subject: Any = flow(async_outer if is_async else outer, tags=["own"])
    async with open_runtime():
        with tags("around"):
            assert await run_flow(subject) == [["around", "inside"], ["around"]]


# Counts, times, parents


@kinds
async def test_a_run_knows_when_it_was_expected_and_when_it_started_and_ended(kind: str, recorder: Recorder) -> None:
    def body() -> Any:
        return of(kind).start_time, of(kind).expected_start_time, of(kind).run_count

    before = datetime.now(UTC)
    async with open_runtime():
        subject = made(kind, body, on_end=[recorder.hook("end")])
        started, expected, count = (await final_state(subject)).result()
    run = recorder.seen[0].run
    assert before <= expected <= started <= run.end_time <= datetime.now(UTC)
    assert (run.start_time, run.expected_start_time, run.run_count, count) == (started, expected, 1, 1)


async def test_runs_know_the_runs_around_them() -> None:
    @task
    async def inner() -> Any:
        return runtime.task_run.parent_task_run_id, runtime.task_run.flow_run_id, runtime.flow_run.id

    @task
    async def outer() -> Any:
        return runtime.task_run.id, runtime.task_run.parent_flow_run_id, await inner()

    @flow
    async def sub() -> Any:
        return runtime.flow_run.parent_flow_run_id

    @flow
    async def top() -> Any:
        return runtime.flow_run.id, await outer(), await sub()

    async with open_runtime():
        top_id, (outer_id, parent_of_outer, of_inner), parent_of_sub = await top()
    assert top_id == parent_of_outer == parent_of_sub
    assert of_inner == (outer_id, top_id, top_id)


def test_outside_of_runs_everything_is_empty() -> None:
    for attributes in (runtime.flow_run, runtime.task_run):
        assert (attributes.id, attributes.name, attributes.tags, attributes.parameters) == (None, None, [], {})
        assert (attributes.run_count, attributes.start_time, attributes.expected_start_time) == (0, None, None)
    assert (runtime.flow.name, runtime.flow.version, runtime.flow.description) == (None, None, None)


# Prints


@kinds
@bodies
async def test_prints_of_a_body_go_to_its_log_where_wanted_and_else_to_the_screen(
    kind: str, is_async: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(word: str) -> None:
        print("printed", word, sep="-")

    async def async_body(word: str) -> None:
        body(word)

    subject = made(kind, async_body if is_async else body, log_prints=True)
    options: Any = {f"{kind}_run_name": "my-run"}
    with caplog.at_level(logging.INFO, "actwright"):
        async with open_runtime():
            await final_state(subject.with_options(**options), "logged")
            await final_state(subject.with_options(log_prints=False), "shown")
    assert [line for line in caplog.messages if "printed" in line] == [
        f"{kind.capitalize()} run 'my-run' - printed-logged"
    ]
    assert capsys.readouterr().out == "printed-shown\n"


@bodies
async def test_a_task_prints_as_its_flow_does_unless_it_says_otherwise(
    is_async: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(word: str) -> None:
        print(word)

    def body() -> None:
        wait([task(say).submit("inherited"), task(say, log_prints=False).submit("its own way")])

    async def async_body() -> None:
        await wait([task(say).submit("inherited"), task(say, log_prints=False).submit("its own way")])

    subject: Any = flow(async_body if is_async else body, log_prints=True)
    with caplog.at_level(logging.INFO, "actwright"):
        async with open_runtime():
            await run_flow(subject)
    assert any(line.endswith(" - inherited") for line in caplog.messages)
    assert capsys.readouterr().out == "its own way\n"


@kinds
async def test_the_journal_times_what_it_records_by_the_runtimes_clock(kind: str, recorder: Recorder) -> None:
    clock = ManualClock(wall=datetime(2020, 1, 1, tzinfo=UTC))
    async with open_runtime(clock=clock) as opened:
        await final_state(made(kind, lambda: None, name="x", on_end=[recorder.hook("end")]))
    (delivery,) = opened.journal.deliveries()
    assert delivery.due_at == delivery.started_at == delivery.ended_at == datetime(2020, 1, 1, tzinfo=UTC)
