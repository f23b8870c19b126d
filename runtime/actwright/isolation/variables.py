"""Context variables on their way to another process: which of them a body can see there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from actwright.isolation.messages import Variables

__all__ = ["path_of", "portable", "set_in"]

_OF_THE_LOOP: Final = frozenset({"actwright", "actwright_actors", "anyio", "asyncio", "sniffio", "trio", "uvloop"})
"""Whose variables tell of a place in this process, and mean nothing in another one; but for the tags of runs, and the
`concurrency` blocks around them."""

_OF_THE_CALLER: Final = frozenset({"actwright.authoring.concurrency", "actwright.authoring.tags"})


def path_of(variable: ContextVar[Any]) -> tuple[str, str] | None:
    """The module and name by which a variable is found, or None: that of a function's own, or of a library's in C."""
    found = _paths.get(id(variable))
    if found is not None and _at(found) is variable:
        return found
    _look_around()
    return _paths.get(id(variable))


_paths: dict[int, tuple[str, str]] = {}
_seen: set[str] = set()


def _at(path: tuple[str, str]) -> object:
    return getattr(sys.modules.get(path[0]), path[1], None)


def _look_around() -> None:
    """Look at the modules that are new; and at the script, where names may come and go."""
    new = [name for name in list(sys.modules) if name not in _seen and name != "__main__"]
    for name in (*new, "__main__"):  # last: what a script has imported is found where it comes from
        for attribute, value in list(getattr(sys.modules.get(name), "__dict__", {}).items()):
            key = id(cast(object, value))
            if isinstance(value, ContextVar) and _at(_paths.get(key, ("", ""))) is not value:
                _paths[key] = name, attribute
    _seen.update(new)


def portable(context: Iterable[tuple[ContextVar[Any], Any]], can: Callable[[object], bool]) -> Variables:
    """Those of these variables that go along: which can be found again, and whose value can be pickled.

    Args:
        context: variables and what each is set to.
        can: whether a value can be pickled.
    """
    return [(variable, value) for variable, value in context if _goes_along(variable) and can(value)]


def _goes_along(variable: ContextVar[Any]) -> bool:
    path = path_of(variable)
    return path is not None and (path[0] in _OF_THE_CALLER or path[0].partition(".")[0] not in _OF_THE_LOOP)


def set_in(context: Context, variables: Variables) -> None:
    """Set variables in a context."""
    for variable, value in variables:
        context.run(variable.set, value)
