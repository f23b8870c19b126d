"""What a log line carries besides its words, at rest: `extra=`, and the exception that it tells of. As JSON."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from actwright.models.errors_at_rest import error_at_rest
from actwright.models.values_at_rest import kept_parameters, parameters_at_rest

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["EXCEPTION", "EXTRA_LIMIT_BYTES", "exception_of", "fields_at_rest", "fields_from_rest", "line_title"]

EXCEPTION: Final = "exc_info"
"""The field that tells of an exception. `logging` refuses an `extra` of that name."""

EXTRA_LIMIT_BYTES: Final = 8_192
"""What one line's `extra` may take, as JSON; the largest of what is too much are left out."""

_ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"


def line_title(run_kind: object, run_name: object) -> str:
    """What a line of a run begins with where it is shown as text, before its words: "Flow run 'brave-otter' - "."""
    return f"{str(run_kind).capitalize()} run {run_name!r} - "


def fields_at_rest(extra: object, exc_info: object) -> str | None:
    """What `logging` was given besides the words, as JSON; None when that is nothing.

    Values are kept as parameters of runs are: secrets masked, and a mark in the place of what JSON has no word for.
    Never raises.

    Args:
        extra: names and values; what is no mapping is for `logging` to complain of.
        exc_info: as `logging` takes it: an exception, what `sys.exc_info` gave, or whether to ask that.
    """
    if extra is None and not exc_info:  # as of most lines
        return None
    named: dict[str, Any] = {}
    if isinstance(extra, Mapping):
        given = dict(cast("Mapping[object, Any]", extra).items())
        named = {name: value for name, value in given.items() if isinstance(name, str) and name != EXCEPTION}
    error = _told(exc_info)
    if not named and error is None:
        return None
    kept = parameters_at_rest(named, EXTRA_LIMIT_BYTES, of="the fields of a log line")
    if error is None:
        return kept
    told = error_at_rest(error[1], lambda _: "".join(traceback.format_exception(*error)))
    return f'{kept[:-1]}{"," if named else ""}"{EXCEPTION}":{told}}}'


def fields_from_rest(text: str | None) -> dict[str, Any]:
    """The JSON of `fields_at_rest`: values, and marks in the place of what was not kept; empty when there are none.

    Never raises: what cannot be read is marked too.
    """
    return {} if text is None else kept_parameters(text)


def exception_of(fields: Mapping[str, Any]) -> str | None:
    """The traceback that a line came with, as Python prints it; None where it told of no exception."""
    told = fields.get(EXCEPTION)
    if not isinstance(told, dict):
        return None
    found = cast("dict[str, Any]", told).get("traceback")
    return found if isinstance(found, str) else None


def _told(exc_info: object) -> _ExcInfo | None:
    if not exc_info:
        return None
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    given = cast("tuple[object, ...]", exc_info) if isinstance(exc_info, tuple) else sys.exc_info()
    is_told = len(given) == 3 and isinstance(given[1], BaseException)
    return cast("_ExcInfo", given) if is_told else None
