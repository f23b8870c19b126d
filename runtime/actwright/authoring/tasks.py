"""`@task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Self, TypeAlias, Unpack, overload

from typing_extensions import ParamSpec, TypeVar

from actwright.authoring import entry
from actwright.authoring.mapping import calls_of_map
from actwright.authoring.options import TaskKeywords, TaskOptions
from actwright.authoring.runnable import Runnable
from actwright.exceptions import UnsupportedOption

if TYPE_CHECKING:
    from actwright.authoring.annotations import allow_failure
    from actwright.authoring.futures import Handle, Handles

    Future: TypeAlias = Handle[Any] | allow_failure[Any] | Sequence[Handle[Any]]

__all__ = ["Task", "task"]

P = ParamSpec("P", default=...)
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True, default=Any)
T = TypeVar("T")


class Task(Runnable[P, R_co]):
    """A function whose calls are task runs. Made by `@task`, which says what the options are.

    Calling it runs it and waits; `submit` starts it and gives a future; `map` submits it for each item.
    """

    kind = "task"

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[TaskKeywords]) -> None:
        super().__init__(fn, TaskOptions().replace(**options))

    def with_options(self, **options: Unpack[TaskKeywords]) -> Self:
        """A copy with these options instead. What is left out is kept; a list of hooks overrides, `[]` clears it.

        Raises:
            TypeError, ValueError: as `@task` does.
        """
        return self.with_run_options(self.options.replace(**options))

    @overload
    def submit(
        self: Task[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Iterable[Any], **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def submit(self: Task[..., T], *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self: Task[P, T], *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self: Task[..., Coroutine[Any, Any, T]], first: Future, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self: Task[..., T], first: Future, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    def submit(self, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start a run and give a future of it at once. Works in sync and in async code.

        Args:
            *args, **kwargs: the function's own. Each may be a future, or hold futures, instead: the run waits for
                them, and its body gets their results. A type checker knows this of the first argument alone: no type
                says "each of these, or a future of it".
            wait_for: futures that must have completed before the body starts. A type checker does not check the
                arguments beside it.

        Raises:
            ParameterBindError: the arguments do not fit; nothing has started.
        """
        _refuse_return_state(kwargs)
        return entry.engine().submit(self.prepare(args, kwargs))

    @overload
    def map(self: Task[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> Handles[T]: ...
    @overload
    def map(self: Task[..., T], *args: Any, **kwargs: Any) -> Handles[T]: ...
    def map(self, *args: Any, **kwargs: Any) -> Handles[Any]:
        """Submit a run for each item of the arguments that are iterable, and give their futures, in order.

        Strings, dictionaries, pydantic models and what is in `unmapped(...)` go whole to each run; `wait_for` too.

        Raises:
            MappingMissingIterable: there is nothing to map over.
            MappingLengthMismatch: iterables of different lengths.
            ParameterBindError: the arguments do not fit; nothing has started.
        """
        from actwright.authoring.futures import Handles  # only those who submit pay for importing futures

        _refuse_return_state(kwargs)
        submit = entry.engine().submit
        return Handles([submit(call) for call in calls_of_map(self, args, kwargs)])

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Task[Concatenate[Any, Q], R], instance: object, owner: type | None = None) -> Task[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A task in a class is a method. With `@staticmethod` or `@classmethod`, `@task` may stand above or below.

        Type checkers know the methods of instances. A class method called through its class, and a static method
        called through an instance, they take for those too.
        """
        return self._bound_to(instance, owner)


def _refuse_return_state(kwargs: Mapping[str, Any]) -> None:
    if kwargs.get("return_state"):
        raise UnsupportedOption("submit() and map() give futures, not states. Wait, then read 'handle.state'.")


@overload
def task(fn: Callable[Q, R], /, **options: Unpack[TaskKeywords]) -> Task[Q, R]: ...
@overload
def task(fn: None = None, /, **options: Unpack[TaskKeywords]) -> Callable[[Callable[Q, R]], Task[Q, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Unpack[TaskKeywords]) -> Any:
    """Make a task of a function: `@task`, `@task(retries=2, on_failure=[notify])`, or `task(fn, name="load")`.

    Args:
        fn: sync or async; a method, a partial or a callable object too, where the latter two need a name.
        **options: see `RunOptions`; `task_run_name` names its runs.

    Raises:
        TypeError: not a function, a generator function, an unknown option, a hook that cannot be one, a parameter
            called `return_state` or `wait_for`.
        ValueError: an option's value that cannot be.
        UnsupportedOption: an option of Prefect's that Actwright does not have.
    """
    if fn is None:

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            return Task(function, **options)

        return decorate
    return Task(fn, **options)
