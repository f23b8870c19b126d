"""Runs and their hooks, drawn for a terminal of 80 columns or more, as the journal tells of them."""

from __future__ import annotations

import platform
from collections import Counter
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from actwright.authoring.hooks import HOOK_EVENTS
from actwright.control.output import STYLES
from actwright.models.deliveries import DeliveryStatus
from actwright.models.runs import FlowRun

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from rich.console import Console

    from actwright.journal.protocol import Journal, Transition
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import TaskRun
    from actwright_actors.backends import BackendName

__all__ = ["draw_act", "draw_end", "draw_title"]

_RAN, _NOT_RUN = Text("● ", "green"), Text("NOT RUN: ", "bold red")


def draw_title(console: Console, backend: BackendName) -> None:
    """Say what follows, and on what it runs."""
    where = f"{backend}, Python {platform.python_version()}"
    says = f"Five flows on {where}. Each line is a state that a run entered, and the hooks that ran for it: "
    console.print(Text.assemble(says, _RAN, "stands before each."))


def draw_act(
    console: Console,
    title: str,
    runs: Sequence[FlowRun | TaskRun],
    journal: Journal,
    noted: Collection[UUID],
    remark: str | None = None,
) -> None:
    """Draw what some runs went through, in the order of time.

    Args:
        title: what it was about.
        runs: of one flow run and what it called; times count from the first one.
        noted: the ids of the deliveries that the hooks themselves say they were called for.
        remark: what is to be said at its end.
    """
    console.print()
    console.print(Rule(Text(title, "bold"), align="left", style="dim"))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", min_width=6)
    said: set[str | None] = {None}
    for step in sorted(_steps(runs, journal), key=lambda step: step.run.state.timestamp):
        state = step.run.state
        elapsed = (state.timestamp - runs[0].expected_start_time).total_seconds()
        table.add_row(f"{elapsed * 1000:.0f} ms", _entered(step.run, journal, noted))
        if state.message not in said:  # what ends a task often ends its flow: once is enough
            table.add_row("", Padding(Text(str(state.message), "dim italic"), (0, 0, 0, 2)))
            said.add(state.message)
    console.print(table)
    if remark is not None:
        console.print(remark)


def draw_end(console: Console, journal: Journal, noted: Collection[UUID], seconds: float) -> bool:
    """Draw how often each kind of hook ran; whether all that were due did, and each kind at least once."""
    due = journal.deliveries()
    ran = [delivery for delivery in due if _ran(delivery, noted)]
    kinds = {run.id: run.kind for run in journal.runs()}
    counts = Counter((delivery.event, kinds[delivery.run_id]) for delivery in ran)
    console.print()
    console.print(Rule(Text("Hooks that ran", "bold"), align="left", style="dim"))
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for heading in ("  hook", "of flows", "of tasks"):
        table.add_column(heading, header_style="dim", justify="left" if heading == "  hook" else "right")
    for event in HOOK_EVENTS:
        of_flows, of_tasks = counts[event, "flow"], counts[event, "task"]
        mark = _RAN if of_flows + of_tasks else _NOT_RUN
        table.add_row(Text.assemble(mark, event), str(of_flows), str(of_tasks))
    console.print(table)
    console.print()
    console.print(f"{len(due)} hooks were due, {len(ran)} ran. It took {seconds:.1f} s.", style="bold")
    return len(ran) == len(due) and {event for event, _ in counts} == set(HOOK_EVENTS)


def _steps(runs: Iterable[FlowRun | TaskRun], journal: Journal) -> list[Transition]:
    """What the runs went through once they began: before that, no hook is due."""
    steps = [step for run in runs for step in journal.transitions(run.id)]
    return [step for step in steps if not step.run.state.is_pending()]


def _entered(run: FlowRun | TaskRun, journal: Journal, noted: Collection[UUID]) -> Text:
    """One line: which run, which state it entered, and a mark for each hook that was due for that."""
    name = run.flow_name if isinstance(run, FlowRun) else run.task_name
    title = f"{'' if run.parent_id is None else '  '}{run.kind} {name}"
    line = Text.assemble(f"{title:<15}", (f"{run.state.name:<15}", STYLES[run.state.type]))
    for delivery in journal.deliveries(run.id):
        if delivery.transition_id == run.state.id:
            line.append(_RAN if _ran(delivery, noted) else _NOT_RUN).append(f"{delivery.event}  ")
    return line


def _ran(delivery: HookDelivery, noted: Collection[UUID]) -> bool:
    """Both say so: the journal that it ended well, and the hook that it was called."""
    return delivery.status is DeliveryStatus.SUCCEEDED and delivery.id in noted
