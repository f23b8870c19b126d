"""The names of runs: generated, from a template, or from a function."""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import UUID

from actwright.models.ids import telling_digits

if TYPE_CHECKING:
    from actwright.authoring.runnable import Runnable

__all__ = ["check_run_name", "default_run_name", "generate_name", "run_name"]

_FIELDS: dict[str, frozenset[str]] = {
    "flow": frozenset({"flow.name", "flow_run.id"}),
    "task": frozenset({"task.name", "task_run.id"}),
}
"""What a template may name besides the parameters; a parameter called `flow` hides `flow.name`."""

_LONGEST_NAME = 200


def default_run_name(subject: Runnable[..., Any], run_id: UUID) -> str:
    """What a run is called unless its author says otherwise: a flow run two words, a task run the task's name and
    three digits of its id."""
    return generate_name() if subject.kind == "flow" else f"{subject.name}-{telling_digits(run_id)}"


def run_name(subject: Runnable[..., Any], run_id: UUID, parameters: Mapping[str, Any]) -> str:
    """The name of a run: what `flow_run_name` or `task_run_name` makes, in 200 characters at most, else the default.

    A function is called without arguments, in the context of the new run: `actwright.runtime.flow_run.parameters`, or
    `task_run.parameters`, are its own.

    Raises:
        TypeError: the function gave something else than a string.
        ValueError: the template could not be filled with these parameters.
        Exception: whatever the function raises.
    """
    given = subject.options.run_name
    if given is None:
        return default_run_name(subject, run_id)
    if isinstance(given, str):
        return _shortened(_fill(given, subject, run_id, parameters))
    made = cast("object", given())
    if not isinstance(made, str):
        raise TypeError(f"{subject.kind}_run_name of '{subject.name}' must return a string; it returned {made!r}.")
    return _shortened(made)


def _shortened(name: str) -> str:
    """A name stands in every line of the run's log: a huge parameter in it would fill that."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def generate_name() -> str:
    """Two words, such as 'amber-otter'."""
    from coolname import generate_slug  # its word lists take a while to load; many programs never need them

    return generate_slug(2)


def check_run_name(
    given: str | Callable[[], str] | None, kind: Literal["flow", "task"], parameters: Collection[str]
) -> None:
    """Refuse, where a flow or task is written, a template that no run could fill.

    Raises:
        ValueError: it is malformed, or names something unknown: a name that it may use is one of the parameters, or
            for a flow `flow.name` and `flow_run.id`, for a task `task.name` and `task_run.id`.
    """
    if not isinstance(given, str):
        return
    known = [*parameters, *sorted(_FIELDS[kind])]
    try:
        named = list(_fields(given))
    except ValueError as error:
        raise ValueError(f"{kind}_run_name {given!r} is not a template: {error}.") from None
    for field in named:
        if re.split(r"[.\[]", field, maxsplit=1)[0] not in parameters and field not in _FIELDS[kind]:
            raise ValueError(f"{kind}_run_name {given!r} names '{field}', which is unknown. Known: {', '.join(known)}.")


def _fields(template: str) -> Iterator[str]:
    """The fields of a template, those nested in format specifications too."""
    for _, field, specification, _ in string.Formatter().parse(template):
        if field is not None:
            yield field
            yield from _fields(specification or "")


class _Named:
    """A word of a template that has attributes: `{flow_run.id}`."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def _fill(template: str, subject: Runnable[..., Any], run_id: UUID, parameters: Mapping[str, Any]) -> str:
    words: dict[str, Any] = {subject.kind: _Named(name=subject.name), f"{subject.kind}_run": _Named(id=run_id)}
    if isinstance(subject.fn, MethodType):
        words[next(iter(inspect.signature(subject.fn.__func__).parameters))] = subject.fn.__self__
    try:
        return template.format(**{**words, **parameters})
    except Exception as error:  # a parameter's own __format__ or attribute may raise anything
        raise ValueError(
            f"{subject.kind}_run_name {template!r} of '{subject.name}' cannot be filled: {error!r}. "
            "Check that its parameters have what the template asks of them."
        ) from error
