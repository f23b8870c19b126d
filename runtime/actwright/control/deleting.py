"""`actwright runs delete`: runs that have ended, with all that belongs to them, are taken out of history."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actwright.control.asking import ask
from actwright.control.opening import journal_to_change
from actwright.control.output import Format, Output, ago, fail, parse_span, say, short, write, write_json
from actwright.control.rehearsing import counts_table, rehearsed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.pruning import Obstacles
    from actwright.journal.queries import FoundRun
    from actwright.journal.upkeep import Counts

__all__ = ["delete", "reason_to_keep"]

_MOST_TOLD: Final = 5


def delete(  # its parameters are the options: typer knows no object that holds them
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs: the id, the beginning of it, or the name.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Those in this state. Again: or in this one.")
    ] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME", help="Those of this flow.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Those with this tag. Again: and this.")] = None,
    older_than: Annotated[
        timedelta | None, typer.Option(metavar="SPAN", parser=parse_span, help="Those that ended so long ago.")
    ] = None,
    with_failed_hooks: Annotated[
        bool, typer.Option("--with-failed-hooks", help="Also those of which a hook failed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be deleted, and delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete runs that have ended, with all that they called, their states, hooks and logs.

    Either those that are named, all or none of them; or those that nobody else called and that fit the options, where
    those that cannot go stay. Open runs stay, and so do those with a hook that is due or, without
    --with-failed-hooks, failed.
    """
    by_options = bool(state or flow is not None or tag or older_than is not None)
    if bool(runs) == by_options:
        fail("Name the runs to delete, or say which with --state, --flow, --tag or --older-than; not both.")
    with journal_to_change() as database:
        with database.reading() as connection:
            found = _named(connection, runs or ()) or _fitting(connection, state or (), flow, tag or (), older_than)
            kept = _kept(connection, found, with_failed_hooks)
        if runs and kept:
            fail(" ".join(["Nothing was deleted.", *_words(found, kept)]))
        going = [each for each in found if str(each.run.id) not in kept]
        if going and not (dry_run or yes):
            _ask(going, many=by_options)
        counts = _deleted(database, going, kept, with_failed_hooks=with_failed_hooks, dry_run=dry_run)
    _write([each for each in going if str(each.run.id) not in kept], kept, counts, dry_run, output)
    for words in _words(found, kept):
        say(words)
    if not found:
        say("No run is like that.")
    if runs and kept:
        raise typer.Exit(1)


def _deleted(
    database: Database, going: Sequence[FoundRun], kept: dict[str, str], *, with_failed_hooks: bool, dry_run: bool
) -> Counts:
    """Delete them; those that it turned out have to stay are added to `kept`."""
    from actwright.journal.pruning import delete_runs, still_there
    from actwright.journal.upkeep import Counts

    ids = [str(each.run.id) for each in going]
    delete_them = partial(delete_runs, run_ids=ids, with_failed_hooks=with_failed_hooks)
    if not going:
        return Counts()
    if dry_run:
        return rehearsed(database, delete_them)
    counts = delete_them(database)
    with database.reading() as connection:
        kept |= dict.fromkeys(still_there(connection, ids), "a hook of it was retried just now")
    return counts


def _named(connection: Connection, given: Sequence[str]) -> list[FoundRun]:
    """Those that are meant, each once."""
    from actwright.control.runs import one_run

    return list({found.run.id: found for found in (one_run(connection, one) for one in given)}.values())


def _fitting(
    connection: Connection, states: Collection[str], flow: str | None, tags: Collection[str], span: timedelta | None
) -> list[FoundRun]:
    from actwright.control.runs import known_states
    from actwright.journal.queries import find_runs

    limit = None if span is None else ago(span)
    return find_runs(connection, states=known_states(connection, states), flow=flow, tags=tags, ended_before=limit)


def _kept(connection: Connection, found: Sequence[FoundRun], with_failed_hooks: bool) -> dict[str, str]:
    """Run id -> why it stays, for those that do."""
    from actwright.journal.pruning import obstacles

    runs = {str(each.run.id): each.run for each in found}
    reasons = {
        id: reason_to_keep(each, runs[id].state.is_final(), with_failed_hooks)
        for id, each in obstacles(connection, list(runs)).items()
    }
    return {id: why for id, why in reasons.items() if why is not None}


def reason_to_keep(found: Obstacles, is_final: bool, with_failed_hooks: bool) -> str | None:
    """Why a run is not deleted, and what to do; None if it may go.

    Args:
        found: among it and what it called.
        is_final: whether it has ended itself.
    """
    if not is_final:
        return "it has not ended"
    if found.open_runs:
        return f"of what it called, {_counted(found.open_runs, 'run has', 'runs have')} not ended"
    if found.open_hooks:
        return f"{_counted(found.open_hooks, 'hook is', 'hooks are')} due or running"
    if found.failed_hooks and not with_failed_hooks:
        hooks = _counted(found.failed_hooks, "hook", "hooks")
        return f"{hooks} failed, which may have to be seen to (--with-failed-hooks deletes it all the same)"
    return None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _ask(going: Sequence[FoundRun], *, many: bool) -> None:
    which = going[0].run.title if len(going) == 1 else f"{len(going)} runs"
    if sys.stdin.isatty():
        ask(f"Delete {which}, with all that {'it' if len(going) == 1 else 'they'} called?")
    elif many:
        fail(f"This deletes {which}, and nobody can be asked without a terminal: say --yes.")


def _write(going: Sequence[FoundRun], kept: Mapping[str, str], counts: Counts, dry_run: bool, output: Format) -> None:
    if output is Format.JSON:
        why = [{"id": id, "why": why} for id, why in kept.items()]
        runs = [str(each.run.id) for each in going]
        return write_json({"dry_run": dry_run, "deleted": runs, "kept": why, "rows": asdict(counts)})
    if dry_run and going:
        from actwright.control.runs import runs_table

        write(runs_table(going, ()))
    if any(asdict(counts).values()):
        write(counts_table(counts, dry_run=dry_run))
    return None


def _words(found: Sequence[FoundRun], kept: Mapping[str, str]) -> list[str]:
    """Which stay, and why."""
    staying = [each.run for each in found if str(each.run.id) in kept]
    words = [f"{run.title} ({short(run.id)}) stays: {kept[str(run.id)]}." for run in staying[:_MOST_TOLD]]
    rest = len(staying) - _MOST_TOLD
    return [*words, f"And so do {rest} more."] if rest > 0 else words
