"""`@flow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Self, Unpack, overload

from typing_extensions import ParamSpec, TypeVar

from actwright.authoring.options import FlowKeywords, FlowOptions
from actwright.authoring.runnable import Runnable

__all__ = ["Flow", "flow"]

P = ParamSpec("P", default=...)
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True, default=Any)


class Flow(Runnable[P, R_co]):
    """A function whose calls are flow runs. Made by `@flow`, which says what the options are.

    Calling it runs it: `my_flow(1)`, or `await my_flow(1)` for an async function. Its name is the function's, with
    dashes for underscores.
    """

    kind = "flow"

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[FlowKeywords]) -> None:
        super().__init__(fn, FlowOptions().replace(**options))

    def with_options(self, **options: Unpack[FlowKeywords]) -> Self:
        """A copy with these options instead. What is left out is kept; a list of hooks overrides, `[]` clears it.

        Raises:
            TypeError, ValueError: as `@flow` does.
        """
        return self.with_run_options(self.options.replace(**options))

    def _default_name(self) -> str:
        return self.__name__.replace("_", "-")

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Flow[Concatenate[Any, Q], R], instance: object, owner: type | None = None) -> Flow[Q, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A flow in a class is a method. With `@staticmethod` or `@classmethod`, `@flow` may stand above or below.

        Type checkers know the methods of instances. A class method called through its class, and a static method
        called through an instance, they take for those too.
        """
        return self._bound_to(instance, owner)


@overload
def flow(fn: Callable[Q, R], /, **options: Unpack[FlowKeywords]) -> Flow[Q, R]: ...
@overload
def flow(fn: None = None, /, **options: Unpack[FlowKeywords]) -> Callable[[Callable[Q, R]], Flow[Q, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowKeywords]) -> Any:
    """Make a flow of a function: `@flow`, `@flow(retries=2, on_failure=[notify])`, or `flow(fn, name="nightly")`.

    Args:
        fn: sync or async; a method, a partial or a callable object too, where the latter two need a name.
        **options: see `RunOptions`; `flow_run_name` names its runs.

    Raises:
        TypeError: not a function, a generator function, an unknown option, a hook that cannot be one, a parameter
            called `return_state` or `wait_for`.
        ValueError: an option's value that cannot be.
        UnsupportedOption: an option of Prefect's that Actwright does not have.
    """
    if fn is None:

        def decorate(function: Callable[..., Any]) -> Flow[..., Any]:
            return Flow(function, **options)

        return decorate
    return Flow(fn, **options)
