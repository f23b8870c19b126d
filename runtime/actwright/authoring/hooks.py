"""State change hooks as data: which function, called how.

A hook is any callable that takes `(flow, flow_run, state)` or `(task, task_run, state)` by position. Extra arguments
with defaults, `**kwargs`, `functools.partial`, bound methods and callable objects are fine, and async ones of each.
This module only describes hooks; the engine runs them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, Unpack, cast, overload

from actwright.authoring.checks import misfit, seconds, whole_number

__all__ = ["HOOK_EVENTS", "Hook", "HookKeywords", "hook", "is_async", "name_of", "normalise_hooks", "unwrapped"]

HOOK_EVENTS = (
    "on_running",
    "on_retry",
    "on_completion",
    "on_failure",
    "on_cancellation",
    "on_crashed",
    "on_end",
)
"""Every list of hooks that flows and tasks have, in the order in which a run can come to them."""


class HookKeywords(TypedDict, total=False):
    """What `hook(fn, ...)` takes; `Hook` says what each means."""

    wait: bool
    at_once: bool
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    expires_seconds: float | None
    max_attempts: int | None


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook and how to deliver it. Made by `hook(fn, ...)`; a bare function in a list of hooks becomes `Hook(fn)`.

    Attributes:
        fn: the callable. Its return value is ignored.
        wait: whether the run's caller waits for this hook. False lets the caller go on; the hook still runs.
        at_once: for `on_cancellation` alone: run on entering Cancelling, before the body has unwound, for a hook that
            must unblock the body.
        retries: how often to try again after it raised or timed out.
        retry_delay_seconds: the time between two tries.
        timeout_seconds: the longest that one try may take; None takes the setting's (300 s).
        expires_seconds: a delivery older than this, counted from when it became due, is not begun any more; None
            never gives up.
        max_attempts: the most tries in all, those cut short by a death included; None has no such limit.

    Raises:
        TypeError, ValueError: an option that cannot be, named.
    """

    fn: Callable[..., Any]
    wait: bool = True
    at_once: bool = False
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None
    expires_seconds: float | None = None
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise TypeError(f"Expected a callable to make a hook of; got {type(self.fn).__name__} instead.")
        whole_number("retries", self.retries)
        seconds("retry_delay_seconds", self.retry_delay_seconds)
        if self.timeout_seconds is not None:
            seconds("timeout_seconds", self.timeout_seconds, above_zero=True)
        if self.expires_seconds is not None:
            seconds("expires_seconds", self.expires_seconds, above_zero=True)
        if self.max_attempts is not None:
            whole_number("max_attempts", self.max_attempts, least=1)

    @property
    def name(self) -> str:
        """What logs and lists call it: the name of the function, or of the class of a callable object."""
        return name_of(self.fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had not been wrapped."""
        return self.fn(*args, **kwargs)


@overload
def hook(fn: Callable[..., Any], /, **options: Unpack[HookKeywords]) -> Hook: ...
@overload
def hook(fn: None = None, /, **options: Unpack[HookKeywords]) -> Callable[[Callable[..., Any]], Hook]: ...
def hook(
    fn: Callable[..., Any] | None = None, /, **options: Unpack[HookKeywords]
) -> Hook | Callable[[Callable[..., Any]], Hook]:
    """Say how a hook is delivered: `on_failure=[hook(notify, retries=3)]`, or `@hook(wait=False)` above a function.

    Given a `Hook`, its other options are kept. `Hook` documents the options and the errors.
    """
    _refuse_unknown(options)
    if fn is None:

        def decorate(function: Callable[..., Any]) -> Hook:
            return hook(function, **options)

        return decorate
    if isinstance(fn, Hook):
        return replace(fn, **options)
    return Hook(fn, **options)


def _refuse_unknown(options: Iterable[str]) -> None:
    known = HookKeywords.__annotations__
    for option in options:
        if option not in known:
            raise TypeError(f"hook() does not know the option '{option}'. It knows: {', '.join(known)}.")


def normalise_hooks(event: str, value: object, kind: Literal["flow", "task"] = "flow") -> tuple[Hook, ...]:
    """The hooks of one list, as the engine wants them. None is an empty list; a generator is read once.

    Raises:
        TypeError: not iterable, an item not callable, a generator function, or one that cannot take three
            positional arguments.
        ValueError: `at_once` in a list other than `on_cancellation`.
    """
    if value is None:
        return ()
    usage = f"@{kind}({event}=[hook1, hook2])\ndef my_{kind}():\n\tpass"
    example = f"Please provide a list of hooks to '{event}':\n\n{usage}"
    if not isinstance(value, Iterable):
        raise TypeError(f"Expected iterable for '{event}'; got {type(value).__name__} instead. {example}")
    return tuple(_normalise(event, item, kind, example) for item in cast("Iterable[object]", value))


def _normalise(event: str, item: object, kind: Literal["flow", "task"], example: str) -> Hook:
    if not callable(item):
        raise TypeError(f"Expected callables in '{event}'; got {type(item).__name__} instead. {example}")
    normal = item if isinstance(item, Hook) else Hook(item)
    _check_callable_with_three(event, normal, kind)
    if normal.at_once and event != "on_cancellation":
        raise ValueError(
            f"Hook '{normal.name}' in '{event}' has at_once=True, which only has a meaning for 'on_cancellation'. "
            "Leave it out, or move the hook there."
        )
    return normal


def _check_callable_with_three(event: str, item: Hook, kind: str) -> None:
    if inspect.isgeneratorfunction(item.fn) or inspect.isasyncgenfunction(item.fn):
        raise TypeError(
            f"Hook '{item.name}' in '{event}' is a generator function: calling it would not run its body. "
            "Write it without 'yield'."
        )
    if why := misfit(item.name, item.fn, 3):
        raise TypeError(
            f"Expected hooks in '{event}' to take three positional arguments, ({kind}, {kind}_run, state); got {why}. "
            "Give further arguments defaults, or bind them with functools.partial."
        )


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives something to await: the one place where sync or async is decided.

    Looks through `Hook`, `functools.partial` and bound methods, knows callable objects with an async `__call__`, and
    flows and tasks, which tell it themselves.
    """
    inner = unwrapped(fn)
    told = getattr(inner, "isasync", None)
    if isinstance(told, bool):
        return told
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


def name_of(fn: Callable[..., Any]) -> str:
    """The name of a function or class; of what a `Hook` or partial holds; of the class of a callable object."""
    inner = unwrapped(fn)
    name = getattr(inner, "__name__", None)
    return name if isinstance(name, str) else type(inner).__name__


def unwrapped(fn: Callable[..., Any]) -> Callable[..., Any]:
    """What `Hook` and `functools.partial` hold, at any depth."""
    while isinstance(fn, Hook | functools.partial):
        fn = fn.fn if isinstance(fn, Hook) else fn.func
    return fn
