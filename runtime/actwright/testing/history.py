"""What a test asks of history: which runs it means, and what their hooks did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from actwright.authoring.flows import Flow
from actwright.authoring.futures import Handle
from actwright.authoring.tasks import Task
from actwright.engine.kit import journals_in_use
from actwright.models.runs import FlowRun, TaskRun
from actwright.nodes.journal import journal_of_this_process
from actwright.settings import get_current_settings
from actwright.testing.harnesses import current_harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actwright.engine.runtime import Runtime
    from actwright.journal.protocol import Journal, Transition
    from actwright.models.deliveries import HookDelivery

__all__ = ["Histories", "RunOrName", "history_of", "name_of_subject", "runs_meant", "told"]

RunOrName: TypeAlias = "Handle[Any] | FlowRun | TaskRun | UUID | Flow[..., Any] | Task[..., Any] | str"
"""A run, its id or its name; or a flow or task, or the name of one, which means all of its runs."""


class Histories:
    """Several histories, read as one: that of this process, and those that Runtimes have in memory."""

    def __init__(self, journals: Iterable[Journal]) -> None:
        self._journals = list(dict.fromkeys(journals))  # a Runtime and its twin share one

    def run(self, run_id: UUID) -> FlowRun | TaskRun | None:
        return next((run for journal in self._journals if (run := journal.run(run_id)) is not None), None)

    def runs(self) -> list[FlowRun | TaskRun]:
        return [run for journal in self._journals for run in journal.runs()]

    def transitions(self, run_id: UUID) -> list[Transition]:
        return [step for journal in self._journals for step in journal.transitions(run_id)]

    def deliveries(self, run_id: UUID | None = None) -> list[HookDelivery]:
        """Of one run, or all."""
        return [delivery for journal in self._journals for delivery in journal.deliveries(run_id)]


def history_of(runtime: Runtime | None) -> Journal | Histories:
    """The history of that Runtime; else that of this process, and those in memory: of the harness's Runtimes, or of the
    open ones where there is no harness."""
    if runtime is not None:
        return runtime.journal
    harness = current_harness()
    in_use = journals_in_use() if harness is None else harness.journals()
    of_process = [journal_of_this_process()] if get_current_settings().journal != "memory" else []
    return Histories([*of_process, *(journal for journal in in_use if not journal.is_durable)])


def runs_meant(run_or_name: RunOrName, history: Journal | Histories) -> list[FlowRun | TaskRun]:
    """The runs that are meant, as they last were.

    Raises:
        AssertionError: history knows none; it says what it knows.
        TypeError: neither a run, a flow or task, nor a name.
    """
    if isinstance(run_or_name, Handle | FlowRun | TaskRun | UUID):
        run_id = run_or_name if isinstance(run_or_name, UUID) else run_or_name.id
        found = [run for run in [history.run(run_id)] if run is not None]
    elif isinstance(run_or_name, Flow | Task):
        kind, name = run_or_name.kind, run_or_name.name
        found = [run for run in history.runs() if (run.kind, name_of_subject(run)) == (kind, name)]
    elif isinstance(run_or_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # who has no type checker
        found = [run for run in history.runs() if run_or_name in (run.name, name_of_subject(run), str(run.id))]
    else:
        raise TypeError(f"Expected a run, its id, a flow or task, or a name; got {run_or_name!r}.")
    if not found:
        raise AssertionError(_not_there(run_or_name, history))
    return found


def _not_there(run_or_name: RunOrName, history: Journal | Histories) -> str:
    known = ", ".join(f"{run.title} of {name_of_subject(run)!r}" for run in history.runs()) or "no run at all"
    which = repr(run_or_name.name) if isinstance(run_or_name, Flow | Task) else str(run_or_name)
    said = f"There is no run {which} in this history. It knows {known}."
    if isinstance(history, Histories):
        said += ' Of a Runtime whose history is elsewhere (journal="memory", say), pass `runtime=`.'
    return said


def name_of_subject(run: FlowRun | TaskRun) -> str:
    """The name of the flow or task that a run is of."""
    return run.flow_name if isinstance(run, FlowRun) else run.task_name


def told(
    runs: Iterable[FlowRun | TaskRun],
    history: Journal | Histories,
    deliveries: Mapping[UUID, Sequence[HookDelivery]] | None = None,
) -> str:
    """What these runs went through and what their hooks did, in lines.

    Args:
        deliveries: of each run, where they have been read already: while hooks run, they may differ by now.
    """
    read = {run.id: history.deliveries(run.id) for run in runs} if deliveries is None else deliveries
    return "\n".join(line for run in runs for line in _lines(run, history, read[run.id]))


def _lines(run: FlowRun | TaskRun, history: Journal | Histories, deliveries: Sequence[HookDelivery]) -> list[str]:
    states = ", ".join(transition.run.state.name for transition in history.transitions(run.id))
    hooks = [f"    {_line(delivery)}" for delivery in deliveries]
    return [f"  {run.title} of {name_of_subject(run)!r} went through: {states}", *(hooks or ["    no hook was due"])]


def _line(delivery: HookDelivery) -> str:
    tries = f", attempt {delivery.attempt}" if delivery.attempt != 1 else ""
    replayed = ", replayed" if delivery.replayed else ""
    why = f": {delivery.error}" if delivery.error else ""
    return f"{delivery.event} {delivery.hook_name!r} {delivery.status.value}{tries}{replayed}{why}"
