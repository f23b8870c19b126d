"""`actwright runs cancel`: from another terminal, whatever process the runs are in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actwright.control.opening import journal_to_change
from actwright.control.output import MOST, Format, Output, fail, say, short, state_text, table_of, write, write_json
from actwright.exceptions import RunError, RunIsFinal, UnansweredCommand

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from actwright.client.steps import Steps
    from actwright.journal.database import Database
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["cancel"]

_PAUSE_SECONDS: Final = 0.01


@dataclass(slots=True)
class _Cancel:
    """A request on its way.

    Attributes:
        outcome: "cancelling", "final" or "unanswered"; "" while there is no answer.
        detail: what there is to say of it.
    """

    run: FlowRun | TaskRun
    steps: Steps[None]
    outcome: str = ""
    detail: str = ""

    def go_on(self) -> None:
        try:
            next(self.steps)
        except StopIteration:
            self.outcome = "cancelling"
        except RunIsFinal as error:
            self.outcome, self.detail = "final", str(error)
        except UnansweredCommand as error:
            self.outcome, self.detail = "unanswered", str(error)
        except RunError as error:
            self.outcome, self.detail = "refused", str(error)


def cancel(
    given: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Ids, beginnings of ids, or names of runs.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; history keeps it.")] = None,
    state: Annotated[list[str] | None, typer.Option(metavar="NAME", help="All open runs in this state.")] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME", help="All open runs of this flow.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="All open runs with this tag.")] = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, max=MOST, help="How long to wait for the answer of a run's process."),
    ] = 10.0,
    wait: Annotated[bool, typer.Option("--wait", help="Also wait until the runs have ended, hooks included.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Cancel runs: the one that is named, or with --state, --flow or --tag all open ones that are like that.

    It returns once they are Cancelling. A run whose process is dead is ended by its recovery, which is started. The
    exit code is 0 if all were cancelled.
    """
    if bool(given) == bool(state or flow is not None or tag):
        fail("Name the runs to cancel, or say which with --state, --flow or --tag: one of both.")
    with journal_to_change() as database:
        cancels = [
            _Cancel(run, _asking(database, run, reason, timeout))
            for run in (_named(database, given) if given else _all_like(database, state or (), flow, tag or ()))
        ]
        _carry_out(cancels)
        if wait:
            _wait_for_ends(database, cancels)
        _write(database, cancels, output)
    if not cancels:
        say("No open run is like that.")
    if any(each.outcome != "cancelling" for each in cancels):
        raise typer.Exit(1)


def _named(database: Database, given: Iterable[str]) -> list[FlowRun | TaskRun]:
    from actwright.control.runs import one_run

    with database.reading() as connection:
        found = [one_run(connection, name).run for name in given]
    return list({run.id: run for run in found}.values())


def _all_like(
    database: Database, state: Collection[str], flow: str | None, tag: Collection[str]
) -> list[FlowRun | TaskRun]:
    from actwright.control.runs import known_states
    from actwright.journal.queries import find_runs

    with database.reading() as connection:
        states = known_states(connection, state)
        found = find_runs(connection, states=states, flow=flow, tags=tag, only_open=True)
    return [each.run for each in found]


def _asking(database: Database, run: FlowRun | TaskRun, reason: str | None, timeout: float) -> Steps[None]:
    from actwright.client.requests import ask
    from actwright.models.commands import CommandKind

    return ask(database, run.id, CommandKind.CANCEL, {"reason": reason}, timeout)


def _carry_out(cancels: Iterable[_Cancel]) -> None:
    """All of them at once."""
    while waiting := [each for each in cancels if not each.outcome]:
        for each in waiting:
            each.go_on()
        time.sleep(_PAUSE_SECONDS)


def _wait_for_ends(database: Database, cancels: Iterable[_Cancel]) -> None:
    from actwright.client.requests import wait_for_end
    from actwright.client.steps import run_steps

    for each in cancels:
        if each.outcome == "cancelling":
            run_steps(wait_for_end(database, each.run.id, None, with_hooks=True))


def _write(database: Database, cancels: Iterable[_Cancel], output: Format) -> None:
    from actwright.client.requests import known_run

    now = [(each, known_run(database, each.run.id)) for each in cancels]
    if output is Format.JSON:
        return write_json([_document(each, run) for each, run in now])
    if now:
        rows = [(short(run.id), run.name, each.outcome, state_text(run.state), each.detail) for each, run in now]
        write(table_of(["id", "name", "cancel", "state", ""], rows))
    return None


def _document(each: _Cancel, run: FlowRun | TaskRun) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "name": run.name,
        "outcome": each.outcome,
        "detail": each.detail or None,
        "state_type": run.state.type.value,
        "state_name": run.state.name,
    }
