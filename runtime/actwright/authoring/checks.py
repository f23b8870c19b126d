"""Checks that several options share. Each returns the value in its normal form, or says what was expected."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

__all__ = ["misfit", "seconds", "whole_number"]


def misfit(name: str, fn: Callable[..., Any], count: int) -> str | None:
    """What `fn` is, and why it cannot be called with `count` positional arguments; None if it can be."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None  # some built-ins, and mocks of some Pythons, have none to be read; the call itself will tell
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        return f"'{name}{signature}', which cannot be called so: {error}"
    return None


def whole_number(option: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """`value` as an int of at least `least`, and at most `most`. A bool is refused: `retries=True` is a slip."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{option} must be an integer of at least {least}; got {value!r}.")
    if value < least:
        raise ValueError(f"{option} must be an integer of at least {least}; got {value}.")
    if most is not None and value > most:
        raise ValueError(f"{option} must be an integer of at most {most}; got {value}.")
    return value


def seconds(option: str, value: object, *, above_zero: bool = False) -> float:
    """`value` as a finite float of seconds, at least 0, or above 0."""
    expected = "a number above 0" if above_zero else "a number of at least 0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{option} must be {expected}; got {value!r}.")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise ValueError(f"{option} must be {expected}, and finite; got {value!r}.")
    return float(value)
