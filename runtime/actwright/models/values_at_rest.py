"""Users' values at rest: as JSON, whatever they are.

History keeps what can be kept. In place of each value that cannot, at whatever depth, stands a mark with the reason,
which is read back as a `MissingResult`. Secrets are masked; an iterator is never read, since that would use it up.

What JSON has no word for is an object with the one key `$actwright` and what belongs to it: a value that is missing, a
number that is not finite, and a dict of the user's that has that very key.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import to_json, to_jsonable_python

from actwright.exceptions import MissingResult
from actwright.models.marks import MASK, SECRETS, SIGN, finite, missing, unmistakable
from actwright.models.outcomes import described

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "UNREADABLE", "kept_parameters", "kept_result", "parameters_at_rest", "parameters_from_rest", "result_at_rest",
    "result_from_rest", "tags_from_rest", "why_not_kept",
]  # fmt: skip

UNREADABLE: Final = "(unreadable)"
_DEEPEST: Final = 100
_MOST_BITS: Final = 14_000
"""Of an integer. Python reads no more than 4300 digits, since it reads them in quadratic time."""

_CONSTANTS = frozenset({str, bool, type(None)})
_LISTS = (list, tuple, set, frozenset, deque)


def parameters_at_rest(parameters: Mapping[str, Any], limit_bytes: int, *, of: str = "the parameters of a run") -> str:
    """Parameters as JSON; where they are too large, the largest are left out until the rest fits.

    Never raises, whatever the values do, and never holds more than about `limit_bytes` of each.

    Args:
        parameters: name -> value.
        limit_bytes: the most that all of them may take.
        of: what they are, for the mark in the place of what is too large.
    """
    if not parameters:
        return "{}"
    if all(map(_is_plain, parameters.values())):
        try:
            plain = to_json(parameters)
        except ValueError:  # half a surrogate pair, which UTF-8 cannot write, and JSON can
            pass
        else:
            if len(plain) <= limit_bytes:
                return plain.decode()
    too_large = json.dumps(missing(f"it is too large: {of} may take {limit_bytes} bytes in all"))
    texts = {name: _text(value, limit_bytes, too_large) for name, value in parameters.items()}
    _drop_the_largest(texts, limit_bytes, too_large)
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in texts.items())}}}"


def kept_parameters(text: str) -> dict[str, Any]:
    """The JSON of `parameters_at_rest`: values, and a mark in place of each one that was not kept.

    Never raises: what cannot be read now is marked too, and where no name can be told, `(unreadable)` says so.
    """
    try:
        return _parsed(text)[0]
    except Exception as error:  # RecursionError too, of what is nested too deep
        return {UNREADABLE: missing(f"the parameters cannot be read from history: {_said(error)}")}


def parameters_from_rest(text: str) -> dict[str, Any]:
    """The same with a MissingResult for each mark. Never raises either."""
    try:
        kept, has_marks = _parsed(text)
        if not has_marks:
            return kept
        return {name: _restored(value, f"Parameter '{name}'", "") for name, value in kept.items()}
    except Exception as error:
        return {UNREADABLE: MissingResult(f"The parameters cannot be read from history: {_said(error)}.")}


def why_not_kept(value: Any) -> str | None:
    """Why a value, as history has it, is not the one that the run got; None if it is."""
    left: list[Any] = [value]
    while left:
        each = left.pop()
        if each == MASK:
            return "it is a secret, which history masks"
        if isinstance(each, list):
            left += cast("list[Any]", each)
        elif isinstance(each, dict):
            mapping = cast("dict[str, Any]", each)
            if mapping.get(SIGN) == "missing":
                return str(mapping["why"])
            left += mapping.values()
    return None


def tags_from_rest(text: str) -> list[str]:
    """Tags from their JSON; where it cannot be read, the one tag `(unreadable)` says so. Never raises."""
    try:
        kept = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        kept = None
    is_readable = isinstance(kept, list) and all(isinstance(tag, str) for tag in cast("list[object]", kept))
    return cast("list[str]", kept) if is_readable else [UNREADABLE]


def result_at_rest(value: object, returns: TypeAdapter[Any] | None = None) -> str:
    """What a body returned, as JSON through pydantic, or why that cannot be. Never raises.

    What is kept can be read: pydantic writes integers that are longer than Python reads, say.

    Args:
        value: the result.
        returns: of the function's return annotation; None takes the value as it is.
    """
    try:
        if isinstance(value, Iterator):
            return _result_missing("it is an iterator, which reading would use up")
        text = to_json(value) if returns is None else returns.dump_json(value, warnings=False)
        written = f'{{"value":{text.decode()}}}'
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the serializers of a user's type raise
        return _result_missing(f"it cannot be written as JSON: {_said(error)}")
    why = kept_result(written).get("missing")
    return written if why is None else _result_missing(why)


def kept_result(text: str) -> dict[str, Any]:
    """The JSON of `result_at_rest`, which is `{"value": ...}`, or `{"missing": why}`; that also where it cannot be
    read. Never raises."""
    try:
        kept = json.loads(text)
        return cast("dict[str, Any]", kept if "missing" in kept else {"value": kept["value"]})
    except Exception as error:  # RecursionError too, of what is nested too deep
        return {"missing": f"it cannot be read back from JSON: {_said(error)}"}


def result_from_rest(text: str, returns: TypeAdapter[Any] | None = None) -> Any:
    """What `result_at_rest` kept: a value of the annotated type, else the JSON value, else a MissingResult.

    Never raises: a result that cannot be read is a MissingResult too.

    Args:
        text: what was kept.
        returns: as for `result_at_rest`.
    """
    kept = kept_result(text)
    if "missing" in kept:
        return MissingResult(f"The run completed, and its result was not kept: {kept['missing']}.")
    if returns is None:
        return kept["value"]
    try:
        return returns.validate_json(json.dumps(kept["value"]))
    except Exception:  # nobody checks what a body returns: an annotation may say what is not so
        return kept["value"]


def _parsed(text: str) -> tuple[dict[str, Any], bool]:
    """Parameters as JSON, and whether there may be marks among them."""
    try:
        kept, has_marks = json.loads(text), SIGN in text
    except ValueError:
        kept, has_marks = json.loads(text, parse_int=_int_or_missing), True
    return dict(cast("dict[str, Any]", kept).items()), has_marks


def _int_or_missing(digits: str) -> Any:
    try:
        return int(digits)
    except ValueError:  # this process reads fewer digits than the one that wrote them: that is a setting of Python's
        return missing(f"it is a number of {len(digits.lstrip('-'))} digits, which Python does not read here")


def _result_missing(why: str) -> str:
    return json.dumps({"missing": why})


def _is_plain(value: object) -> bool:
    """Whether `value` is one that JSON has as it is. By exact type: a subclass may bring code of its own."""
    kind = type(value)
    if kind in _CONSTANTS:
        return True
    if kind is int:
        return cast(int, value).bit_length() < _MOST_BITS
    return kind is float and isfinite(cast(float, value))


def _text(value: object, limit_bytes: int, too_large: str) -> str:
    try:
        tree = _Walk(limit_bytes).kept(value)
    except _TooLarge:
        return too_large
    return json.dumps(tree, separators=(",", ":"))


def _drop_the_largest(texts: dict[str, str], limit_bytes: int, too_large: str) -> None:
    total = sum(len(name) + len(text) + 4 for name, text in texts.items())
    for name in sorted(texts, key=lambda name: len(texts[name]), reverse=True):
        if total <= limit_bytes:
            return
        if len(too_large) < len(texts[name]):
            total -= len(texts[name]) - len(too_large)
            texts[name] = too_large


def _said(error: BaseException) -> str:
    return " ".join(described(error)[:300].split())


def _restored(value: Any, whose: str, where: str) -> Any:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_restored(item, whose, f"{where}[{place}]") for place, item in enumerate(items)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    match mapping.get(SIGN):
        case "missing":
            at = f", at {where}," if where else ""
            return MissingResult(f"{whose}{at} was not kept in history: {mapping['why']}.")
        case "float":
            return float(mapping["is"])
        case "dict":
            mapping = mapping["is"]
        case _:
            pass
    return {key: _restored(item, whose, f"{where}[{key!r}]") for key, item in mapping.items()}


class _TooLarge(Exception):
    """More than the limit has been kept of one value: it need not be read to its end."""


class _Walk:
    """One walk through one value, from the outside in."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._around: set[int] = set()

    def kept(self, value: object) -> Any:
        """`value` as what `json.dumps` takes.

        Raises:
            _TooLarge: there is more of it than the limit.
        """
        try:
            return self._kept(value)
        except (_TooLarge, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever a user's property, serializer or `items` raises: SystemExit too
            return missing(f"reading it raised {_said(error)}")

    def _kept(self, value: object) -> Any:
        if isinstance(value, str):
            self._spend(str.__len__(value))
            return str.__str__(value)
        self._spend(2)
        if _is_plain(value):
            return value
        if isinstance(value, SECRETS):
            return MASK
        if isinstance(value, Iterator):
            return missing("it is an iterator, which reading would use up")
        if id(value) in self._around:
            return missing("it holds itself")
        if len(self._around) >= _DEEPEST:
            return missing(f"it is nested more than {_DEEPEST} deep")
        self._around.add(id(value))
        try:
            return self._taken_apart(value)
        finally:
            self._around.discard(id(value))

    def _taken_apart(self, value: object) -> Any:
        serializer = getattr(type(value), "__pydantic_serializer__", None)
        if serializer is not None:
            # Not in mode "json", which reads iterators to their end; what is inside comes here next.
            return self.kept(serializer.to_python(value, warnings=False))
        if isinstance(value, Enum):
            return self.kept(value.value)
        if is_dataclass(value):
            return self._object([(field.name, getattr(value, field.name)) for field in fields(value)])
        if isinstance(value, (dict, *_LISTS)) and len(cast("Sized", value)) > self._left:
            raise _TooLarge  # before any of it is copied
        if isinstance(value, dict):
            return self._object(list(cast("dict[Any, Any]", value).items()))
        if isinstance(value, _LISTS):
            return [self.kept(item) for item in cast("Iterable[object]", value)]
        return self._leaf(value)

    def _object(self, items: list[tuple[Any, Any]]) -> dict[str, Any]:
        made = {self._key(key): self.kept(value) for key, value in items}
        if len(made) < len(items):
            return missing("two of its keys are the same in JSON")
        return unmistakable(made)

    def _key(self, key: object) -> str:
        kept = self.kept(key)
        return kept if isinstance(kept, str) else json.dumps(kept)

    def _leaf(self, value: object) -> Any:
        """What is one thing to JSON: a number that is not plain, a time, an id, a path, bytes that are text."""
        if isinstance(value, float):
            return finite(value)
        if isinstance(value, int):
            plain = int.__int__(value)
            return plain if _is_plain(plain) else missing(f"it is a number of {plain.bit_length()} bits")
        if isinstance(value, bytes | bytearray):
            self._spend(len(value))
        try:
            return self.kept(to_jsonable_python(value))
        except ValueError as error:  # PydanticSerializationError is one
            if isinstance(value, bytes | bytearray):
                return missing("it is bytes that are no text")
            unknown = f"{type(value).__qualname__} cannot be written as JSON"
            return missing(unknown if "unknown type" in str(error) else f"{unknown}: {_said(error)}")

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _TooLarge
