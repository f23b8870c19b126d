from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from actwright.authoring.flows import flow
from actwright.authoring.hooks import HOOK_EVENTS, Hook, hook, is_async, name_of, normalise_hooks


def plain(flow: Any, flow_run: Any, state: Any) -> None: ...
async def asynchronous(flow: Any, flow_run: Any, state: Any) -> None: ...
def with_default(flow: Any, flow_run: Any, state: Any, note: str = "") -> None: ...
def with_kwargs(flow: Any, flow_run: Any, state: Any, **more: Any) -> None: ...
def too_few(flow: Any, flow_run: Any) -> None: ...
def too_many(flow: Any, flow_run: Any, state: Any, note: str) -> None: ...
def by_keyword(flow: Any, flow_run: Any, *, state: Any) -> None: ...


class Callee:
    def __call__(self, flow: Any, flow_run: Any, state: Any) -> None: ...
    def method(self, flow: Any, flow_run: Any, state: Any) -> None: ...
    async def async_method(self, flow: Any, flow_run: Any, state: Any) -> None: ...


class AsyncCallee:
    async def __call__(self, flow: Any, flow_run: Any, state: Any) -> None: ...


SHAPES: list[tuple[Callable[..., Any], bool, str]] = [
    (plain, False, "plain"),
    (asynchronous, True, "asynchronous"),
    (with_default, False, "with_default"),
    (with_kwargs, False, "with_kwargs"),
    (functools.partial(too_many, note="x"), False, "too_many"),
    (functools.partial(functools.partial(asynchronous)), True, "asynchronous"),
    (functools.partial(AsyncCallee()), True, "AsyncCallee"),
    (Callee(), False, "Callee"),
    (Callee().method, False, "method"),
    (Callee().async_method, True, "async_method"),
    (AsyncCallee(), True, "AsyncCallee"),
    (Hook(asynchronous, wait=False), True, "asynchronous"),
    (flow(plain), False, "plain"),
    (flow(asynchronous), True, "asynchronous"),
    (lambda *args: None, False, "<lambda>"),
    (Mock(), False, "Mock"),
    (AsyncMock(), True, "AsyncMock"),
    (print, False, "print"),
    (max, False, "max"),  # has no signature that could be read
]


@pytest.mark.parametrize(("fn", "awaited", "name"), SHAPES)
def test_any_callable_of_three_positional_arguments_is_a_hook(fn: Callable[..., Any], awaited: bool, name: str) -> None:
    (normal,) = normalise_hooks("on_failure", [fn])
    assert normal.fn is (fn.fn if isinstance(fn, Hook) else fn)
    assert normal.name == name_of(fn) == name


@pytest.mark.parametrize(("fn", "awaited", "name"), SHAPES)
def test_one_helper_tells_async_callables_from_others(fn: Callable[..., Any], awaited: bool, name: str) -> None:
    assert is_async(fn) is awaited


def test_hooks_keep_their_order_and_a_generator_is_read_once() -> None:
    given = iter([plain, asynchronous, plain])
    assert [item.fn for item in normalise_hooks("on_end", given)] == [plain, asynchronous, plain]
    assert normalise_hooks("on_end", given) == ()


def test_none_and_an_empty_list_are_no_hooks() -> None:
    assert normalise_hooks("on_end", None) == normalise_hooks("on_end", []) == ()


def test_a_bare_function_instead_of_a_list_is_refused_with_an_example() -> None:
    with pytest.raises(TypeError) as caught:
        normalise_hooks("on_completion", plain)
    assert str(caught.value) == (
        "Expected iterable for 'on_completion'; got function instead. Please provide a list of hooks to "
        "'on_completion':\n\n@flow(on_completion=[hook1, hook2])\ndef my_flow():\n\tpass"
    )


@pytest.mark.parametrize(("value", "kind"), [("notify", "str"), (["notify"], "str"), ([plain, 3], "int")])
def test_an_item_that_is_not_callable_is_refused_with_an_example(value: object, kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        normalise_hooks("on_failure", value, "task")
    assert str(caught.value) == (
        f"Expected callables in 'on_failure'; got {kind} instead. Please provide a list of hooks to "
        "'on_failure':\n\n@task(on_failure=[hook1, hook2])\ndef my_task():\n\tpass"
    )


@pytest.mark.parametrize("fn", [too_few, too_many, by_keyword, functools.partial(plain, None)])
def test_a_callable_that_cannot_take_three_positional_arguments_is_refused(fn: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"take three positional arguments, \(flow, flow_run, state\)"):
        normalise_hooks("on_failure", [fn])


def test_the_refusal_of_a_signature_names_the_hook_and_its_signature() -> None:
    with pytest.raises(TypeError) as caught:
        normalise_hooks("on_crashed", [too_few], "task")
    assert str(caught.value) == (
        "Expected hooks in 'on_crashed' to take three positional arguments, (task, task_run, state); got "
        "'too_few(flow: 'Any', flow_run: 'Any') -> 'None'', which cannot be called so: too many positional arguments. "
        "Give further arguments defaults, or bind them with functools.partial."
    )


def test_a_generator_function_is_refused_since_its_body_would_never_run() -> None:
    def generator(flow: Any, flow_run: Any, state: Any) -> Iterator[None]:
        yield

    async def async_generator(flow: Any, flow_run: Any, state: Any) -> AsyncIterator[None]:
        yield

    for fn in (generator, async_generator, functools.partial(generator)):
        with pytest.raises(TypeError, match="is a generator function"):
            normalise_hooks("on_end", [fn])


def test_at_once_is_for_on_cancellation_alone() -> None:
    early = hook(plain, at_once=True)
    assert normalise_hooks("on_cancellation", [early]) == (early,)
    for event in set(HOOK_EVENTS) - {"on_cancellation"}:
        with pytest.raises(ValueError, match=f"'plain' in '{event}' has at_once=True"):
            normalise_hooks(event, [early])


def test_hook_is_a_function_and_a_decorator() -> None:
    @hook(wait=False, retries=2)
    def decorated(flow: Any, flow_run: Any, state: Any) -> str:
        return "called"

    assert decorated == Hook(decorated.fn, wait=False, retries=2)
    assert decorated(None, None, None) == "called"
    assert hook(plain, wait=False) == Hook(plain, wait=False)


def test_hook_of_a_hook_changes_only_what_is_given() -> None:
    first = hook(plain, wait=False, retries=1)
    assert hook(first, retries=3) == Hook(plain, wait=False, retries=3)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("retries", -1, ValueError),
        ("retries", True, TypeError),
        ("retry_delay_seconds", -0.1, ValueError),
        ("retry_delay_seconds", float("inf"), ValueError),
        ("timeout_seconds", 0, ValueError),
        ("timeout_seconds", "5", TypeError),
        ("expires_seconds", -1, ValueError),
        ("max_attempts", 0, ValueError),
    ],
)
def test_an_option_of_a_hook_that_cannot_be_is_refused_by_name(option: str, value: Any, error: type[Exception]) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(error, match=f"^{option} must be"):
        hook(plain, **options)


@pytest.mark.parametrize("fn", [(), (plain,)], ids=["decorator", "function"])
def test_an_option_that_hooks_do_not_have_is_refused_with_those_that_they_have(fn: tuple[Any, ...]) -> None:
    options: dict[str, Any] = {"retry": 1}
    with pytest.raises(
        TypeError, match=r"^hook\(\) does not know the option 'retry'\. It knows: wait, .*max_attempts\.$"
    ):
        hook(*fn, **options)


def test_a_callable_whose_signature_cannot_be_read_is_taken_at_its_word() -> None:
    class Unreadable:
        __signature__ = "none"  # as of a mock on some Pythons, `inspect.signature` raises TypeError

        def __call__(self, *args: Any) -> None: ...

    (normal,) = normalise_hooks("on_failure", [Unreadable()])
    assert normal.name == "Unreadable"


def test_a_hook_of_something_not_callable_is_refused() -> None:
    with pytest.raises(TypeError, match="Expected a callable to make a hook of; got int instead"):
        hook(3)  # type: ignore[call-overload]
