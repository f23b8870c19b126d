"""Flows and tasks alike: made, started and brought to their end by the same three calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actwright import Handle, Runtime, State, flow, run_flow, task, wait

__all__ = ["bodies", "ends_in", "final_state", "kinds", "made", "raising", "started"]

kinds = pytest.mark.parametrize("kind", ["flow", "task"])
bodies = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def made(kind: str, fn: Callable[..., Any], **options: Any) -> Any:
    """A flow or a task of `fn`."""
    decorate: Any = flow if kind == "flow" else task
    return decorate(fn, **options)


def started(within: Runtime, subject: Any, *args: Any) -> Handle[Any]:
    """A run of it that goes on by itself. A Runtime must be open around the caller."""
    handle: Handle[Any] = within.submit(subject, *args) if subject.kind == "flow" else subject.submit(*args)
    return handle


async def final_state(subject: Any, *args: Any, **kwargs: Any) -> State[Any]:
    """What a run of it ends in: a flow's by `run_flow`, a task's by submitting it; so a sync body is in a thread."""
    if subject.kind == "flow":
        state: State[Any] = await run_flow(subject, *args, return_state=True, **kwargs)
        return state
    handle: Handle[Any] = subject.submit(*args, **kwargs)
    await wait([handle])
    return handle.state


def raising(error: BaseException) -> Callable[..., Any]:
    """A function, for a body or a hook, that raises `error`."""

    def fail(*args: Any) -> None:
        raise error

    return fail


async def ends_in(returned: Any) -> Any:
    """A body: raises what it is given if that can be raised, else returns it."""
    if isinstance(returned, BaseException):
        raise returned
    return returned
