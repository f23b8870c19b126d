from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from tests.authoring.helpers import FakeEngine

from actwright.authoring.entry import Call
from actwright.authoring.flows import flow
from actwright.authoring.futures import Handles
from actwright.authoring.tasks import Task, task
from actwright.exceptions import MappingLengthMismatch, ParameterBindError, UnsupportedOption


@task
def load_rows(table: str, limit: int = 10) -> str:
    return f"{table}:{limit}"


@task(tags=["io"])
async def fetch(url: str) -> str:
    return url


class Store:
    """A class with each kind of method, decorated in each order."""

    @task
    def method(self, x: int) -> tuple[Any, int]:
        return self, x

    @task
    @classmethod
    def class_outside(cls, x: int) -> tuple[Any, int]:
        return cls, x

    @classmethod
    @task
    def class_inside(cls, x: int) -> tuple[Any, int]:
        return cls, x

    @task
    @staticmethod
    def static_outside(x: int) -> int:
        return x

    @staticmethod
    @task
    def static_inside(x: int) -> int:
        return x


def notify(task: Any, task_run: Any, state: Any) -> None: ...


def test_a_task_takes_its_name_from_its_function_as_it_is() -> None:
    assert load_rows.name == "load_rows"
    assert repr(load_rows) == "<Task 'load_rows'>"
    assert fetch.tags == {"io"}


def test_a_call_of_a_sync_task_hands_its_bound_parameters_to_the_engine(fake_engine: FakeEngine) -> None:
    assert load_rows("t") == "t:10"
    assert fake_engine.calls[0][0] == "call"
    assert fake_engine.last.parameters == {"table": "t", "limit": 10}


@pytest.mark.anyio
async def test_a_call_of_an_async_task_is_awaited(fake_engine: FakeEngine) -> None:
    assert await fetch("u") == "u"
    assert fake_engine.calls[0][0] == "call_async"


def test_submit_hands_over_one_call_and_gives_what_the_engine_gives(fake_engine: FakeEngine) -> None:
    submitted: Any = load_rows.submit("t", limit=2)
    assert fake_engine.calls == [("submit", submitted)]
    assert submitted.parameters == {"table": "t", "limit": 2}


def test_submit_takes_wait_for(fake_engine: FakeEngine) -> None:
    options: Any = {"wait_for": ["future"]}
    load_rows.submit("t", **options)
    assert fake_engine.last.wait_for == ("future",)


def test_submit_and_map_refuse_return_state(fake_engine: FakeEngine) -> None:
    options: Any = {"return_state": True}
    with pytest.raises(UnsupportedOption, match=r"read 'handle\.state'"):
        load_rows.submit("t", **options)
    with pytest.raises(UnsupportedOption, match=r"read 'handle\.state'"):
        load_rows.map(["t"], **options)
    assert fake_engine.calls == []


def test_arguments_that_do_not_fit_submit_nothing(fake_engine: FakeEngine) -> None:
    wrong: Any = load_rows
    with pytest.raises(ParameterBindError):
        wrong.submit()
    with pytest.raises(ParameterBindError):
        wrong.map(["a"], colour="red")
    assert fake_engine.calls == []


def test_map_submits_one_call_for_each_item_and_gives_their_handles_in_order(fake_engine: FakeEngine) -> None:
    handles: Any = load_rows.map(["a", "b"], limit=3)
    calls: list[Call] = list(handles)
    assert isinstance(handles, Handles)
    assert [call.parameters for call in calls] == [{"table": "a", "limit": 3}, {"table": "b", "limit": 3}]
    assert fake_engine.calls == [("submit", calls[0]), ("submit", calls[1])]


def test_map_over_nothing_gives_no_handles(fake_engine: FakeEngine) -> None:
    assert list(load_rows.map([])) == []


def test_map_over_different_lengths_submits_nothing(fake_engine: FakeEngine) -> None:
    with pytest.raises(MappingLengthMismatch, match="table: 2, limit: 1"):
        load_rows.map(["a", "b"], limit=[1])
    assert fake_engine.calls == []


@pytest.mark.parametrize("name", ["method", "class_outside", "class_inside"])
def test_a_method_is_bound_to_its_instance_or_class(fake_engine: FakeEngine, name: str) -> None:
    store = Store()
    bound = getattr(store, name)
    receiver = store if name == "method" else Store
    assert isinstance(bound, Task)
    submit: Callable[..., Any] = bound.submit
    map_: Callable[..., Any] = bound.map
    assert bound(1) == (receiver, 1)
    assert fake_engine.last.parameters == {"x": 1}
    assert fake_engine.last.subject.name == name
    assert submit(2).parameters == {"x": 2}
    assert [call.parameters for call in map_([3, 4])] == [{"x": 3}, {"x": 4}]


@pytest.mark.parametrize("name", ["static_outside", "static_inside"])
def test_a_static_method_is_bound_to_nothing(fake_engine: FakeEngine, name: str) -> None:
    for holder in (Store, Store()):
        assert getattr(holder, name)(1) == 1
        assert fake_engine.last.parameters == {"x": 1}


@pytest.mark.parametrize("name", ["class_outside", "class_inside"])
def test_a_class_method_is_bound_through_its_class_and_its_subclasses(fake_engine: FakeEngine, name: str) -> None:
    class Special(Store): ...

    assert getattr(Store, name)(1) == (Store, 1)
    assert getattr(Special, name)(1) == (Special, 1)
    assert getattr(Special(), name)(1) == (Special, 1)


def test_through_its_class_a_method_takes_its_instance_itself(fake_engine: FakeEngine) -> None:
    store = Store()
    assert Store.method(store, 1) == (store, 1)
    assert fake_engine.last.parameters == {"self": store, "x": 1}


def test_the_values_of_a_bound_method_are_checked() -> None:
    assert Store().method.parameters.validate({"x": "1"}) == {"x": 1}


def test_a_method_with_other_options_stays_bound(fake_engine: FakeEngine) -> None:
    store = Store()
    other = store.method.with_options(name="other", on_end=[notify])
    assert other(1) == (store, 1)
    assert (other.name, other.on_end_hooks, store.method.on_end_hooks) == ("other", [notify], [])
    other.on_failure(notify)
    assert other.on_failure_hooks == [notify]


def test_a_hook_on_a_bound_method_is_refused_since_it_would_be_lost() -> None:
    with pytest.raises(TypeError, match=r"would be lost.*@<method>\.on_failure in the class body"):
        Store().method.on_failure(notify)


def test_a_bound_method_has_the_hooks_of_its_task() -> None:
    class Own:
        @task
        def run(self) -> None: ...

        @run.on_failure
        def note(task: Any, task_run: Any, state: Any) -> None: ...

    assert Own().run.on_failure_hooks == Own.run.on_failure_hooks == [Own.__dict__["note"]]


def test_a_bound_method_is_pickled_with_its_instance_and_its_options() -> None:
    found = pickle.loads(pickle.dumps(Store().method.with_options(retries=2)))
    assert isinstance(found.fn.__self__, Store)
    assert found.options.retries == 2
    assert pickle.loads(pickle.dumps(Store.class_outside)).fn.__self__ is Store
    assert pickle.loads(pickle.dumps(Store.method)) is Store.method


def test_a_bound_method_can_be_made_a_task(fake_engine: FakeEngine) -> None:
    class Plain:
        def run(self, x: int) -> int:
            return x

    made = task(Plain().run)
    made.on_end(notify)
    assert made(3) == 3
    assert made.on_end_hooks == [notify]


def test_callable_objects_and_partials_in_a_class_do_not_bind(fake_engine: FakeEngine) -> None:
    class Callee:
        def __call__(self, x: int) -> int:
            return x

    class Holder:
        run = task(Callee(), name="callee")

    assert Holder().run.prepare((3,), {}).parameters == {"x": 3}


def test_tasks_and_flows_say_which_they_are() -> None:
    assert (load_rows.kind, flow(load_rows.fn).kind) == ("task", "flow")
    with pytest.raises(TypeError, match=r"^@task goes above a function; got int instead"):
        task(3)  # type: ignore[call-overload]
