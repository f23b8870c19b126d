"""`actwright hooks`: which hooks were due, what became of them, and another try for those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actwright.control.opening import journal_if_any, journal_to_change
from actwright.control.output import (
    MOST,
    Format,
    Output,
    age_option,
    fail,
    local_time,
    say,
    short,
    status_text,
    table_of,
    took,
    write,
    write_json,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlalchemy import Connection

    from actwright.journal.queries import FoundDelivery

__all__ = ["COLUMNS", "Status", "app", "delivery_rows", "inspect", "ls", "one_delivery", "retry"]

app = typer.Typer(no_args_is_help=True, help="Hooks that were due: one delivery for each hook and transition.")


class Status(StrEnum):
    """Where a delivery stands. DUE and RUNNING are open; the others are its end."""

    DUE = "DUE"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


_DELIVERY = "The delivery's id, or the beginning of it."
COLUMNS: Final = ["id", "event", "hook", "run", "status", "attempt", "due", "error"]


@app.command()
def ls(
    status: Annotated[
        list[Status] | None, typer.Option(case_sensitive=False, help="Deliveries that stand there. Again: or there.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Those of this run: its id or name.")] = None,
    since: Annotated[datetime | None, age_option("Those that became due since then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The most to show.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """List hook deliveries, newest first."""
    with journal_if_any() as database:
        if database is None:
            return write_json([]) if output is Format.JSON else None
        from actwright.control.runs import one_run
        from actwright.journal.queries import find_deliveries
        from actwright.models.deliveries import DeliveryStatus

        with database.reading() as connection:
            run_id = None if run is None else str(one_run(connection, run).run.id)
            statuses = [DeliveryStatus(each.value) for each in status or ()]
            found = find_deliveries(connection, statuses=statuses, run_id=run_id, since=since, limit=limit + 1)
    _write_deliveries(found[:limit], output)
    if not found:
        say("No hook was due." if not (status or run or since) else "No delivery is like that.")
    elif len(found) > limit:
        say(f"There are more than {limit}; --limit shows more of them.")
    return None


def _write_deliveries(found: Sequence[FoundDelivery], output: Format) -> None:
    from actwright.control.documents import delivery_document

    if output is Format.JSON:
        write_json([delivery_document(each) for each in found])
    elif found:
        write(table_of(COLUMNS, delivery_rows(found)))


def delivery_rows(found: Sequence[FoundDelivery]) -> list[Sequence[RenderableType]]:
    """Deliveries as rows of a table with `COLUMNS`."""
    return [
        (
            short(each.delivery.id),
            each.delivery.event,
            each.delivery.hook_name,
            f"{each.run_kind} {each.run_name}",
            status_text(each.delivery.status.value),
            str(each.delivery.attempt),
            local_time(each.delivery.due_at),
            each.delivery.error or "",
        )
        for each in found
    ]


@app.command()
def inspect(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help=_DELIVERY)], output: Output = Format.TABLE
) -> None:
    """Show all that history has of one delivery."""
    from actwright.control.documents import delivery_document

    with journal_to_change() as database, database.reading() as connection:
        found = one_delivery(connection, delivery)
    if output is Format.JSON:
        return write_json(delivery_document(found))
    write(table_of([], _facts(found)))
    return None


def _facts(found: FoundDelivery) -> list[Sequence[RenderableType]]:
    one = found.delivery
    cuts = f", {one.cuts} cut short by the death of their process" if one.cuts else ""
    facts: list[tuple[str, RenderableType]] = [
        ("id", str(one.id)),
        ("hook", f"{one.event} {one.hook_name}"),
        ("status", status_text(one.status.value)),
        ("run", f"{found.run_kind} {found.subject_name} {found.run_name}, {one.run_id}"),
        ("due", local_time(one.due_at, exact=True)),
        ("attempts", f"{one.attempt}{cuts}"),
        ("last began", local_time(one.started_at, exact=True)),
        ("took", took(one.started_at, one.ended_at)),
        ("replayed", "yes, by another process than the run's own" if one.replayed else ""),
        ("error", one.error or ""),
        ("node", found.node_id),
    ]
    return [fact for fact in facts if fact[1]]


def one_delivery(connection: Connection, given: str) -> FoundDelivery:
    """The delivery that is meant; ends the command if there is none, or more than one."""
    from actwright.journal.queries import matching_deliveries

    found = matching_deliveries(connection, given)
    if not found:
        fail(f"There is no delivery {given!r}: neither such an id nor a beginning of one. See `actwright hooks ls`.")
    if len(found) > 1:
        fail(f"{given!r} begins the ids of {len(found)} deliveries. Give more of it.")
    return found[0]


@app.command()
def retry(
    deliveries: Annotated[list[str], typer.Argument(metavar="DELIVERY", help=_DELIVERY)],
    output: Output = Format.TABLE,
) -> None:
    """Have hooks that failed, or were skipped, run once more, and wait for them.

    They run in a process like the one that their run was in; that one must have ended. The exit code is 0 if all
    succeeded.
    """
    from actwright.control.retrying import retry_deliveries

    with journal_to_change() as database:
        with database.reading() as connection:
            chosen = {found.delivery.id: found for found in (one_delivery(connection, one) for one in deliveries)}
        found = retry_deliveries(database, list(chosen.values()))
    _write_deliveries(found, output)
    if any(each.delivery.status.value != Status.SUCCEEDED for each in found):
        raise typer.Exit(1)
