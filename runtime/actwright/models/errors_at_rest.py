"""Exceptions at rest: their type, what they said and where, as JSON. What is read back is a `RecordedError`."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Final

from actwright.exceptions import RecordedError
from actwright.models.outcomes import described

__all__ = ["error_at_rest", "error_from_rest", "whole_traceback"]

_LONGEST_MESSAGE: Final = 8_000
_LONGEST_TRACEBACK: Final = 32_000


def whole_traceback(error: BaseException) -> str:
    """The traceback as Python prints it."""
    return "".join(traceback.format_exception(error))


def error_at_rest(error: BaseException, traceback_of: Callable[[BaseException], str] = whole_traceback) -> str:
    """An exception as JSON. Never raises: what it says of itself may be an author's own code.

    Args:
        error: the exception. A RecordedError stays what it was recorded as.
        traceback_of: gives its traceback as text; of a long one the middle is left out.
    """
    if isinstance(error, RecordedError):
        kept = error.type_name, error.message, error.traceback
    else:
        kept = _type_name(type(error)), _said(str, error), _said(traceback_of, error)
    type_name, message, text = kept
    return json.dumps(
        {
            "type": type_name,
            "message": _shortened(message, _LONGEST_MESSAGE),
            "traceback": _shortened(text, _LONGEST_TRACEBACK),
        }
    )


def error_from_rest(text: str) -> RecordedError:
    """What `error_at_rest` kept. Never raises: of one that cannot be read, that is what is said."""
    try:
        kept = json.loads(text)
        return RecordedError(kept["type"], kept["message"], kept["traceback"])
    except Exception as error:
        return RecordedError("unknown", f"It cannot be read from history: {described(error)}")


def _type_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _said(teller: Callable[[BaseException], str], error: BaseException) -> str:
    try:
        return str(teller(error))
    except KeyboardInterrupt:
        raise
    except BaseException as broken:
        return f"<telling it raised {type(broken).__name__}>"


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters are left out ...\n{text[-half:]}"
