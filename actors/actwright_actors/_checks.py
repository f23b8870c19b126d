"""Whether an argument is one that can be: asked where it is given, since later nobody knows who gave it."""

from __future__ import annotations

from typing import Any, get_args

from actwright_actors.actor import Actor

__all__ = ["require_actor", "require_at_least", "require_choice"]


def require_choice(what: str, value: object, choices: Any) -> None:
    """Raise ValueError, which names the choices, unless `value` is one of the Literal `choices`."""
    if value not in get_args(choices):
        raise ValueError(f"{what} is one of {', '.join(map(repr, get_args(choices)))}; got {value!r}.")


def require_at_least(what: str, value: float, least: float) -> None:
    """Raise ValueError unless `value` is a number, and not below `least`."""
    if not value >= least:  # neither is NaN
        raise ValueError(f"{what} is a number of at least {least:g}; got {value!r}.")


def require_actor(what: str, value: object) -> None:
    """Raise TypeError unless `value` is an Actor object: a class, above all, is none."""
    if not isinstance(value, Actor):
        raise TypeError(f"{what} takes an Actor object, such as spawn(Counter()); got {value!r}.")
