"""Futures inside arguments and return values: finding them, and putting what they came to in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actwright.authoring.annotations import allow_failure
from actwright.authoring.futures import Handle
from actwright.exceptions import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["check_upstream", "handles_in", "resolve_arguments", "resolve_returned"]


def handles_in(value: object) -> Iterator[Handle[Any]]:
    """The futures in a value, looking into lists, tuples, sets, dicts and `allow_failure(...)`."""
    left, seen = [value], set[int]()
    while left:
        item = left.pop()
        if isinstance(item, Handle):
            yield item
        elif isinstance(item, allow_failure):
            left.append(item.value)
        elif isinstance(item, list | tuple | set | frozenset | dict) and id(item) not in seen:
            seen.add(id(item))  # a list may hold itself
            left.extend(item.values() if isinstance(item, dict) else item)


def check_upstream(handles: Iterable[object]) -> None:
    """Raise UpstreamFailed for the first future in `wait_for` that did not complete and is not allowed to fail."""
    for item in handles:
        if not isinstance(item, allow_failure):
            for handle in handles_in(item):
                _completed(handle)


def resolve_arguments(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with each future's result in its place, or its exception where that is allowed.

    Raises:
        UpstreamFailed: a future did not complete.
    """
    return {name: _resolved(value, _completed) for name, value in parameters.items()}


def resolve_returned(value: Any) -> Any:
    """What a body returned, with each future's result in its place, or its state where it did not complete.

    A single future stands for its state, so that its run decides how this one ends.
    """
    if isinstance(value, Handle):
        return value.state
    return _resolved(value, lambda handle: handle.state.data if handle.state.is_completed() else handle.state)


def _completed(handle: Handle[Any]) -> Any:
    state = handle.state
    if not state.is_completed():
        kind, name = handle.run.kind, handle.name
        raise UpstreamFailed(
            f"It waits for {kind} run {name!r}, which is {state.name}. Wrap it in allow_failure(...) to go on all the "
            "same.",
            handle.id,
        ) from state.cause
    return state.data


def _resolved(value: Any, of_handle: Callable[[Handle[Any]], Any]) -> Any:
    if isinstance(value, allow_failure):
        return _resolved(value.value, lambda handle: handle.state.result(raise_on_failure=False))
    if isinstance(value, Handle):
        return of_handle(value)
    if next(handles_in(value), None) is None:
        return value  # the very object that was given
    if isinstance(value, dict):
        return {key: _resolved(item, of_handle) for key, item in value.items()}
    items = [_resolved(item, of_handle) for item in value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*items)
    return type(value)(items)
