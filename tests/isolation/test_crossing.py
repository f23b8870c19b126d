"""What goes to another process and comes back: here both sides are in one, and still know only what was sent."""

from __future__ import annotations

import contextvars
import threading
import types
from typing import Any
from uuid import UUID

import pytest
from tests.isolation import bodies as b

from actwright import Handle, flow, task
from actwright.exceptions import ActwrightError
from actwright.isolation.crossing import Crossing
from actwright.isolation.variables import path_of, portable


def no_future(_: object) -> Any:
    raise TypeError("there are no futures here")


@pytest.fixture
def here() -> Crossing:
    """The Runtime's side."""
    return Crossing(no_future, no_future, hooks_stay=True)


@pytest.fixture
def there() -> Crossing:
    """The body's side."""
    return Crossing(no_future, no_future, hooks_stay=False)


def local_task(**options: Any) -> Any:
    """One that has no import path."""

    def local(number: int) -> int:
        return number + 1

    return task(local, **options)


def test_what_is_sent_by_value_is_a_copy_that_comes_back_as_the_original(here: Crossing, there: Crossing) -> None:
    original = local_task()
    copy = there.loads(here.dumps(original))
    assert copy is not original
    assert copy.fn(1) == 2
    assert here.loads(there.dumps([copy, copy.fn])) == [original, original.fn]


def test_sent_again_it_is_the_same_there(here: Crossing, there: Crossing) -> None:
    original = local_task()
    copy = there.loads(here.dumps(original))
    assert there.loads(here.dumps({"again": original}))["again"] is copy


def test_what_could_not_be_sent_is_sent_whole_the_next_time(here: Crossing, there: Crossing) -> None:
    original = local_task()
    with pytest.raises(TypeError):
        here.dumps([original, threading.Lock()])
    assert not here.can([original, threading.Lock()])
    assert here.can(original)
    assert there.loads(here.dumps(original)).fn(1) == 2


def test_hooks_stay_where_they_are_and_need_not_be_picklable(here: Crossing, there: Crossing) -> None:
    lock = threading.Lock()

    def hook(task: Any, run: Any, state: Any) -> None:
        lock.acquire()

    original = local_task(on_failure=[hook], retry_condition_fn=hook, task_run_name=lambda: str(lock))
    copy = there.loads(here.dumps(original))
    assert copy.options.on_failure[0].name == "hook"
    with pytest.raises(ActwrightError, match="'hook' is called where its Runtime is"):
        copy.options.on_failure[0].fn(None, None, None)
    changed = here.loads(there.dumps(copy.with_options(retries=3)))
    assert changed.options.retries == 3
    assert changed.options.on_failure == original.options.on_failure
    assert changed.options.retry_condition_fn is hook
    assert changed.fn is original.fn


def test_hooks_that_a_body_adds_go_along(here: Crossing, there: Crossing) -> None:
    def called(task: Any, run: Any, state: Any) -> str:
        return "called"

    copy = there.loads(here.dumps(local_task()))
    changed = here.loads(there.dumps(copy.with_options(on_completion=[called])))
    assert changed.options.on_completion[0].fn(1, 2, 3) == "called"


def test_what_can_be_imported_goes_by_its_path(here: Crossing, there: Crossing) -> None:
    for item in (b.double, b.nothing, b.Mine, b.subflow):
        data = here.dumps(item)
        assert there.loads(data) is item
        assert len(data) < 200


def test_of_a_module_that_is_being_imported_it_does_so_too(
    here: Crossing, there: Crossing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(b.__spec__, "_initializing", True, raising=False)
    with_lock = threading.Thread(target=lambda: here.dumps([b.double, b.nothing, b.Mine]))
    with_lock.start()
    with_lock.join()
    assert there.loads(here.dumps([b.double, b.nothing, b.Mine])) == [b.double, b.nothing, b.Mine]


def test_an_exception_keeps_what_it_came_from_and_comes_back_as_itself(here: Crossing, there: Crossing) -> None:
    with pytest.raises(b.Mine) as caught:
        b.fails(2)
    error = caught.value
    error.add_note("a note")
    copy = there.loads(here.dumps(error))
    assert copy is not error
    assert isinstance(copy, b.Mine)
    assert isinstance(copy.__cause__, KeyError)
    assert (copy.code, copy.__notes__, copy.__suppress_context__) == (2, ["a note"], True)
    assert here.loads(there.dumps(copy)) is error


def test_generic_models_go_as_what_they_are_of_what(here: Crossing, there: Crossing) -> None:
    page = b.Page[int](items=[1])
    copy = there.loads(here.dumps([page, b.Page[b.Page[str]]]))
    assert copy == [page, b.Page[b.Page[str]]]
    assert type(copy[0]) is b.Page[int]


def test_a_group_of_exceptions_goes_whole(here: Crossing, there: Crossing) -> None:
    copy = there.loads(here.dumps(ExceptionGroup("two", [ValueError(1), b.Mine(2)])))
    assert [type(each) for each in copy.exceptions] == [ValueError, b.Mine]


def test_context_variables_go_by_their_names_or_by_number(here: Crossing, there: Crossing) -> None:
    local: contextvars.ContextVar[int] = contextvars.ContextVar("local", default=7)
    bare: contextvars.ContextVar[int] = contextvars.ContextVar("bare")
    found, copy, empty = there.loads(here.dumps([b.colour, local, bare]))
    assert found is b.colour
    assert copy is not local
    assert (copy.name, copy.get()) == ("local", 7)
    with pytest.raises(LookupError):
        empty.get()
    assert here.loads(there.dumps([found, copy])) == [b.colour, local]


def test_of_a_context_goes_along_what_means_something_elsewhere(here: Crossing) -> None:
    local: contextvars.ContextVar[int] = contextvars.ContextVar("local")
    context = contextvars.Context()
    context.run(b.colour.set, "red")
    context.run(b.shape.set, threading.Lock())
    context.run(local.set, 1)
    assert portable(context.items(), here.can) == [(b.colour, "red")]
    assert path_of(b.colour) == (b.__name__, "colour")
    assert path_of(local) is None


def test_code_keeps_the_name_of_its_file_for_tracebacks(here: Crossing, there: Crossing) -> None:
    assert there.loads(here.dumps(local_task())).fn.__code__.co_filename == __file__


def test_futures_go_as_the_id_of_their_run() -> None:
    run_id, handle = UUID(int=1), Handle[Any](None)  # type: ignore[arg-type]
    here = Crossing(no_future, lambda _: run_id, hooks_stay=True)
    there = Crossing(lambda found: (found, handle)[1], no_future, hooks_stay=False)
    assert there.loads(here.dumps([handle])) == [handle]
    with pytest.raises(TypeError, match="no futures here"):
        Crossing(no_future, no_future, hooks_stay=True).dumps([handle])


def test_modules_are_loaded_as_the_side_that_loads_wants_it(here: Crossing, there: Crossing) -> None:
    asked: list[str] = []

    def importing(name: str) -> types.ModuleType:
        asked.append(name)
        return __import__(name)

    there.loads(here.dumps([b.nothing, flow]), importing)
    assert {b.__name__, "actwright.authoring.flows"} <= set(asked)
