"""`my_task.map(...)` as data: which arguments are mapped over, and the calls that they come to."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from actwright.authoring.annotations import allow_failure, unmapped
from actwright.authoring.entry import waited_for
from actwright.exceptions import MappingLengthMismatch, MappingMissingIterable

if TYPE_CHECKING:
    from actwright.authoring.entry import Call
    from actwright.authoring.runnable import Runnable

__all__ = ["calls_of_map"]

_WHOLE = (str, bytes, bytearray, Mapping, BaseModel)
"""Iterable, and yet one value to whoever calls `map`."""


def calls_of_map(subject: Runnable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Call]:
    """One call for each item of the arguments that are iterable, item by item; the others go whole to each call.

    All calls are bound before the first one is given back, so that a wrong argument starts nothing.

    Raises:
        MappingMissingIterable: there is nothing to map over.
        MappingLengthMismatch: iterables of different lengths.
        ParameterBindError: the arguments do not fit the signature.
    """
    own = {name: value for name, value in kwargs.items() if name != "wait_for"}
    given = dict[int | str, Any](enumerate(args)) | own
    columns = {key: items for key, value in given.items() if (items := _items(value)) is not None}
    whole = {key: _without_unmapped(value) for key, value in given.items() if key not in columns}
    wait_for = {"wait_for": waited_for(kwargs["wait_for"])} if "wait_for" in kwargs else {}  # a generator is read once

    calls: list[Call] = []
    for index in range(_common_length(subject, columns)):
        row = whole | {key: items[index] for key, items in columns.items()}
        positional = tuple(row[position] for position in range(len(args)))
        calls.append(subject.prepare(positional, {name: row[name] for name in own} | wait_for))
    return calls


def _items(value: object) -> list[Any] | None:
    """What to map over, or None for an argument that goes whole. `allow_failure` around all goes around each."""
    if isinstance(value, allow_failure):
        items = _items(cast("allow_failure[object]", value).value)
        return None if items is None else [allow_failure(item) for item in items]
    if isinstance(value, _WHOLE) or not isinstance(value, Iterable):
        return None
    return list(cast("Iterable[object]", value))


def _without_unmapped(value: object) -> Any:
    return cast("unmapped[object]", value).value if isinstance(value, unmapped) else value


def _common_length(subject: Runnable[..., Any], columns: Mapping[int | str, list[Any]]) -> int:
    lengths = {_label(subject, key): len(items) for key, items in columns.items()}
    if not lengths:
        raise MappingMissingIterable(
            f"'{subject.name}'.map() was given nothing to map over. Give it a list or another iterable, or call "
            "submit(). (Strings, dictionaries and what is in unmapped(...) go whole to each call.)"
        )
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{label}: {length}" for label, length in lengths.items())
        raise MappingLengthMismatch(
            f"'{subject.name}'.map() needs iterables of one length; got {found}. Wrap what should go whole to each "
            "call in unmapped(...)."
        )
    return next(iter(lengths.values()))


def _label(subject: Runnable[..., Any], key: int | str) -> str:
    """An argument as its author calls it."""
    if isinstance(key, str):
        return key
    parameters = list(subject.parameters.signature.parameters.values())
    if key < len(parameters) and parameters[key].kind is not inspect.Parameter.VAR_POSITIONAL:
        return parameters[key].name
    return f"argument {key + 1}"
