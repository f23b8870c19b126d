"""Which types hold a secret, and hiding what is given for one until pydantic has made that secret of it."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, cast

from pydantic import BaseModel, Secret

from actwright.models.marks import SECRETS

__all__ = ["concealed", "holds_secret"]


def holds_secret(hint: Any) -> bool:
    """Whether a value of that type may hold one of pydantic's secrets, at whatever depth."""
    left: list[Any] = [hint]
    seen: dict[int, Any] = {}
    while left:
        one = left.pop()
        if isinstance(one, type) and issubclass(cast("type[Any]", one), SECRETS):
            return True
        if id(one) not in seen:
            seen[id(one)] = one  # a model may hold itself
            left.extend(_parts(one))
    return False


def concealed(value: object) -> object:
    """What was given for a secret, so that nothing shows it and history masks it; `get_secret_value()` gives it."""
    return value if value is None or _is_secret(value) else Secret(value)


def _is_secret(value: object) -> bool:
    return isinstance(value, SECRETS)


def _parts(hint: Any) -> Iterator[Any]:
    """The types that a type is made of."""
    origin = typing.get_origin(hint)
    if origin is not None:
        yield origin
        yield from typing.get_args(hint)
    for name in ("__supertype__", "__value__", "__bound__"):  # a NewType's, an alias's, a type variable's
        if (part := getattr(hint, name, None)) is not None:
            yield part
    if isinstance(hint, type):
        yield from _fields(cast("type[Any]", hint))


def _fields(cls: type[Any]) -> Iterator[Any]:
    if issubclass(cls, BaseModel):
        yield from (field.annotation for field in cls.model_fields.values())
    elif is_dataclass(cls) or typing.is_typeddict(cls) or hasattr(cls, "_fields"):
        yield from typing.get_type_hints(cls, include_extras=True).values()
