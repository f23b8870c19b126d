"""`actwright runs logs`: what a run logged, and what it is about to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actwright.control.opening import journal_to_change
from actwright.control.output import MOST, Format, Output, clean, local_time, say, write_json, write_json_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.queries import FoundRun, KeptLine

__all__ = ["logs"]

_LINGER_SECONDS: Final = 0.25
"""What a run says last is kept after its last state, a few milliseconds later."""

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _level(given: str | int) -> int:
    """A level by its name, in any case, or its number. Of what nobody has given, too."""
    if isinstance(given, int):
        return given
    if given.isdecimal():
        return min(int(given), MOST)
    if given.upper() not in _LEVELS:
        raise typer.BadParameter(f"{given!r} is no level. There are {', '.join(_LEVELS)}, and numbers.")
    return int(getattr(logging, given.upper()))


def logs(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or its name.")],
    lines: Annotated[int | None, typer.Option("-n", "--lines", min=1, max=MOST, help="Only the last so many.")] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on, until the run and its hooks are done.")
    ] = False,
    all: Annotated[bool, typer.Option("--all", help="Also what the runs logged that it called.")] = False,
    level: Annotated[
        int, typer.Option(metavar="LEVEL", parser=_level, help="Lines of this level and above: warning, 30.")
    ] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Print what a run logged, oldest first.

    With --follow also what comes, until the run is final and its hooks are done; with -o json one document a line.
    """
    with journal_to_change() as database:
        from actwright.control.runs import one_run
        from actwright.journal.queries import called_by, kept_lines, last_line_seq

        with database.reading() as connection:
            found = one_run(connection, run)
            seq = last_line_seq(connection)
            kept = kept_lines(connection, str(found.run.id), called=all, level=level, limit=lines)
            runs = [found, *called_by(connection, str(found.run.id))] if all else []
        # It imports before anything is printed: a Ctrl-C in code that an import executes ends `python -m` by SIGINT,
        # even where it is caught.
        follower = _Follower(database, found, output, seq, level, with_called=all) if follow else None
        if output is Format.JSON and not follow:
            return _write_document(kept)
        _write(kept, output, {each.run.id: each for each in runs})
        if follower:
            return follower.follow()
        if not kept:
            say(f"History has no log lines of {found.run.title}, or none like that.")
        return None


def _write_document(kept: Iterable[KeptLine]) -> None:
    from actwright.control.documents import line_document

    write_json([line_document(each.line) for each in kept])


def _write(kept: Iterable[KeptLine], output: Format, runs: Mapping[UUID, FoundRun]) -> None:
    """Each at once; whose it is stands before it where that is known here."""
    from actwright.control.documents import line_document, line_text

    for line in (each.line for each in kept):
        if output is Format.JSON:
            write_json_line(line_document(line))
            continue
        whose = f"{runs[line.run_id].run.title} - " if line.run_id in runs else ""
        level = logging.getLevelName(line.level)
        print(clean(f"{local_time(line.at, exact=True)} | {level:<7} | {whose}{line_text(line)}"), flush=True)


class _Follower:
    """Prints what is logged after a place in the journal."""

    def __init__(
        self, database: Database, found: FoundRun, output: Format, seq: int, level: int, *, with_called: bool
    ) -> None:
        from actwright.control.following import follow
        from actwright.journal.progress import Progress

        self._progress = Progress(found.run.id)
        self._news = follow(database, self._progress, also=self._read, linger_seconds=_LINGER_SECONDS)
        self._output = output
        self._seq = seq
        self._level = level
        self._with_called = with_called
        self._new: list[KeptLine] = []

    def follow(self) -> None:
        from actwright.control.following import ProcessChanged

        for news in self._news:
            _write(self._new, self._output, self._progress.runs if self._with_called else {})
            self._new = []
            for each in news:
                if isinstance(each, ProcessChanged) and (root := self._progress.root):
                    say(f"{root.run.title}: {each}.")

    def _read(self, connection: Connection) -> None:
        """In the transaction in which the runs that it called are read: no line comes before its run."""
        from actwright.journal.queries import lines_after

        whose = self._progress.runs if self._with_called else (self._progress.run_id,)
        found = lines_after(connection, self._seq, self._level)
        if found:
            self._seq = found[-1].seq
        self._new = sorted((kept for kept in found if kept.line.run_id in whose), key=lambda kept: kept.line.at)
