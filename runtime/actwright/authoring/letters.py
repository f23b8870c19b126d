"""Messages between processes: as JSON, with the name of the class that they were made of."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic_core import from_json

from actwright.exceptions import AuthoringError
from actwright.models.shortening import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import TypeAdapter

__all__ = ["Letter", "Wanted", "letter_of"]

logger = logging.getLogger("actwright.engine")

_JSON_TYPES = (type(None), bool, int, float, str, list, dict)


@dataclass(slots=True)
class Letter:
    """A message of another process.

    Attributes:
        type_name: the qualified name of its class, without the module: a script's classes are in `__main__` at home.
            None for what JSON itself has: text, numbers, lists, dicts.
        value: JSON.
        is_told_of: that it does not fit the class of its name here has been said.
    """

    type_name: str | None
    value: Any
    is_told_of: bool = field(default=False, compare=False)

    def to_payload(self) -> dict[str, Any]:
        """As a command keeps it."""
        return {"type": self.type_name, "value": self.value}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Letter:
        return cls(payload["type"], payload["value"])


def letter_of(message: object) -> Letter:
    """A message for another process.

    Raises:
        AuthoringError: it cannot be made JSON, or would come back from it as something else (a secret is masked).
    """
    kind: Any = type(message)
    is_json = kind in _JSON_TYPES
    try:
        adapter = _cached_adapter(kind)
        value = _through_the_journal(message if is_json else adapter.dump_python(message, mode="json"))
        came_back = value if is_json else adapter.validate_json(json.dumps(value))
    except Exception as error:  # of pydantic, of json, of the class's own validators
        raise AuthoringError(
            "A message to a run in another process must be JSON, or a dataclass or pydantic model of it; "
            f"{kind.__name__} {shorten(message)} is not: {error}"
        ) from error
    if kind.__eq__ is not object.__eq__ and came_back != message:
        raise AuthoringError(
            f"A message to a run in another process travels as JSON, and {shorten(message)} would not come back the "
            "same (a secret is masked there, and a dict's keys are text). Send what JSON can tell."
        )
    return Letter(None if is_json else kind.__qualname__, value)


class Wanted:
    """What a receiver takes: called with a message, gives `(what the receiver gets,)`, or `()` for one that is not
    meant. What others have sent makes it raise nothing.

    Args:
        type: a class, a union of classes, or whatever else pydantic validates; `object` takes everything.

    Raises:
        TypeError: `type` is nothing of these.
    """

    def __init__(self, type: Any) -> None:
        self._type = type
        self._is_everything = type is object or type is Any
        self._is_class = _is_class(type)
        if not (self._is_everything or self._is_class or _adapter_of(type)):
            raise TypeError(
                "receive: expected a class, a union of classes, or a type that pydantic validates; "
                f"got {shorten(type)}."
            )

    def __call__(self, message: object) -> tuple[Any, ...]:
        if isinstance(message, Letter):
            return self._read(message)
        if self._is_everything:
            return (message,)
        if self._is_class:
            return (message,) if isinstance(message, self._type) else ()
        adapter = _adapter_of(self._type)
        return () if adapter is None else _validated(lambda: adapter.validate_python(message, strict=True))

    def _read(self, letter: Letter) -> tuple[Any, ...]:
        if self._is_everything:
            return (letter.value,)
        if letter.type_name is None:  # the whole of a union may have a class that only this process can send
            return _first(_from_json(kind, letter.value, strict=True) for kind in (self._type, *_members(self._type)))
        for kind in _members(self._type):
            if letter.type_name in _names(kind):
                return _from_json(kind, letter.value) or _say_misfit(letter)
        return ()


def _is_class(kind: Any) -> bool:
    """Whether `isinstance` takes it: a class or a union of classes, and not list[int]."""
    try:
        isinstance(None, kind)
    except TypeError:
        return False
    return not isinstance(kind, tuple)


def _say_misfit(letter: Letter) -> tuple[()]:
    if not letter.is_told_of:
        letter.is_told_of = True
        logger.warning(
            "A message %s came from another process and does not fit that class here, so it stays where it is: %s",
            letter.type_name, shorten(letter.value),
        )  # fmt: skip
    return ()


def _from_json(kind: Any, value: Any, *, strict: bool | None = None) -> tuple[Any, ...]:
    adapter = _adapter_of(kind)
    return () if adapter is None else _validated(lambda: adapter.validate_json(json.dumps(value), strict=strict))


def _validated(validate: Callable[[], Any]) -> tuple[Any, ...]:
    try:
        return (validate(),)
    except Exception:  # pydantic's, or whatever a validator of users' raises
        return ()


def _first(found: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return next(filter(None, found), ())


def _members(kind: Any) -> tuple[Any, ...]:
    """Of a union its members, of whatever else itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _names(kind: Any) -> set[str | None]:
    """The classes whose instances may fit it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return set[str | None]().union(*map(_names, _members(arguments[0])))
    return {getattr(origin or kind, "__qualname__", None)}


def _through_the_journal(value: Any) -> Any:
    """What comes out there, where it is read one level deeper. Not all that Python writes as JSON can be read: half a
    surrogate pair cannot, nor lists in lists in lists without end."""
    return from_json(json.dumps([value], allow_nan=False))[0]


def _adapter_of(kind: Any) -> TypeAdapter[Any] | None:
    """None where pydantic knows nothing of such values."""
    try:
        return _cached_adapter(kind)
    except Exception:  # pydantic's many; of a kind that cannot be hashed; of what users' classes do when asked
        return None


@lru_cache(maxsize=256)
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    adapter = TypeAdapter[Any](kind)
    if not adapter.pydantic_complete:
        raise TypeError(f"{kind!r} names something that is not defined where it stands.")
    return adapter
