"""`Variable`: small named JSON values that outlive a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from actwright.authoring.entry import engine
from actwright.exceptions import AuthoringError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

__all__ = ["Variable"]

_MISSING = object()


class Variable:
    """A named JSON value. `Variable.get("x").value` in sync code; `(await Variable.get("x")).value` in async code.

    Both spellings work in both: a variable is there when `get` or `set` returns, and awaiting it gives itself. In this
    version variables are kept with the history: in memory, shared by all runs of one Runtime, gone with its process.

    Attributes:
        name: what it is called.
        value: what it is set to.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    @classmethod
    def get(cls, name: str, default: Any = _MISSING) -> Self:
        """The variable of that name, or one with the default as its value.

        Raises:
            KeyError: there is none, and no default was given.
        """
        try:
            return cls(name, engine().variables().variable(name))
        except KeyError:
            if default is not _MISSING:
                return cls(name, default)
            raise KeyError(
                f"There is no variable {name!r}. Set it with Variable.set({name!r}, ...), or give get() a default."
            ) from None

    @classmethod
    def set(cls, name: str, value: Any, overwrite: bool = False) -> Self:
        """Set a variable.

        Raises:
            ValueError: there is one of that name, and `overwrite` is false.
            AuthoringError: the value is not JSON.
        """
        try:
            copy = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise AuthoringError(
                f"Variable {name!r} must be JSON (str, number, bool, None, list, dict): {error}"
            ) from error
        try:
            engine().variables().set_variable(name, copy, overwrite=overwrite)
        except FileExistsError:
            raise ValueError(f"There is a variable {name!r} already. Use overwrite=True to replace it.") from None
        return cls(name, copy)

    @classmethod
    def unset(cls, name: str) -> bool:
        """Forget a variable; whether there was one."""
        return engine().variables().unset_variable(name)

    def __await__(self) -> Generator[Any, Any, Self]:
        return self
        yield  # what makes this a generator: awaiting a variable never waits

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {self.value!r})"
