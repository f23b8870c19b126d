"""`actwright runs`: which runs there were, and what one of them went through."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actwright.control.cancelling import cancel
from actwright.control.deleting import delete
from actwright.control.opening import journal_if_any, journal_to_change
from actwright.control.output import (
    MOST,
    Format,
    Output,
    age_option,
    clean,
    fail,
    local_time,
    one_line,
    say,
    short,
    state_text,
    status_text,
    styled,
    table_of,
    took,
    write,
    write_json,
)
from actwright.control.rerunning import retry
from actwright.control.run_logs import logs
from actwright.control.watching import watch

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from rich.console import RenderableType
    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.protocol import Transition
    from actwright.journal.queries import FoundDelivery, FoundRun

__all__ = ["app", "inspect", "known_states", "ls", "one_run", "runs_table"]

app = typer.Typer(no_args_is_help=True, help="What ran, and what became of it.")

_Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or its name.")]


@app.command()
def ls(
    state: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A state's type or name, in any case. Again: or this one.")
    ] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME", help="Runs of this flow; with --all, within it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Runs with this tag. Again: and this.")] = None,
    since: Annotated[datetime | None, age_option("Runs that were to start since then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The most to show.")] = 20,
    all: Annotated[bool, typer.Option("--all", help="Also runs that others called: subflows and tasks.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List runs, newest first: those that nobody else called, unless --all is given."""
    with journal_if_any() as database:
        if database is None:
            return write_json([]) if output is Format.JSON else None
        from actwright.control.liveness import dead_nodes
        from actwright.journal.queries import find_runs

        dead = dead_nodes(database)
        with database.reading() as connection:
            found = find_runs(
                connection, states=known_states(connection, state or ()), flow=flow, tags=tag or (), since=since,
                called=all, limit=limit + 1,
            )  # fmt: skip
    _write_runs(found[:limit], dead, output)
    if not found:
        say("No run is like that." if state or flow is not None or tag or since else "No flow has run yet.")
    elif len(found) > limit:
        say(f"There are more than {limit}; --limit shows more of them.")


def known_states(connection: Connection, given: Collection[str]) -> Collection[str]:
    """What was given, if there are such states; ends the command if not."""
    from actwright.journal.queries import state_names
    from actwright.models.states import StateType

    known = {*(each.value.capitalize() for each in StateType), "AwaitingRetry", "Retrying", "TimedOut", "Cached"}
    for name in given:
        if name.upper() not in {each.upper() for each in known | state_names(connection)}:
            raise typer.BadParameter(
                f"{name!r} is no state. There are {', '.join(sorted(known))}.", param_hint="--state"
            )
    return given


def _write_runs(found: Sequence[FoundRun], dead: Collection[str], output: Format) -> None:
    from actwright.control.documents import run_document

    if output is Format.JSON:
        return write_json([run_document(each, dead) for each in found])
    if found:
        write(runs_table(found, dead))
    return None


def runs_table(found: Sequence[FoundRun], dead: Collection[str]) -> RenderableType:
    """Runs, one in a row."""
    from actwright.control.documents import is_dead, subject_of

    rows: list[Sequence[RenderableType]] = [
        (
            short(each.run.id),
            f"{each.run.kind} {subject_of(each.run)}",
            each.run.name,
            state_text(each.run.state, dead=is_dead(each, dead)),
            local_time(each.run.start_time or each.run.expected_start_time),
            took(each.run.start_time, each.run.end_time),
            ", ".join(each.run.tags),
        )
        for each in found
    ]
    return table_of(["id", "of", "name", "state", "started", "took", "tags"], rows)


@app.command()
def inspect(run: _Run, output: Output = Format.TABLE) -> None:
    """Show all that history has of one run: its states, what it called, its hooks, and why it failed."""
    with journal_to_change() as database:
        inspected = _Inspected(database, run)
    if output is Format.TABLE:
        return inspected.draw()
    try:
        write_json(inspected.document())
    except RecursionError:  # nothing is written yet; and few programs could read what is so deep
        fail("Its calls nest too deep for one document. `runs ls --all -o json` has each run with its caller.", code=1)
    return None


app.command()(logs)
app.command()(watch)
app.command()(cancel)
app.command()(retry)
app.command()(delete)


def one_run(connection: Connection, given: str) -> FoundRun:
    """The run that is meant; ends the command if there is none, or more than one."""
    from actwright.journal.queries import matching_runs

    found = matching_runs(connection, given)
    if not found:
        fail(f"There is no run {given!r}: neither such an id, nor a beginning of one, nor a name. See `runs ls --all`.")
    if len(found) > 1:
        some = ", ".join(f"{each.run.id} ({local_time(each.run.expected_start_time)})" for each in found[:5])
        fail(f"{given!r} may be any of {len(found)} runs. Give more of its id: {some}{', ...' if found[5:] else ''}")
    return found[0]


class _Inspected:
    """All that history has of one run, read in one moment."""

    def __init__(self, database: Database, given: str) -> None:
        from actwright.control.liveness import dead_nodes
        from actwright.journal import queries, reading
        from actwright.models.values_at_rest import kept_parameters

        self.dead = dead_nodes(database)
        with database.reading() as connection:
            self.found = one_run(connection, given)
            self.run = self.found.run
            self.steps: list[Transition] = reading.transitions(connection, self.run.id)
            self.called = queries.called_by(connection, str(self.run.id))
            self.hooks = queries.find_deliveries(connection, run_id=str(self.run.id))[::-1]
            self.result = queries.result_at_rest_of(connection, str(self.run.id))
            self.parameters = kept_parameters(queries.parameters_at_rest_of(connection, str(self.run.id)))
        self._by_parent: defaultdict[UUID | None, list[FoundRun]] = defaultdict(list)
        for each in self.called:
            self._by_parent[each.run.parent_id].append(each)

    def document(self) -> dict[str, Any]:
        from actwright.control import documents

        return {
            **documents.run_document(self.found, self.dead),
            "parameters": self.parameters,
            "result": documents.result_document(self.result),
            "cause": documents.cause_document(self.run.state),
            "transitions": [documents.transition_document(step) for step in self.steps],
            "deliveries": [documents.delivery_document(hook) for hook in self.hooks],
            "children": self._children(self.run.id),
        }

    def _children(self, run_id: UUID) -> list[dict[str, Any]]:
        from actwright.control.documents import run_document

        return [
            {**run_document(each, self.dead), "children": self._children(each.run.id)}
            for each in self._by_parent[run_id]
        ]

    def draw(self) -> None:
        from rich.text import Text

        from actwright.control.documents import is_dead
        from actwright.control.trees import called_tree

        state = state_text(self.run.state, dead=is_dead(self.found, self.dead))
        write(Text.assemble((one_line(self.run.title), "bold"), "  ", state))
        write(table_of([], self._facts()))
        self._heading("States")
        write(table_of(["at", "state", ""], self._states()))
        if self.called:
            self._heading("Called")
            write(called_tree(self.found, self.called, self.dead))
        if self.hooks:
            self._heading("Hooks")
            write(_hooks_table(self.hooks))
        self._draw_cause()

    def _heading(self, title: str) -> None:
        write(styled(f"\n{title}", "bold"))

    def _facts(self) -> list[Sequence[RenderableType]]:
        from actwright.control.documents import subject_of

        run = self.run
        facts: list[tuple[str, str]] = [
            ("id", str(run.id)),
            (run.kind, subject_of(run)),
            ("node", self.found.node_id + (" (dead: `actwright recover` sees to it)" if self._is_dead() else "")),
            ("tags", ", ".join(run.tags)),
            ("called by", str(run.parent_id or "")),
            ("retry of", str(run.retry_of or "")),
            ("started", local_time(run.start_time, exact=True)),
            ("took", took(run.start_time, run.end_time)),
            ("parameters", ", ".join(f"{name}={json.dumps(value)}" for name, value in self.parameters.items())),
            ("result", self.result or ""),
        ]
        return [fact for fact in facts if fact[1]]

    def _is_dead(self) -> bool:
        return self.found.node_id in self.dead

    def _states(self) -> list[Sequence[RenderableType]]:
        return [
            (local_time(state.timestamp, exact=True), state_text(state), state.message or "")
            for state in (step.run.state for step in self.steps)
        ]

    def _draw_cause(self) -> None:
        from actwright.control.documents import cause_document

        cause = cause_document(self.run.state)
        if cause is None:
            return
        self._heading("Cause")
        said = cause["traceback"].rstrip() or f"{cause['type']}: {cause['message']}"
        print(clean(said))


def _hooks_table(hooks: Sequence[FoundDelivery]) -> RenderableType:
    rows: list[Sequence[RenderableType]] = [
        (
            short(hook.delivery.id),
            hook.delivery.event,
            hook.delivery.hook_name,
            status_text(hook.delivery.status.value),
            str(hook.delivery.attempt),
            took(hook.delivery.started_at, hook.delivery.ended_at),
            hook.delivery.error or "",
        )
        for hook in hooks
    ]
    return table_of(["id", "event", "hook", "status", "attempt", "took", "error"], rows)
