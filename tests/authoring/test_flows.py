from __future__ import annotations

import copy
import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.authoring.helpers import FakeEngine

from actwright.authoring.flows import Flow, flow
from actwright.authoring.hooks import HOOK_EVENTS, Hook, hook
from actwright.authoring.tasks import task
from actwright.exceptions import ParameterBindError


@flow
def nightly_load(day: str, rows: int = 1) -> str:
    """Load what the day brought."""
    return day * rows


@flow(retries=1, name="async one")
async def asynchronous(x: int) -> int:
    return x


renamed = nightly_load.with_options(name="renamed", retries=2)


def notify(flow: Any, flow_run: Any, state: Any) -> None: ...
def clean_up(flow: Any, flow_run: Any, state: Any) -> None: ...


class Callee:
    def __call__(self, x: int) -> int:
        return x


def test_a_flow_takes_its_name_with_dashes_and_its_description_from_its_function() -> None:
    assert (nightly_load.name, nightly_load.description) == ("nightly-load", "Load what the day brought.")
    assert (nightly_load.__name__, nightly_load.version) == ("nightly_load", None)
    assert repr(nightly_load) == "<Flow 'nightly-load'>"
    assert asynchronous.name == "async one"


def test_a_flow_has_the_signature_of_its_function() -> None:
    assert inspect.signature(nightly_load) == inspect.signature(nightly_load.fn)
    assert nightly_load.fn("x", 2) == "xx"


def test_a_call_of_a_sync_flow_hands_its_bound_parameters_to_the_engine(fake_engine: FakeEngine) -> None:
    assert nightly_load("x", rows=2) == "xx"
    (how, call) = fake_engine.calls[0]
    assert (how, call.subject, call.parameters) == ("call", nightly_load, {"day": "x", "rows": 2})
    assert (call.return_state, call.wait_for) == (False, ())


@pytest.mark.anyio
async def test_a_call_of_an_async_flow_starts_when_it_is_awaited(fake_engine: FakeEngine) -> None:
    coroutine = asynchronous(3)
    assert fake_engine.calls == []
    assert await coroutine == 3
    assert fake_engine.calls[0][0] == "call_async"


def test_arguments_that_do_not_fit_are_refused_at_the_call_before_anything_is_awaited(fake_engine: FakeEngine) -> None:
    wrong: Any = asynchronous
    with pytest.raises(ParameterBindError, match=r"^Flow 'async one' cannot be called so: missing a required"):
        wrong()
    assert fake_engine.calls == []


def test_return_state_and_wait_for_are_the_call_s_own(fake_engine: FakeEngine) -> None:
    nightly_load("x", return_state=True, wait_for=iter([1, 2]))
    assert fake_engine.last.parameters == {"day": "x", "rows": 1}
    assert (fake_engine.last.return_state, fake_engine.last.wait_for) == (True, (1, 2))


@pytest.mark.parametrize("wrong", [3, "futures", {"a": 1}])
def test_wait_for_that_is_no_list_is_refused(fake_engine: FakeEngine, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^wait_for must be a list of futures"):
        nightly_load("x", wait_for=wrong)
    assert fake_engine.calls == []


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_a_parameter_of_a_reserved_name_is_refused_where_it_is_written(name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def fn({name}): ...", namespace)
    with pytest.raises(TypeError, match=f"^Flow 'fn' has a parameter '{name}', which is reserved"):
        flow(namespace["fn"])


NAMELESS: list[Callable[..., Any]] = [lambda *args: args, functools.partial(notify, None), Callee()]


@pytest.mark.parametrize("fn", NAMELESS)
def test_what_has_no_name_needs_one(fn: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="Give it a name"):
        flow(fn)
    assert flow(fn, name="named").name == "named"


def test_what_has_no_name_can_be_called(fake_engine: FakeEngine) -> None:
    assert flow(Callee(), name="callee")(3) == 3
    assert flow(functools.partial(nightly_load.fn, rows=3), name="partial")("x") == "xxx"
    assert flow(lambda *args: args, name="lambda")(1) == (1,)
    assert flow(abs, name="builtin")(-3) == 3


def test_whether_a_flow_is_async_is_that_of_its_function() -> None:
    assert asynchronous.isasync
    assert not nightly_load.isasync
    assert flow(functools.partial(asynchronous.fn), name="partial").isasync


def test_generator_functions_are_refused() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    class Generating:
        def __call__(self) -> Iterator[int]:
            yield 1

    for fn in (generator, async_generator, functools.partial(generator), Generating()):
        with pytest.raises(TypeError, match="is a generator function, which @flow does not support"):
            flow(fn, name="it")


def test_a_name_given_by_position_is_refused_with_the_way_to_give_it() -> None:
    with pytest.raises(TypeError, match=r'got str instead. Options are given by keyword: @flow\(name="..."\)'):
        flow("nightly")  # type: ignore[call-overload]


def test_with_options_makes_another_flow_and_leaves_the_first_alone() -> None:
    first = flow(nightly_load.fn, on_failure=[notify], retries=1)
    second = first.with_options(on_failure=[clean_up], name="second")
    assert (first.on_failure_hooks, first.name) == ([notify], "nightly-load")
    assert (second.on_failure_hooks, second.name, second.options.retries) == ([clean_up], "second", 1)
    assert second.fn is first.fn
    assert isinstance(second, Flow)


def test_errors_of_a_flow_with_another_name_name_that() -> None:
    wrong: Any = renamed
    with pytest.raises(ParameterBindError, match=r"^Flow 'renamed'"):
        wrong.prepare((), {})


@pytest.mark.parametrize("event", HOOK_EVENTS)
def test_each_list_of_hooks_has_a_decorator_and_a_view(event: str) -> None:
    options: Any = {event: [notify]}
    subject = flow(nightly_load.fn, **options)
    assert getattr(subject, event)(clean_up) is clean_up
    assert getattr(subject, f"{event}_hooks") == [notify, clean_up]
    others = [other for other in HOOK_EVENTS if other != event]
    assert all(getattr(subject, f"{other}_hooks") == [] for other in others)


def test_a_hook_decorator_takes_a_hook_with_options() -> None:
    subject = flow(nightly_load.fn)

    @subject.on_failure
    @hook(wait=False)
    def decorated(flow: Any, flow_run: Any, state: Any) -> None: ...

    assert subject.options.on_failure == (Hook(decorated.fn, wait=False),)


def test_a_hook_decorator_refuses_what_the_list_refuses() -> None:
    with pytest.raises(TypeError, match="Expected callables in 'on_failure'; got str instead"):
        flow(nightly_load.fn).on_failure("notify")  # type: ignore[type-var]


def test_a_decorated_hook_does_not_reach_copies_made_before() -> None:
    first = flow(nightly_load.fn)
    second = first.with_options()
    first.on_end(notify)
    assert second.on_end_hooks == []


def test_a_flow_is_pickled_by_its_import_path() -> None:
    assert pickle.loads(pickle.dumps(nightly_load)) is nightly_load
    assert copy.deepcopy(nightly_load) is copy.copy(nightly_load) is nightly_load


def test_a_flow_with_other_options_is_pickled_by_the_path_of_its_original() -> None:
    made = nightly_load.with_options(name="other", on_failure=[notify])
    found = pickle.loads(pickle.dumps(made))
    assert (found.fn, found.options, found.name) == (nightly_load.fn, made.options, "other")
    assert pickle.loads(pickle.dumps(renamed)).options == renamed.options


def test_a_flow_without_import_path_is_pickled_with_its_function() -> None:
    made = flow(functools.partial(notify, None), name="partial")
    found = pickle.loads(pickle.dumps(made))
    assert (found.name, found.fn.func, found.fn.args) == ("partial", notify, (None,))


def test_attributes_of_the_function_do_not_get_in_the_way() -> None:
    def fn() -> None: ...

    fn.kind = "odd"  # type: ignore[attr-defined]
    assert flow(fn).kind == "flow"
    assert task(fn).kind == "task"


@pytest.mark.parametrize(
    ("subject", "method", "says"),
    [
        (nightly_load, "serve", "A flow has no 'serve'. Actwright has no deployments"),
        (nightly_load, "deploy", "A flow has no 'deploy'. Actwright has no deployments"),
        (nightly_load, "submit", "A flow has no 'submit'. Inside `async with Runtime() as runtime`, runtime.submit("),
        (nightly_load, "visualize", "A flow has no 'visualize'. Actwright does not draw flows"),
        (task(nightly_load.fn), "delay", "A task has no 'delay'. Actwright has no task workers: submit() starts"),
        (nightly_load, "zzz", "A flow has no 'zzz'."),
    ],
)
def test_a_method_of_prefects_that_is_not_here_says_what_is(subject: object, method: str, says: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(subject, method)
    assert str(caught.value).startswith(says)
    assert not hasattr(subject, method)
