"""What a test asks of history: which runs it means, and what their hooks did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from actwright.authoring.futures import Handle
from actwright.models.runs import FlowRun, TaskRun
from actwright.nodes.journal import journal_of_this_process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actwright.engine.runtime import Runtime
    from actwright.journal.protocol import Journal
    from actwright.models.deliveries import HookDelivery

__all__ = ["RunOrName", "journal_of", "name_of_subject", "runs_meant", "told"]

RunOrName: TypeAlias = "Handle[Any] | FlowRun | TaskRun | UUID | str"
"""A run, its id or its name; or the name of a flow or task, which means all of its runs."""


def journal_of(runtime: Runtime | None) -> Journal:
    """The history of that Runtime, or of this process."""
    return journal_of_this_process() if runtime is None else runtime.journal


def runs_meant(run_or_name: RunOrName, journal: Journal) -> list[FlowRun | TaskRun]:
    """The runs that are meant, as they last were.

    Raises:
        AssertionError: history knows none; it says what it knows.
        TypeError: neither a run nor a name.
    """
    if isinstance(run_or_name, Handle | FlowRun | TaskRun | UUID):
        run_id = run_or_name if isinstance(run_or_name, UUID) else run_or_name.id
        found = [run for run in [journal.run(run_id)] if run is not None]
    elif isinstance(run_or_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # who has no type checker
        found = [run for run in journal.runs() if run_or_name in (run.name, name_of_subject(run), str(run.id))]
    else:
        raise TypeError(f"Expected a run, its id or a name; got {run_or_name!r}.")
    if not found:
        known = ", ".join(f"{run.title} of {name_of_subject(run)!r}" for run in journal.runs()) or "no run at all"
        raise AssertionError(f"There is no run {run_or_name!s} in this history. It knows {known}.")
    return found


def name_of_subject(run: FlowRun | TaskRun) -> str:
    """The name of the flow or task that a run is of."""
    return run.flow_name if isinstance(run, FlowRun) else run.task_name


def told(runs: Iterable[FlowRun | TaskRun], journal: Journal) -> str:
    """What these runs went through and what their hooks did, in lines."""
    return "\n".join(line for run in runs for line in _lines(run, journal))


def _lines(run: FlowRun | TaskRun, journal: Journal) -> list[str]:
    states = ", ".join(transition.run.state.name for transition in journal.transitions(run.id))
    hooks = [f"    {_line(delivery)}" for delivery in journal.deliveries(run.id)]
    return [f"  {run.title} of {name_of_subject(run)!r} went through: {states}", *(hooks or ["    no hook was due"])]


def _line(delivery: HookDelivery) -> str:
    tries = f", attempt {delivery.attempt}" if delivery.attempt != 1 else ""
    replayed = ", replayed" if delivery.replayed else ""
    why = f": {delivery.error}" if delivery.error else ""
    return f"{delivery.event} {delivery.hook_name!r} {delivery.status.value}{tries}{replayed}{why}"
