"""`actwright submit`: have a flow run by a process that serves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from actwright.control.opening import journal_made
from actwright.control.output import Format, Output, fail, parse_span, say, write_json
from actwright.control.rerunning import given_parameters
from actwright.control.serving import from_here
from actwright.exceptions import FlowNotFound, ParameterBindError, ParameterTypeError

if TYPE_CHECKING:
    from actwright.journal.database import Database
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["parse_at", "submit"]


def parse_at(given: str) -> datetime:
    """A point of time to come: a span from now ("2h"), or ISO 8601 (without an offset: local time).

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        return datetime.now(UTC) + parse_span(given)
    except (typer.BadParameter, OverflowError):
        pass
    try:
        return datetime.fromisoformat(given.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{given!r} is no time. Write a span from now (30m, 2h, 7d), or ISO 8601 (2027-01-31T08:00)."
        raise typer.BadParameter(message) from error


def submit(  # its parameters are the options: typer knows no object that holds them
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="module:flow, or path/to/file.py:flow.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="An argument (JSON, else text). Again: of more."),
    ] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", metavar="SPAN|ISO", parser=parse_at, help="Not before then.")
    ] = None,
    queue: Annotated[str, typer.Option(metavar="NAME", help="For those who serve this queue.")] = "default",
    priority: Annotated[
        int, typer.Option(metavar="N", min=-1_000_000, max=1_000_000, help="Of what is due, higher ones begin first.")
    ] = 0,
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Submitted again with the same key, it is the same run.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The run's name.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended, hooks included.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Have a flow run by a process that serves it (`actwright serve`), and print the run's id.

    Its arguments are checked here, for which its module is imported. With --wait the exit code is 0 if it ended
    Completed, and 1 if not.
    """
    from actwright.authoring.loading import flow_at
    from actwright.client.submitting import submit as write_down

    from_here()
    with journal_made() as database:
        try:
            run: FlowRun | TaskRun = write_down(
                database,
                flow_at(flow),
                given_parameters(parameter or ()),
                {"at": at, "queue": queue, "priority": priority, "idempotency_key": key, "name": name},
            )
        except (FlowNotFound, ParameterBindError, ParameterTypeError, ValueError) as error:
            fail(str(error))
        if output is Format.TABLE:
            print(run.id, flush=True)
        if wait:
            run = _ended(database, run)
        if output is Format.JSON:
            _write(database, run)
    if wait and not run.state.is_completed():
        raise typer.Exit(1)


def _write(database: Database, run: FlowRun | TaskRun) -> None:
    from actwright.control.documents import run_document
    from actwright.control.liveness import dead_nodes
    from actwright.journal.queries import runs_where
    from actwright.journal.schema import runs

    dead = dead_nodes(database)
    with database.reading() as connection:
        found = runs_where(connection, runs.c.id == str(run.id))
    write_json(run_document(found[0], dead))


def _ended(database: Database, run: FlowRun | TaskRun) -> FlowRun | TaskRun:
    from actwright.client.requests import wait_for_end
    from actwright.client.steps import run_steps

    ended = run_steps(wait_for_end(database, run.id, None))
    assert ended is not None  # it has no timeout
    say(f"{ended.title} ended {ended.state}")
    return ended
