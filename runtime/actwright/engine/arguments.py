"""Futures inside arguments and return values: finding them, and putting what they came to in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from actwright.authoring.annotations import allow_failure
from actwright.authoring.futures import Handle
from actwright.exceptions import UpstreamFailed
from actwright.models.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

__all__ = ["check_upstream", "handles_in", "resolve_arguments", "resolve_returned"]


_HOLDERS: Final = (list, tuple, set, frozenset, dict, Handle, allow_failure)


def handles_in(value: object) -> Iterator[Handle[Any]]:
    """The futures in a value, looking into lists, tuples, sets, dicts and `allow_failure(...)`."""
    if not _may_hold(value):
        return
    for item in _leaves(value):
        if isinstance(item, Handle):
            yield cast("Handle[Any]", item)
        elif isinstance(item, allow_failure):
            yield from handles_in(cast("allow_failure[object]", item).value)


def check_upstream(wait_for: Iterable[object]) -> None:
    """Raise UpstreamFailed for the first future or state that did not complete and is not allowed to fail.

    Whatever else there is in `wait_for`, the result of a run that was called, say, is there already.
    """
    for item in _leaves(wait_for):
        if isinstance(item, Handle):
            _completed(cast("Handle[Any]", item))
        elif isinstance(item, State) and not item.is_completed():
            raise _upstream_failed("a run", cast("State[Any]", item))


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
        raise _upstream_failed(f"{handle.run.kind} run {handle.name!r}", state, handle.id)
    return state.data


def _upstream_failed(title: str, state: State[Any], run_id: UUID | None = None) -> UpstreamFailed:
    error = UpstreamFailed(
        f"It waits for {title}, which is {state.name}. Wrap it in allow_failure(...) to go on all the same.", run_id
    )
    error.__cause__ = state.cause
    return error


def _may_hold(value: object) -> bool:
    return isinstance(value, _HOLDERS)


def _leaves(value: object) -> Iterator[object]:
    """What lists, tuples, sets and dicts hold at any depth, in order."""
    left, seen = [value], set[int]()
    while left:
        item = left.pop()
        if not isinstance(item, list | tuple | set | frozenset | dict):
            yield item
        elif id(cast(object, item)) not in seen:
            seen.add(id(cast(object, item)))  # a list may hold itself
            left.extend(reversed([*_held_by(cast(object, item))]))


def _resolved(value: Any, of_handle: Callable[[Handle[Any]], Any]) -> Any:
    if not _may_hold(value):
        return value
    if isinstance(value, allow_failure):
        allowed = cast("allow_failure[Any]", value)
        return _resolved(allowed.value, lambda handle: handle.state.result(raise_on_failure=False))
    if isinstance(value, Handle):
        return of_handle(cast("Handle[Any]", value))
    if next(handles_in(value), None) is None:
        return value  # the very object that was given
    if isinstance(value, dict):
        mapping = cast("dict[Any, Any]", value)
        return {key: _resolved(item, of_handle) for key, item in mapping.items()}
    items = [_resolved(item, of_handle) for item in _held_by(value)]
    kind = cast("Callable[..., Any]", type(value))
    return kind(*items) if hasattr(kind, "_fields") else kind(items)  # a named tuple takes its items one by one


def _held_by(collection: object) -> Iterable[Any]:
    if isinstance(collection, dict):
        return cast("dict[Any, Any]", collection).values()
    return cast("Iterable[Any]", collection)
