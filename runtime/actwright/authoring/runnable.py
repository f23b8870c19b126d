"""What flows and tasks have in common: a function, options, and how a call of it reaches the engine."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, cast, overload

from typing_extensions import ParamSpec, TypeVar

from actwright.authoring import entry
from actwright.authoring.entry import Call, waited_for
from actwright.authoring.hook_lists import HookLists
from actwright.authoring.hooks import is_async, name_of, unwrapped
from actwright.authoring.names import check_run_name
from actwright.authoring.options import RunOptions
from actwright.authoring.parameters import Parameters

if TYPE_CHECKING:
    from actwright.models.states import State

__all__ = ["RESERVED_ARGUMENTS", "Runnable"]

P = ParamSpec("P", default=...)
R_co = TypeVar("R_co", covariant=True, default=Any)
T = TypeVar("T")

RESERVED_ARGUMENTS = ("return_state", "wait_for")
"""What every call of a flow or task takes besides the function's own arguments."""


_NO_DEPLOYMENTS = "Actwright has no deployments in this version: whatever starts your program starts its flows."
_NO_WORKERS = "Actwright has no task workers: submit() starts the run in this process."
_USE_INSTEAD = {
    "apply_async": _NO_WORKERS,
    "delay": _NO_WORKERS,
    "deploy": _NO_DEPLOYMENTS,
    "from_source": _NO_DEPLOYMENTS,
    "serve": _NO_DEPLOYMENTS,
    "submit": "Inside `async with Runtime() as runtime`, runtime.submit(my_flow, ...) gives a future.",
    "to_deployment": _NO_DEPLOYMENTS,
    "visualize": "Actwright does not draw flows without running them.",
}
"""What users of Prefect look for: methods that are not here, and what is."""


class Runnable(HookLists, Generic[P, R_co]):
    """A function that runs as an actor. Do not make one: `@flow` and `@task` do.

    Attributes:
        kind: "flow" or "task".
        fn: the function; call it for its body alone, without a run.
        options: frozen; a hook decorator puts new ones in its place.
        parameters: binds and checks arguments.
        isasync: whether a call gives something to await.
    """

    kind: ClassVar[Literal["flow", "task"]]

    __name__: str
    __qualname__: str

    def __init__(self, fn: Callable[P, R_co], options: RunOptions) -> None:
        # `@task` above `@staticmethod` or `@classmethod` gets an object that holds the function.
        self._descriptor: Any = fn if isinstance(fn, staticmethod | classmethod) else None
        self.fn = cast("Callable[P, R_co]", fn if self._descriptor is None else self._descriptor.__func__)
        _check_function(self.kind, self.fn, options.name)
        functools.update_wrapper(self, self.fn, updated=())
        if not hasattr(self.fn, "__name__"):  # a partial, a callable object
            self.__name__ = self.__qualname__ = cast(str, options.name)
        self.isasync = is_async(self.fn)
        self.options = options
        self.parameters = Parameters.of(self.fn, self._title)
        self._method_parameters: Parameters | None = None
        self._check_names()

    @property
    def name(self) -> str:
        """What users see, in logs and lists: the option, else the function's name."""
        return self.options.name or self._default_name()

    @property
    def description(self) -> str | None:
        """The option, else the function's docstring."""
        return self.options.description if self.options.description is not None else inspect.getdoc(unwrapped(self.fn))

    @property
    def version(self) -> str | None:
        return self.options.version

    @property
    def tags(self) -> frozenset[str]:
        return self.options.tags

    # An async function is also one that returns some T, and the checker takes the first overload that fits it.
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self: Runnable[..., Coroutine[Any, Any, T]], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(self: Runnable[..., T], *args: Any, return_state: Literal[True], **kwargs: Any) -> State[T]: ...
    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it as an actor, and give what its body returns; of an async function, await the call.

        Waits until the run is final and its hooks, but those with `wait=False`, are done. Cancelling the caller cancels
        the run. A run that did not complete raises what `State.result` raises.

        Args:
            *args, **kwargs: the function's own.
            return_state: give the final state instead, and raise nothing for a run that did not complete.
            wait_for: futures that must have completed before the body starts.

        Raises:
            ParameterBindError: the arguments do not fit; at the call, before a run exists.
            Exception: whatever the body raised.
        """
        call = self.prepare(args, kwargs)
        return entry.engine().call_async(call) if self.isasync else entry.engine().call(call)

    def prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """A call with these arguments, `return_state` and `wait_for` among the keywords: what the engine gets.

        Raises:
            ParameterBindError: the arguments do not fit the signature.
        """
        own = {name: value for name, value in kwargs.items() if name not in RESERVED_ARGUMENTS}
        return Call(
            self,
            self.parameters.bind(args, own),
            return_state=bool(kwargs.get("return_state", False)),
            wait_for=waited_for(kwargs.get("wait_for")),
        )

    def _default_name(self) -> str:
        return self.__name__

    @property
    def _title(self) -> str:
        return f"{self.kind.capitalize()} '{self.name}'"

    def _check_names(self) -> None:
        for name in RESERVED_ARGUMENTS:
            if name in self.parameters.names:
                raise TypeError(
                    f"{self._title} has a parameter '{name}', which is reserved: calls of flows and tasks take an "
                    "argument of that name themselves. Rename the parameter."
                )
        check_run_name(self.options.run_name, self.kind, self.parameters.names)

    def _with(self, **changes: Any) -> Self:
        """A copy with other attributes; what was worked out of the function is shared."""
        new = object.__new__(type(self))  # `copy.copy` would give this very object: see `__reduce__`
        new.__dict__.update(self.__dict__, **changes)
        return new

    def with_run_options(self, options: RunOptions) -> Self:
        """A copy with exactly these options. Authors use `with_options`."""
        new = self._with(options=options, _method_parameters=None, _is_bound=False)
        new.parameters = self.parameters.owned_by(new._title)
        new._check_names()
        return new

    def _bound_to(self, instance: object, owner: type | None) -> Self:
        """This as a method of `instance`, or of the class for a class method; else unchanged."""
        if instance is None and self._descriptor is None:
            return self
        holder = self.fn if self._descriptor is None else self._descriptor
        fn = holder.__get__(instance, owner) if hasattr(holder, "__get__") else holder
        if not isinstance(fn, MethodType):
            return self  # static, or a callable that is no function and does not bind
        if self._method_parameters is None:
            self._method_parameters = self.parameters.of_bound_method()
        return self._with(fn=fn, parameters=self._method_parameters, _descriptor=None, _is_bound=True)

    def __repr__(self) -> str:
        return f"<{self._title}>"

    if not TYPE_CHECKING:  # for a type checker, what is not there is not there

        def __getattr__(self, name: str) -> Any:
            hint = f" {_USE_INSTEAD[name]}" if name in _USE_INSTEAD else ""
            raise AttributeError(f"A {self.kind} has no '{name}'.{hint}", name=name, obj=self)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickled by import path, as functions are; one with other options by the path of its original and those.

        What has no import path is pickled with its function, which only a pickler by value (cloudpickle) can do for
        lambdas and functions inside functions.
        """
        found = _at_import_path(self.__module__, self.__qualname__)
        if found is self:
            return self.__qualname__
        if isinstance(found, Runnable) and found.fn is self.fn:
            return _with_options, (found, self.options)
        if isinstance(self.fn, MethodType) and isinstance(found, Runnable):
            return _method, (self.fn.__self__, self.__name__, self.options)
        return _made, (type(self), self._descriptor or self.fn, self.options)


def _with_options(original: Runnable[..., Any], options: RunOptions) -> Runnable[..., Any]:
    return original.with_run_options(options)


def _method(instance: object, name: str, options: RunOptions) -> Runnable[..., Any]:
    return _with_options(getattr(instance, name), options)


def _made(cls: type[Runnable[..., Any]], fn: Callable[..., Any], options: RunOptions) -> Runnable[..., Any]:
    new = object.__new__(cls)
    cast(Any, Runnable).__init__(new, fn, options)  # the constructors of `Flow` and `Task` take keywords
    return new


def _at_import_path(module: str, qualname: str) -> object:
    found: object = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _check_function(kind: Literal["flow", "task"], fn: object, name: str | None) -> None:
    """Refuse what cannot be a flow or task.

    Raises:
        TypeError: not callable; a generator function; without a name of its own, when `name` is None.
    """
    if not callable(fn):
        raise TypeError(
            f"@{kind} goes above a function; got {type(fn).__name__} instead. Options are given by keyword: "
            f'@{kind}(name="...").'
        )
    inner = unwrapped(fn)
    for code in (inner, type(inner).__call__):
        if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
            raise TypeError(
                f"'{name or name_of(fn)}' is a generator function, which @{kind} does not support. Return a list, or "
                f"call the {kind} for each item."
            )
    if name is None and getattr(fn, "__name__", "<lambda>") == "<lambda>":
        raise TypeError(
            f'@{kind} cannot name a lambda, a partial or a callable object. Give it a name: {kind}(fn, name="...").'
        )
