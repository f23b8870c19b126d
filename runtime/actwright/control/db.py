"""`actwright db`: the journal's file is brought up to date, pruned, checked."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from actwright.control.opening import current_settings, journal_if_any
from actwright.control.output import Format, Output, ago, local_time, parse_span, say, table_of, write, write_json
from actwright.control.rehearsing import counts_table, rehearsed

if TYPE_CHECKING:
    from actwright.journal.upkeep import Counts

__all__ = ["app", "check", "prune", "upgrade"]

app = typer.Typer(no_args_is_help=True, help="The journal's file: bring it up to date, prune it, check it.")


@app.command()
def upgrade(output: Output = Format.TABLE) -> None:
    """Bring the journal up to what this version of Actwright needs. End the programs that use it first."""
    from actwright.control.opening import is_there, no_journal
    from actwright.journal.schema import SCHEMA_VERSION
    from actwright.journal.upkeep import upgrade as bring_up_to_date

    path = current_settings().database
    if not is_there():
        say(no_journal())
        return write_json(None) if output is Format.JSON else None
    before = bring_up_to_date(path)
    if output is Format.JSON:
        return write_json({"path": str(path), "from": before, "to": SCHEMA_VERSION})
    done = "is up to date" if before == SCHEMA_VERSION else f"was upgraded from schema {before}"
    print(f"{path} {done} (schema {SCHEMA_VERSION}).")
    return None


@app.command()
def prune(
    older_than: Annotated[
        timedelta | None,
        typer.Option(metavar="SPAN", parser=parse_span, help="What ended so long ago. Default: the setting."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be deleted, and delete nothing.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete runs that ended long ago, with all that belongs to them. Those with a failed or due hook are kept."""
    from actwright.journal.upkeep import prune as delete

    span = older_than if older_than is not None else current_settings().retention
    with journal_if_any() as database:
        if database is None:
            return write_json(None) if output is Format.JSON else None
        if span is None:
            say("History is kept for ever (retention_days). Give --older-than to prune all the same.")
            return write_json(None) if output is Format.JSON else None
        limit = ago(span)
        prune_it = partial(delete, older_than=limit)
        counts = rehearsed(database, prune_it) if dry_run else prune_it(database)
    _write_counts(counts, limit, dry_run, output)
    return None


def _write_counts(counts: Counts, limit: datetime, dry_run: bool, output: Format) -> None:
    numbers = asdict(counts)
    if output is Format.JSON:
        return write_json({"older_than": limit.isoformat(), "dry_run": dry_run, **numbers})
    if any(numbers.values()):
        write(counts_table(counts, dry_run=dry_run))
    else:
        say(f"Nothing that may go ended before {local_time(limit)}.")
    return None


@app.command()
def check(output: Output = Format.TABLE) -> None:
    """Look for what cannot be: damaged pages, states that do not follow each other, rows that lead nowhere.

    The exit code is 1 if something was found.
    """
    from actwright.journal.upkeep import check as find

    with journal_if_any() as database:
        findings = [] if database is None else find(database)
    if output is Format.JSON:
        write_json([asdict(finding) for finding in findings])
    elif findings:
        write(table_of(["where", "what", "rule"], [(each.subject, each.detail, each.rule) for each in findings]))
    elif database is not None:
        print(f"{database.path} is as it should be.")
    if findings:
        raise typer.Exit(1)
