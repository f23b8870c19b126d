"""Messages between processes: as JSON, with the name of the class that they were made of."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from actwright.exceptions import AuthoringError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

__all__ = ["Letter", "Wanted", "letter_of"]

logger = logging.getLogger("actwright.engine")

_JSON_TYPES = (type(None), bool, int, float, str, list, dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of another process.

    Attributes:
        type_name: the qualified name of its class, without the module: a script's classes are in `__main__` at home.
            None for what JSON itself has: text, numbers, lists, dicts.
        value: JSON.
    """

    type_name: str | None
    value: Any

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
    kind = type(message)
    is_json = kind in _JSON_TYPES
    try:
        adapter: TypeAdapter[Any] = _adapter(kind)
        value = message if is_json else adapter.dump_python(message, mode="json")
        text = json.dumps(value, allow_nan=False)
        came_back = json.loads(text) if is_json else adapter.validate_json(text)
    except Exception as error:  # of pydantic, of json, of the class's own validators
        raise AuthoringError(
            "A message to a run in another process must be JSON, or a dataclass or pydantic model of it; "
            f"{kind.__name__} {message!r} is not: {error}"
        ) from error
    if kind.__eq__ is not object.__eq__ and came_back != message:
        raise AuthoringError(
            f"A message to a run in another process travels as JSON, and {message!r} would not come back the same (a "
            "secret is masked there, and a dict's keys are text). Send what JSON can tell."
        )
    return Letter(None if is_json else kind.__qualname__, json.loads(text))


class Wanted:
    """What a receiver takes: called with a message, gives `(what the receiver gets,)`, or `()` for one that is not
    meant.

    Args:
        type: a class, a union of classes, or whatever else pydantic validates; `object` takes everything.
    """

    def __init__(self, type: Any) -> None:
        self._type = type
        self._refused: set[int] = set()

    def __call__(self, message: object) -> tuple[Any, ...]:
        if isinstance(message, Letter):
            return self._read(message)
        return (message,) if self._is_one(message) else ()

    def _is_one(self, message: object) -> bool:
        if self._type is object or self._type is Any:
            return True
        try:
            return isinstance(message, self._type)
        except TypeError:  # list[int], Literal["a"], ...
            return bool(self._validated(lambda: self._adapter.validate_python(message, strict=True)))

    def _read(self, letter: Letter) -> tuple[Any, ...]:
        if self._type is object or self._type is Any:
            return (letter.value,)
        text = json.dumps(letter.value)
        if letter.type_name is None:
            return self._validated(lambda: self._adapter.validate_json(text, strict=True))
        for kind in get_args(self._type) or (self._type,):
            if getattr(kind, "__qualname__", None) == letter.type_name:
                found = self._validated(lambda kind=kind: _adapter(kind).validate_json(text))
                return found or self._say_misfit(letter)
        return ()

    def _say_misfit(self, letter: Letter) -> tuple[()]:
        if id(letter) not in self._refused:
            self._refused.add(id(letter))
            logger.warning(
                "A message %s came from another process and does not fit that class here, so it stays where it is: %r",
                letter.type_name, letter.value,
            )  # fmt: skip
        return ()

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return _adapter(self._type)

    def _validated(self, validate: Any) -> tuple[Any, ...]:
        from pydantic import ValidationError

        try:
            return (validate(),)
        except ValidationError:
            return ()


def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
