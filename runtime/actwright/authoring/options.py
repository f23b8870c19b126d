"""The options of flows and tasks: their names, their types, what they may be. Frozen data; the decorator stores it.

A new option is added in this file alone: a field, its type in the keywords, and how it is checked in `_NORMAL_FORM`.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, TypedDict, cast

from actwright.authoring.checks import misfit, seconds, whole_number
from actwright.authoring.hooks import HOOK_EVENTS, Hook, is_async, name_of, normalise_hooks
from actwright.authoring.tags import normalise_tags
from actwright.exceptions import UnsupportedOption

if TYPE_CHECKING:
    from actwright.authoring.flows import Flow
    from actwright.authoring.tasks import Task
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = [
    "DelaySpec",
    "FlowHook",
    "FlowKeywords",
    "FlowOptions",
    "RunKeywords",
    "RunOptions",
    "TaskHook",
    "TaskKeywords",
    "TaskOptions",
]

DelaySpec: TypeAlias = "float | Iterable[float] | Callable[[int], Iterable[float]]"
"""Seconds before each retry; or before the first, second, ...; or a function of `retries` that gives such a list."""

_all_hooks = attrgetter(*HOOK_EVENTS)

_FixedDelays: TypeAlias = "float | tuple[float, ...] | Callable[[int], Iterable[float]]"

FlowHook: TypeAlias = "Callable[[Flow[..., Any], FlowRun, State[Any]], object]"
TaskHook: TypeAlias = "Callable[[Task[..., Any], TaskRun, State[Any]], object]"


class RunKeywords(TypedDict, total=False):
    """The options that flows and tasks share, hooks apart; `RunOptions` says what each means."""

    name: str | None
    description: str | None
    version: str | None
    tags: Iterable[str] | None
    retries: int | None
    retry_delay_seconds: DelaySpec | None
    retry_jitter_factor: float | None
    timeout_seconds: float | None
    validate_parameters: bool | None
    log_prints: bool | None
    persist_result: bool | None
    crash_retries: int | None
    isolation: Literal["process"] | None


class FlowKeywords(RunKeywords, total=False):
    """What `@flow(...)` and `my_flow.with_options(...)` take."""

    flow_run_name: str | Callable[[], str] | None
    retry_condition_fn: Callable[[Flow[..., Any], FlowRun, State[Any]], bool | Awaitable[bool]] | None
    on_running: Iterable[FlowHook] | None
    on_retry: Iterable[FlowHook] | None
    on_completion: Iterable[FlowHook] | None
    on_failure: Iterable[FlowHook] | None
    on_cancellation: Iterable[FlowHook] | None
    on_crashed: Iterable[FlowHook] | None
    on_end: Iterable[FlowHook] | None


class TaskKeywords(RunKeywords, total=False):
    """What `@task(...)` and `my_task.with_options(...)` take."""

    task_run_name: str | Callable[[], str] | None
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool | Awaitable[bool]] | None
    on_running: Iterable[TaskHook] | None
    on_retry: Iterable[TaskHook] | None
    on_completion: Iterable[TaskHook] | None
    on_failure: Iterable[TaskHook] | None
    on_cancellation: Iterable[TaskHook] | None
    on_crashed: Iterable[TaskHook] | None
    on_end: Iterable[TaskHook] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a flow or a task, checked and in one form. Made by `FlowOptions().replace(...)`.

    Attributes:
        name: of the flow or task; None takes the function's.
        description: for people; None takes the function's docstring.
        version: for people; free text.
        run_name: how its runs are named: a `str.format` template over the parameters, or a function without
            arguments; None takes a default. Given as `flow_run_name` or `task_run_name`.
        tags: that each of its runs has, besides those of the `tags(...)` blocks around the call.
        retries: how many attempts may follow a failed first one.
        retry_delay_seconds: as given; a list became a tuple.
        retry_delays: the delays that `retry_delay_seconds` comes to, in seconds; the last one repeats.
        retry_jitter_factor: the most that a delay grows by, as a part of it; see `retries.delay_before`.
        retry_condition_fn: asked after a failure, as `fn(flow, flow_run, state)` or `fn(task, task_run, state)`,
            whether to retry; may be async. None always retries.
        timeout_seconds: the longest that one attempt's body may take; None has no limit.
        validate_parameters: whether arguments are checked and converted by their annotations.
        log_prints: whether `print` in the body goes to the run's log; None does as the run around it does.
        persist_result: whether history keeps what the body returns, as JSON, for whoever asks later or elsewhere.
        crash_retries: how many attempts may follow one that crashed; a death of the process included, where something
            serves the flow.
        isolation: "process" runs the body in an OS process of its own; None where its Runtime is.
        on_running, ..., on_end: the hooks of each list.
    """

    kind: ClassVar[Literal["flow", "task"]]

    name: str | None = None
    description: str | None = None
    version: str | None = None
    run_name: str | Callable[[], str] | None = None
    tags: frozenset[str] = frozenset()
    retries: int = 0
    retry_delay_seconds: _FixedDelays = 0.0
    retry_delays: tuple[float, ...] = ()
    retry_jitter_factor: float = 0.0
    retry_condition_fn: Callable[..., Any] | None = None
    timeout_seconds: float | None = None
    validate_parameters: bool = True
    log_prints: bool | None = None
    persist_result: bool = False
    crash_retries: int = 0
    isolation: Literal["process"] | None = None
    on_running: tuple[Hook, ...] = ()
    on_retry: tuple[Hook, ...] = ()
    on_completion: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_cancellation: tuple[Hook, ...] = ()
    on_crashed: tuple[Hook, ...] = ()
    on_end: tuple[Hook, ...] = ()

    def replace(self, **given: Any) -> Self:
        """These options with the given ones instead. What is not given is kept; `[]` clears a list of hooks.

        None clears an option for which no value is a value (a name, a timeout) and is as good as not given elsewhere.

        Raises:
            UnsupportedOption: an option that users of Prefect know and Actwright does not have.
            TypeError, ValueError: an unknown option, or a value that cannot be.
        """
        changes: dict[str, Any] = {}
        for option, value in given.items():
            name = self._field_of(option)
            if value is not None:
                changes[name] = self._normal_form(option, value)
            elif name in _CAN_BE_NONE:
                changes[name] = None
        new = replace(self, **changes)
        return replace(new, retry_delays=_retry_delays(new.retry_delay_seconds, new.retries))

    def hooks(self, event: str) -> tuple[Hook, ...]:
        """The hooks of one list, by its name."""
        hooks: tuple[Hook, ...] = getattr(self, event)
        return hooks

    @property
    def has_hooks(self) -> bool:
        """Whether any list has a hook in it."""
        return any(_all_hooks(self))

    def _field_of(self, option: str) -> str:
        if option == f"{self.kind}_run_name":
            return "run_name"
        if option in _NORMAL_FORM or option in HOOK_EVENTS:
            return option
        raise _refusal(self.kind, option)

    def _normal_form(self, option: str, value: object) -> Any:
        if option in HOOK_EVENTS:
            return normalise_hooks(option, value, self.kind)
        if option == f"{self.kind}_run_name":
            return _run_name(option, value, self.kind)
        return _NORMAL_FORM[option](option, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions(RunOptions):
    """The options of a flow."""

    kind = "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions(RunOptions):
    """The options of a task."""

    kind = "task"


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{option} must be a string; got {value!r}.")
    if option == "name" and not value.strip():
        raise ValueError(f"{option} must not be empty. Leave it out to take the function's name.")
    return value


def _flag(option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{option} must be True or False; got {value!r}.")
    return value


def _isolation(option: str, value: object) -> str:
    if value != "process":
        raise ValueError(f'{option} must be "process", for a body in an OS process of its own, or None; got {value!r}.')
    return "process"


def _retry_condition(option: str, value: object) -> Callable[..., Any]:
    if not callable(value):
        raise TypeError(f"{option} must be callable; got {type(value).__name__}.")
    if why := misfit(name_of(value), value, 3):
        raise TypeError(
            f"{option} must take three positional arguments, (flow, flow_run, state) or (task, task_run, state); "
            f"got {why}."
        )
    return value


def _run_name(option: str, value: object, kind: str) -> str | Callable[[], str]:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{option} must not be empty. Leave it out to take a generated name.")
        return value
    if not callable(value):
        raise TypeError(f"{option} must be a string or a function without arguments; got {type(value).__name__}.")
    if is_async(value):
        raise TypeError(f"{option} must be a plain function; got an async one. It is called without being awaited.")
    if why := misfit(name_of(value), value, 0):
        raise TypeError(
            f"{option} must be a string or a function without arguments; got {why}. The parameters of the run are in "
            f"actwright.runtime.{kind}_run.parameters."
        )
    return cast("Callable[[], str]", value)


def _delay_spec(option: str, value: object) -> _FixedDelays:
    if callable(value):
        if why := misfit(name_of(value), value, 1):
            raise TypeError(f"{option} must be a number, a list of them, or a function of the retries; got {why}.")
        return cast("Callable[[int], Iterable[float]]", value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(seconds(option, delay) for delay in cast("Iterable[object]", value))
    return seconds(option, value)


def _retry_delays(spec: _FixedDelays, retries: int) -> tuple[float, ...]:
    if callable(spec):
        delays = cast("object", spec(retries))
        if not isinstance(delays, Iterable):
            raise TypeError(
                f"The function in retry_delay_seconds must return a list of numbers; it returned {delays!r}."
            )
        return tuple(seconds("retry_delay_seconds", delay) for delay in cast("Iterable[object]", delays))
    return spec if isinstance(spec, tuple) else (spec,)


_NORMAL_FORM: dict[str, Callable[[str, object], Any]] = {
    "name": _text,
    "description": _text,
    "version": _text,
    "tags": normalise_tags,
    "retries": whole_number,
    "retry_delay_seconds": _delay_spec,
    "retry_jitter_factor": seconds,
    "retry_condition_fn": _retry_condition,
    "timeout_seconds": lambda option, value: seconds(option, value, above_zero=True),
    "validate_parameters": _flag,
    "log_prints": _flag,
    "persist_result": _flag,
    "crash_retries": whole_number,
    "isolation": _isolation,
}

_CAN_BE_NONE = frozenset({field.name for field in fields(RunOptions) if field.default is None})

_USE_INSTEAD = {
    "asset_deps": "Actwright has no assets. Name what a run makes in its tags.",
    "cache_expiration": "Actwright has no result cache. Keep what you want to reuse yourself.",
    "cache_key_fn": "Actwright has no result cache. Keep what you want to reuse yourself.",
    "cache_policy": "Actwright has no result cache. Keep what you want to reuse yourself.",
    "cache_result_in_memory": "What a run returns is kept in memory for its caller, always.",
    "on_commit": "Actwright has no transactions. Use 'on_completion'.",
    "on_rollback": "Actwright has no transactions. Use 'on_failure'.",
    "refresh_cache": "Actwright has no result cache. Keep what you want to reuse yourself.",
    "result_serializer": "Store what must last in the body, in the form that you want.",
    "result_storage": "Store what must last in the body, where you want it.",
    "result_storage_key": "Store what must last in the body, under the name that you want.",
    "task_runner": "Submitted tasks run in the Runtime around them, async ones on the loop, sync ones in its threads.",
    "viz_return_value": "Actwright does not draw flows without running them.",
}


def _refusal(kind: Literal["flow", "task"], option: str) -> TypeError:
    if option in _USE_INSTEAD:
        return UnsupportedOption(f"@{kind} does not support '{option}'. {_USE_INSTEAD[option]}")
    known = [*_NORMAL_FORM, f"{kind}_run_name", *HOOK_EVENTS]
    close = difflib.get_close_matches(option, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"It knows: {', '.join(sorted(known))}."
    return TypeError(f"@{kind} does not know the option '{option}'. {hint}")
