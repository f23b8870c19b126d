"""What comes before a run's first attempt: its arguments, and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actwright.authoring.context import CURRENT, RunContext
from actwright.authoring.names import run_name
from actwright.engine.arguments import check_upstream, resolve_arguments

if TYPE_CHECKING:
    from actwright.engine.live_run import LiveRun

__all__ = ["arguments_of", "name_of_run", "parameters_to_show"]


def arguments_of(run: LiveRun) -> dict[str, Any]:
    """The arguments as the body gets them: futures replaced by their results, values checked and converted.

    Raises:
        UpstreamFailed: something that the run waits for did not complete.
        ParameterTypeError: values are invalid; ParameterBindError: what was submitted does not fit any more.
    """
    check_upstream(run.call.wait_for)
    parameters = resolve_arguments(run.call.parameters)
    if run.call.known is not None:  # submitted, maybe to an earlier version of the function
        parameters = run.subject.parameters.bind((), parameters)
    return run.subject.parameters.validate(parameters) if run.options.validate_parameters else parameters


def parameters_to_show(run: LiveRun, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as hooks and history see them: secrets are what pydantic made of them, where it was asked to."""
    return arguments if run.options.validate_parameters else run.subject.parameters.concealed(arguments)


def name_of_run(run: LiveRun) -> str:
    """The name that its author has for it, made where it can see the run; else the one that it has, as from who
    submitted it, or from its first attempt."""
    known = run.call.known
    has_its_name = known is not None and (known.is_named or known.run.run_count > 0)
    if run.options.run_name is None or has_its_name:
        return run.snapshot.name
    context = run.origin.context.copy()
    context.run(CURRENT.set, RunContext(run))
    return context.run(run_name, run.subject, run.snapshot.id, run.snapshot.parameters)
