"""What stands at rest in the place of what JSON has no word for, and of what must not be shown."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final, cast

from pydantic import Secret, SecretBytes, SecretStr

__all__ = ["MASK", "SECRETS", "SIGN", "finite", "missing", "unmistakable", "with_finite_numbers"]

SIGN: Final = "$actwright"
"""The one key of an object that is a mark."""

MASK: Final = "**********"  # pydantic's own; of an empty secret too

SECRETS: Final = (SecretStr, SecretBytes, Secret)


def missing(why: str) -> dict[str, Any]:
    """In the place of a value that was not kept."""
    return {SIGN: "missing", "why": why}


def finite(number: float) -> float | dict[str, Any]:
    """A number, or its mark where JSON has none for it."""
    plain = float.__float__(number)
    return plain if isfinite(plain) else {SIGN: "float", "is": float.__repr__(plain)}


def unmistakable(made: dict[str, Any]) -> dict[str, Any]:
    """An object of a user's, which may have that very key."""
    return {SIGN: "dict", "is": made} if SIGN in made else made


def with_finite_numbers(document: Any) -> Any:
    """JSON values, with a mark in the place of each number that JSON has none for."""
    if isinstance(document, float):
        return finite(document)
    if isinstance(document, list):
        return [with_finite_numbers(item) for item in cast("list[Any]", document)]
    if isinstance(document, dict):
        return {key: with_finite_numbers(item) for key, item in cast("dict[str, Any]", document).items()}
    return document
