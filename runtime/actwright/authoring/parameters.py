"""The parameters of a function: arguments bound to names, values checked, and both turned into a call again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from actwright.authoring.secrets import concealed
from actwright.authoring.typehints import ParameterTypes
from actwright.exceptions import ParameterBindError, ParameterTypeError
from actwright.models.marks import MASK
from actwright.models.shortening import shorten

__all__ = ["Parameters"]


class Parameters:
    """What one function takes. Made once where it is decorated, since signatures and types are costly to work out.

    Attributes:
        owner: whose parameters these are, for errors: "Flow 'my-flow'".
        signature: of the function.
        names: of the parameters, in order.
    """

    __slots__ = ("_defaults", "_types", "names", "owner", "signature")

    def __init__(self, owner: str, signature: inspect.Signature, types: ParameterTypes) -> None:
        self._types = types
        self._defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
        self.owner = owner
        self.signature = signature
        self.names = tuple(signature.parameters)

    @classmethod
    def of(cls, fn: Callable[..., Any], owner: str) -> Parameters:
        """Read the signature of `fn`.

        Raises:
            TypeError: it has none that can be read, as some functions written in C.
        """
        try:
            types = ParameterTypes(fn)
        except ValueError as error:
            raise TypeError(f"{owner}: {error}. Put a function of your own around it.") from error
        return cls(owner, types.signature, types)

    def owned_by(self, owner: str) -> Parameters:
        """The same for another owner; what was worked out about types is shared."""
        return Parameters(owner, self.signature, self._types)

    def of_bound_method(self) -> Parameters:
        """The same once `self` or `cls` is given: without the first parameter, unless that is `*args`."""
        parameters = list(self.signature.parameters.values())
        if parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
        return Parameters(self.owner, self.signature.replace(parameters=parameters), self._types)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter name, in the order of the signature, defaults included.

        `*args` and `**kwargs` are one entry each, under their own names.

        Raises:
            ParameterBindError: an argument is missing, unknown, or given twice.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterBindError(f"{self.owner} cannot be called so: {error}. It takes {self.signature}.") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def validate(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Bound parameters, each checked and converted by its annotation, as pydantic does it.

        What is not annotated passes, and so does a default: it is the author's own. An instance of a model stays the
        same object.

        Raises:
            ParameterTypeError: one or more values are invalid; it names all of them.
            AuthoringError: an annotation cannot be resolved.
        """
        checked = dict(parameters)
        errors: dict[str, str] = {}
        for name, adapter in self._types.adapters(self.owner).items():
            if name not in checked or checked[name] is self._defaults[name]:
                continue
            try:
                checked[name] = adapter.validate_python(checked[name])
            except ValidationError as error:
                errors[name] = _reason(error)
        if errors:
            raise ParameterTypeError(self._complaint(parameters, errors), errors)
        return checked

    def concealed(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that were not checked, as whoever looks at the run sees them: what is given for a secret, in whole
        or in part, is inside of a `pydantic.Secret`."""
        secret = self._types.secret
        return {name: concealed(value) if name in secret else value for name, value in parameters.items()}

    def call_args(self, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments that call the function with these parameters: `bind` undone."""
        bound = inspect.BoundArguments(self.signature, dict(parameters))
        return bound.args, bound.kwargs

    def _complaint(self, parameters: Mapping[str, Any], errors: Mapping[str, str]) -> str:
        secret = self._types.secret
        shown = {name: MASK if name in secret else shorten(parameters[name]) for name in errors}
        lines = [f"  {name}={shown[name]}: {reason}" for name, reason in errors.items()]
        return "\n".join([f"{self.owner} was called with invalid parameters:", *lines])


def _reason(error: ValidationError) -> str:
    """What pydantic has to say, in one line: each fault, after where in the value it is."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, f["loc"])), f["msg"]))) for f in faults)
