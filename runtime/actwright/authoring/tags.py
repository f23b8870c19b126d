"""Tags: words that group runs. `with tags("nightly"):` gives them to every run that is called inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from actwright.authoring.hooks import is_async

__all__ = ["current_tags", "normalise_tags", "tags"]

P = ParamSpec("P")
R = TypeVar("R")

_current: ContextVar[frozenset[str]] = ContextVar("actwright_tags", default=frozenset())


def current_tags() -> frozenset[str]:
    """The tags of all `tags(...)` blocks around the caller."""
    return _current.get()


def normalise_tags(option: str, value: object) -> frozenset[str]:
    """`value` as a set of tags.

    Raises:
        TypeError: not an iterable of strings. One string is refused too: it would become its letters.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{option} must be a list of strings; got {value!r}.")
    found = list(cast("Iterable[object]", value))
    for item in found:
        if not isinstance(item, str):
            raise TypeError(f"{option} must be a list of strings; got {item!r} in it.")
    return frozenset(cast("list[str]", found))


class tags:
    """`with tags("nightly", "eu"):` or `@tags("nightly")`: runs called inside have these tags as well.

    Works in sync and async code and above sync and async functions. Blocks add up. What a block encloses is told by
    context variables, so that tasks of an event loop do not see each other's tags; submitted runs keep those of the
    place where they were submitted.

    Raises:
        TypeError: a tag that is not a string.
    """

    def __init__(self, *names: str) -> None:
        self._names = normalise_tags("tags", names)
        self._tokens: list[Token[frozenset[str]]] = []

    def __enter__(self) -> frozenset[str]:
        """Give the tags that hold inside."""
        union = _current.get() | self._names
        self._tokens.append(_current.set(union))
        return union

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _current.reset(self._tokens.pop())

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        # A block of its own for each call: calls of one function may overlap, in threads or tasks.
        if is_async(fn):
            awaited = cast("Callable[P, Any]", fn)

            @functools.wraps(fn)
            async def tagged_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with tags(*self._names):
                    return await awaited(*args, **kwargs)

            return cast("Callable[P, R]", tagged_async)

        @functools.wraps(fn)
        def tagged(*args: P.args, **kwargs: P.kwargs) -> R:
            with tags(*self._names):
                return fn(*args, **kwargs)

        return tagged
