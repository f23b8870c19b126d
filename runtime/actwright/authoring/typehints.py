"""From the annotations of a function's parameters to pydantic adapters: resolved late, by parameter, and once.

An annotation may be a string (`from __future__ import annotations`), may name what only the enclosing function knows,
and may never be needed. So decorating takes note of the names, and the first validation does the work.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, ParamSpecArgs, ParamSpecKwargs

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from actwright.authoring.hooks import unwrapped
from actwright.authoring.secrets import holds_secret
from actwright.exceptions import AuthoringError

__all__ = ["ParameterTypes"]

_ARBITRARY = ConfigDict(arbitrary_types_allowed=True)


class ParameterTypes:
    """The types of one function's parameters. Make it where the function is decorated: it looks at the frames there.

    Attributes:
        signature: of the function.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.signature = inspect.signature(fn)
        function = _function_behind(fn)
        self._globals: dict[str, Any] = getattr(function, "__globals__", {})
        self._locals = _mentioned_locals(function, self.signature)
        self._adapters: dict[str, TypeAdapter[Any]] | None = None
        self._secret: frozenset[str] | None = None

    @property
    def secret(self) -> frozenset[str]:
        """The parameters for whose type a secret is given, in whole or in part; found out at the first call."""
        if self._secret is None:
            self._secret = frozenset(n for n, each in self.signature.parameters.items() if self._is_secret(each))
        return self._secret

    def _is_secret(self, parameter: inspect.Parameter) -> bool:
        if parameter.annotation is inspect.Parameter.empty:
            return False
        try:
            return holds_secret(self._resolve(parameter.annotation))
        except Exception:  # that it cannot be resolved is said by whoever needs the type; here its name has to do
            return "secret" in str(parameter.annotation).lower()

    def adapters(self, owner: str) -> dict[str, TypeAdapter[Any]]:
        """Parameter name -> adapter, for those parameters that have something to check; made at the first call.

        Raises:
            AuthoringError: an annotation that cannot be resolved, or of which no schema can be made. It names the
                owner, the parameter and the annotation.
        """
        # Two threads may both do the work the first time; both come to the same.
        if self._adapters is None:
            found = {name: self._adapter(owner, parameter) for name, parameter in self.signature.parameters.items()}
            self._adapters = {name: adapter for name, adapter in found.items() if adapter is not None}
        return self._adapters

    def _adapter(self, owner: str, parameter: inspect.Parameter) -> TypeAdapter[Any] | None:
        if parameter.annotation is inspect.Parameter.empty:
            return None
        try:
            hint = _whole_hint(parameter.kind, self._resolve(parameter.annotation))
            return None if hint is Any else _adapter_of(hint)
        except Exception as error:  # whatever the names in an annotation, or pydantic, make of it
            written = parameter.annotation
            shown = written if isinstance(written, str) else inspect.formatannotation(written)
            raise AuthoringError(
                f"{owner}: the annotation '{shown}' of parameter '{parameter.name}' cannot be used to check its "
                f"value: {error}. Have its names at hand when the function is decorated (not only under "
                "TYPE_CHECKING), or turn the checks off with validate_parameters=False."
            ) from error

    def _resolve(self, annotation: object) -> Any:
        # By parameter and not for the whole function: the annotation of its result need not resolve.
        alone = SimpleNamespace(__annotations__={"it": annotation})
        return typing.get_type_hints(alone, self._globals, self._locals, include_extras=True)["it"]


def _whole_hint(kind: Any, hint: Any) -> Any:
    """The type of the whole value: what stands at `*args: int` is that of one item."""
    if isinstance(hint, ParamSpecArgs | ParamSpecKwargs) or hint is Any:
        return Any
    # By name: on Python 3.11 the one of typing_extensions is another object.
    unpacked = getattr(typing.get_origin(hint), "__name__", None) == "Unpack"
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return Any if unpacked else tuple[hint, ...]
    if kind is inspect.Parameter.VAR_KEYWORD:
        return typing.get_args(hint)[0] if unpacked else dict[str, hint]
    return hint


def _adapter_of(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=_ARBITRARY)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(hint)  # models, dataclasses and typed dicts bring a config of their own


def _function_behind(fn: Callable[..., Any]) -> object:
    """The plain function in a partial, a bound method, a decorated function or a callable object."""
    inner: Any = inspect.unwrap(unwrapped(fn))
    if inspect.isclass(inner):
        inner = inner.__init__
    elif not inspect.isroutine(inner):
        inner = type(inner).__call__
    return getattr(inner, "__func__", inner)


def _mentioned_locals(function: object, signature: inspect.Signature) -> dict[str, Any]:
    """What the annotations of a function inside a function may mean: the enclosing locals that they mention.

    Only these are kept, so that a flow does not hold everything alive that its maker had at hand.
    """
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or "<locals>" not in code.co_qualname:
        return {}
    written = " ".join(str(parameter.annotation) for parameter in signature.parameters.values())
    enclosing = _enclosing_locals(code, inspect.currentframe())
    return {name: enclosing[name] for name in set(re.findall(r"\w+", written)) if name in enclosing}


def _enclosing_locals(code: CodeType, frame: FrameType | None) -> Mapping[str, Any]:
    """The locals of the running functions and class bodies that `code` was written in, innermost first."""
    scopes: list[dict[str, Any]] = []
    while frame is not None:
        if any(constant is code for constant in frame.f_code.co_consts):
            scopes.append(frame.f_locals)
            code = frame.f_code
        frame = frame.f_back
    return ChainMap(*scopes)
