"""What users get wrong: each mistake is refused where it is made, in words that say what to do."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from tests.engine.watched import open_runtime

from actwright import Flow, Runtime, flow, run_flow, task
from actwright.exceptions import (
    ParameterBindError,
    ParameterTypeError,
    RuntimeClosed,
    UnsupportedOption,
    WouldDeadlock,
)

pytestmark = pytest.mark.anyio

each_kind = pytest.mark.parametrize("decorate", [flow, task], ids=["flow", "task"])


def body(number: int = 1) -> int:
    return number


# Hooks


@each_kind
def test_hooks_that_are_not_in_a_list(decorate: Any) -> None:
    with pytest.raises(TypeError) as caught:
        decorate(on_completion=body)(body)
    kind = decorate.__name__
    assert str(caught.value) == (
        "Expected iterable for 'on_completion'; got function instead. Please provide a list of hooks to "
        f"'on_completion':\n\n@{kind}(on_completion=[hook1, hook2])\ndef my_{kind}():\n\tpass"
    )


@each_kind
def test_hooks_that_cannot_be_called(decorate: Any) -> None:
    with pytest.raises(TypeError) as caught:
        decorate(on_failure=["notify"])(body)
    kind = decorate.__name__
    assert str(caught.value) == (
        "Expected callables in 'on_failure'; got str instead. Please provide a list of hooks to "
        f"'on_failure':\n\n@{kind}(on_failure=[hook1, hook2])\ndef my_{kind}():\n\tpass"
    )


@each_kind
def test_hooks_that_do_not_take_three_arguments(decorate: Any) -> None:
    with pytest.raises(TypeError, match=r"three positional arguments, \((flow|task), \1_run, state\); got 'body"):
        decorate(on_running=[body])(body)


def test_a_hook_of_the_runtimes_for_an_event_that_there_is_not() -> None:
    hooks: Any = {"on_success": [body]}
    with pytest.raises(ValueError, match=r"flow_hooks has no event 'on_success'\. Expected one of on_running, "):
        Runtime(flow_hooks=hooks)


# Bodies, arguments, names


def yields() -> Iterator[int]:
    yield 1


async def yields_async() -> AsyncIterator[int]:
    yield 1


@each_kind
@pytest.mark.parametrize("fn", [yields, yields_async])
def test_a_body_that_is_a_generator(decorate: Any, fn: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=rf"'{fn.__name__}' is a generator function, which @\w+ does not support\. Ret"):
        decorate(fn)


@each_kind
@pytest.mark.parametrize(
    ("args", "kwargs", "what"),
    [
        ((), {}, "missing a required argument: 'number'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"number": 2}, "multiple values for argument 'number'"),
        ((1,), {"colour": "red"}, "got an unexpected keyword argument 'colour'"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_before_a_run_exists(
    decorate: Any, args: tuple[Any, ...], kwargs: dict[str, Any], what: str
) -> None:
    seen: list[object] = []

    def hook(*given: object) -> None:
        seen.append(given)

    def fn(number: int) -> int:
        return number

    async def async_fn(number: int) -> int:
        return number

    called = decorate(fn, on_failure=[hook], on_end=[hook])
    submit: Any = None if decorate is flow else called.submit
    async with open_runtime() as runtime:
        calls: list[Callable[[], object]] = [
            lambda: called(*args, **kwargs),
            lambda: decorate(async_fn)(*args, **kwargs),
            lambda: submit(*args, **kwargs) if submit else runtime.submit(called, *args, **kwargs),
        ]
        for call in calls:
            with pytest.raises(ParameterBindError, match=rf"cannot be called so: {what}\. It takes \(number: "):
                call()
        assert runtime.journal.runs() == []
    assert seen == []


@each_kind
async def test_an_invalid_value_fails_the_run_whose_hooks_run(decorate: Any) -> None:
    states: list[str] = []

    def hook(subject: object, run: object, state: Any) -> None:
        states.append(state.name)

    called = decorate(body, on_running=[hook], on_failure=[hook], on_end=[hook])
    async with open_runtime():
        with pytest.raises(
            ParameterTypeError, match=r"invalid parameters:\n  number='one': .* valid integer"
        ) as caught:
            called("one")
    assert set(caught.value.errors) == {"number"}
    assert states == ["Failed", "Failed"]


class Unreadable:
    """Can be neither copied, nor pickled, nor shown."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        raise RuntimeError("not today")


async def test_a_value_that_cannot_be_serialised_or_shown_is_a_fine_parameter() -> None:
    @flow
    async def work(value: Any) -> Any:
        return await handed_on(value)

    @task
    async def handed_on(value: Any) -> Any:
        return value

    value = Unreadable()
    async with open_runtime() as runtime:
        handle = runtime.submit(work, value)
        assert await handle is value
        assert "(value=<Unreadable instance at 0x" in repr(handle.run)


async def test_a_huge_parameter_runs_fine_and_is_shown_shortened() -> None:
    @flow
    async def work(value: Any) -> int:
        return len(value)

    async with open_runtime() as runtime:
        for value in ("x" * 10_000_000, list(range(1_000_000))):
            handle = runtime.submit(work, value)
            assert await handle == len(value)
            assert len(repr(handle.run)) < 300
        numbers: Flow[..., int] = flow(body)
        with pytest.raises(ParameterTypeError) as caught:
            await run_flow(numbers, "x" * 10_000_000)
    assert len(str(caught.value)) < 500


@each_kind
def test_a_template_that_names_an_unknown_parameter(decorate: Any) -> None:
    kind = decorate.__name__
    options = {f"{kind}_run_name": "load {table}"}
    with pytest.raises(
        ValueError, match=rf"{kind}_run_name 'load {{table}}' names 'table', which is unknown\. Known: num"
    ):
        decorate(body, **options)


# Options


@each_kind
@pytest.mark.parametrize("option", ["retries", "timeout_seconds", "retry_delay_seconds", "retry_jitter_factor"])
def test_a_negative_number(decorate: Any, option: str) -> None:
    with pytest.raises(ValueError, match=rf"^{option} must be .*; got -1"):
        decorate(body, **{option: -1})


@each_kind
def test_an_option_of_prefects_that_is_not_supported(decorate: Any) -> None:
    with pytest.raises(
        UnsupportedOption, match=r"does not support 'cache_key_fn'\. Actwright has no result cache\. Keep"
    ):
        decorate(body, cache_key_fn=body)


@each_kind
def test_an_option_that_nobody_knows(decorate: Any) -> None:
    with pytest.raises(TypeError, match=r"does not know the option 'retrys'\. Did you mean 'retries'\?"):
        decorate(body, retrys=1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"colour": "red"}, r"Runtime has no option 'colour'\. It has: flow_hooks, "),
        ({"on_exit": "run"}, r"on_exit must be 'drain' or 'cancel'; got 'run'"),
        ({"worker_threads": 0}, r"worker_threads must be an integer of at least 1; got 0"),
        ({"hook_threads": "many"}, r"hook_threads must be an integer of at least 1; got 'many'"),
        ({"drain_seconds": -1}, r"drain_seconds must be a number of at least 0, and finite; got -1"),
        ({"flow_hooks": {"on_failure": body}}, r"Expected iterable for 'on_failure'; got function instead"),
        ({"flow_hooks": [body]}, r"flow_hooks must be a dict of lists; got list\. Write flow_hooks=\{"),
        (
            {"journal": "disk"},
            r"journal must be a Journal or \"memory\"; got 'disk'\. Leave it out to keep history in a",
        ),
        ({"on_hook_failure": "tell"}, r"on_hook_failure must be callable; got str"),
        ({"on_hook_failure": lambda: None}, r"on_hook_failure must take one positional argument, a HookDelivery; got "),
    ],
)
def test_an_option_of_the_runtimes_that_cannot_be(options: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        Runtime(**options)


# Calls


async def test_result_on_the_loops_own_thread_is_an_error_and_never_a_deadlock() -> None:
    go = anyio.Event()

    @task
    async def waits() -> None:
        await go.wait()

    async with open_runtime():
        handle = waits.submit()
        with pytest.raises(WouldDeadlock, match=r"In async code, await it: `await handle`"):
            handle.result()
        go.set()
        await handle


@pytest.mark.parametrize("given", [body, task(body), "body", None])
async def test_what_is_no_flow_cannot_be_run_as_one(given: Any) -> None:
    with pytest.raises(TypeError, match=r"run_flow expects a flow; got .*Put @flow above the function"):
        await run_flow(given)
    async with open_runtime() as runtime:
        wording = r"runtime\.submit expects a flow; got .*Put @flow above the function; a task is submitted itself"
        with pytest.raises(TypeError, match=wording):
            runtime.submit(given)


async def test_a_runtime_that_is_closed_takes_no_calls_and_says_so() -> None:
    work: Flow[..., int] = flow(body, name="work")
    never = Runtime()
    with pytest.raises(RuntimeClosed, match=r"This Runtime is new: it takes no new runs\."):
        never.submit(work)
    async with open_runtime() as runtime:
        pass
    with pytest.raises(RuntimeClosed, match=r"This Runtime is closed: .* inside `async with Runtime\(\):`"):
        runtime.submit(work)
    with pytest.raises(RuntimeClosed, match=r"This Runtime is closed, and a Runtime is used once\. Make another"):
        async with runtime:
            pass


async def test_a_runtime_that_is_open_cannot_be_opened_again() -> None:
    async with open_runtime() as runtime:
        with pytest.raises(RuntimeClosed, match="is open, and a Runtime is used once"):
            async with runtime:
                pass
        assert await runtime.submit(flow(body, name="work")) == 1
