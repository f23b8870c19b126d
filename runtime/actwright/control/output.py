"""How commands speak: what was asked for on stdout, as a table or as JSON; everything else on stderr.

rich is loaded where something is drawn: programs, which read JSON, do not wait for it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from actwright.models.states import State

__all__ = [
    "MOST",
    "STYLES",
    "Format",
    "Output",
    "age_option",
    "ago",
    "clean",
    "console",
    "fail",
    "iso_or_none",
    "json_or_text",
    "local_time",
    "never_fail_to_print",
    "one_line",
    "parse_since",
    "parse_span",
    "say",
    "short",
    "state_text",
    "status_text",
    "styled",
    "table_of",
    "took",
    "write",
    "write_json",
    "write_json_line",
]


class Format(StrEnum):
    """What stdout gets."""

    TABLE = "table"
    JSON = "json"


Output: TypeAlias = Annotated[
    Format, typer.Option("--output", "-o", help="A table for people, or JSON with stable keys for programs.")
]

MOST: Final = 1_000_000_000
"""Of what one asks to be shown: more than there is, and less than SQLite can count."""

STYLES: Final = {
    "COMPLETED": "green", "SUCCEEDED": "green", "alive": "green", "serving": "green",
    "FAILED": "red", "CRASHED": "bold red", "dead": "bold red",
    "CANCELLING": "yellow", "CANCELLED": "yellow", "SKIPPED": "yellow", "stopped": "yellow", "unresponsive": "yellow",
    "starting": "magenta", "draining": "yellow", "failed": "bold red",
    "SCHEDULED": "magenta", "DUE": "magenta", "being recovered": "magenta",
    "RUNNING": "blue",
}  # fmt: skip
"""How states, statuses of deliveries and of nodes are drawn."""

_WIDE: Final = 1_000_000  # what reads a pipe wants whole lines
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END: Final = re.compile("[\t\n\u2028\u2029]")
_LINE_ENDS: Final = {"\n": "\\n", "\t": "\\t"}
_WHOLE: Final = frozenset({"id", "event", "status", "due", "at", "started", "took"})
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


# Saying


def say(message: str) -> None:
    """A word to whoever sits there; never mixed with what a program reads."""
    print(clean(message), file=sys.stderr)


def fail(message: str, code: int = 2) -> NoReturn:
    """End the command with one line: 2 for what was asked wrongly, 1 for what went wrong."""
    say(f"actwright: {message}")
    raise typer.Exit(code)


def write_json(document: Any) -> None:
    """On stdout, in ASCII: whatever reads it gets the same. A number that JSON has no word for is an object, as
    everywhere in history."""
    from actwright.models.marks import with_finite_numbers  # only this needs pydantic here

    print(json.dumps(with_finite_numbers(document), indent=2, allow_nan=False))


def write_json_line(document: Any) -> None:
    """The same in one line, and at once: a program reads it while others are still to come."""
    from actwright.models.marks import with_finite_numbers

    print(json.dumps(with_finite_numbers(document), allow_nan=False), flush=True)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """A table without lines, and without a head if there are no columns' names. Cells that are strings are cleaned, and
    each is one line: whoever reads a pipe gets a row in every line. Ids, words and times stay whole where it is narrow.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=bool(columns))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def write(drawing: RenderableType) -> None:
    """Draw on stdout; without blanks at the ends of lines where no terminal shows it."""
    drawer = console()
    if drawer.is_terminal:
        drawer.print(drawing)
        return
    with drawer.capture() as captured:
        drawer.print(drawing)
    print("\n".join(line.rstrip() for line in captured.get().removesuffix("\n").split("\n")))


def console() -> Console:
    """What draws on stdout. It takes text as it is: a run may be named `[red]`."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False)


def never_fail_to_print() -> None:
    """Where the terminal's encoding has no dots and dashes, question marks will do."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # whatever stands in for it may not have it
        if reconfigure is not None:
            reconfigure(errors="replace")


# Words


def clean(text: str) -> str:
    """Text of users' own without what a terminal obeys: an escape sequence in a run's name must not clear a screen."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """The same, and in one line, whatever its reader takes for the end of a line."""
    return _LINE_END.sub(lambda found: _LINE_ENDS.get(found[0], f"\\u{ord(found[0]):04x}"), clean(text))


def short(id: object) -> str:
    """Enough of an id for people. Commands take it, too."""
    return str(id)[:8]


def local_time(at: datetime | None, *, exact: bool = False) -> str:
    """A time as the clock on the wall has it; with `exact` to the millisecond."""
    if at is None:
        return ""
    local = at.astimezone()
    return local.isoformat(" ", "milliseconds" if exact else "seconds")[: 23 if exact else 19]


def iso_or_none(at: datetime | None) -> str | None:
    """A time for programs: ISO 8601 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def took(began: datetime | None, ended: datetime | None) -> str:
    """How long something took, in words that fit what it is."""
    if began is None or ended is None:
        return ""
    seconds = (ended - began).total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def state_text(state: State[Any], *, dead: bool = False) -> Text:
    """A state's name; of a run that its process left open, that too."""
    if dead:
        return styled(f"{one_line(state.name)}, its process is dead", STYLES["dead"])
    return styled(one_line(state.name), STYLES.get(state.type, ""))


def status_text(status: str) -> Text:
    """The word for how a delivery, a node or a service is, in its color."""
    return styled(status, STYLES.get(status, ""))


def styled(words: str, style: str) -> Text:
    """Words as they are drawn."""
    from rich.text import Text

    return Text(words, style)


# What people give


def json_or_text(given: str) -> Any:
    """The value that is meant by a word of a command line: JSON, or else the text as it stands. NaN is no JSON."""
    try:
        return json.loads(given, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return given


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is Python's own")


def parse_span(given: str) -> timedelta:
    """A span of time: "90s", "30m", "2h", "30d", "2w".

    Raises:
        typer.BadParameter: it is none.
    """
    found = _SPAN.fullmatch(given.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{given!r} is no span of time. Write 90s, 30m, 2h, 30d or 2w.")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise typer.BadParameter(f"{given!r} is longer than any calendar.") from error


def ago(span: timedelta) -> datetime:
    """The moment so long before now.

    Raises:
        typer.BadParameter: there is none.
    """
    try:
        return datetime.now(UTC) - span
    except OverflowError as error:
        raise typer.BadParameter("that is before any calendar.", param_hint="--older-than") from error


def parse_since(given: str) -> datetime:
    """A point of time: a span before now ("2h"), or ISO 8601 (without an offset: local time).

    Raises:
        typer.BadParameter: it is neither, or no such time exists.
    """
    try:
        if _SPAN.fullmatch(given.strip().lower()):
            return datetime.now(UTC) - parse_span(given)
        return datetime.fromisoformat(given.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{given!r} is no time. Write a span before now (2h, 30m, 7d), or ISO 8601 (2025-01-31T08:00)."
        raise typer.BadParameter(message) from error


def age_option(help: str) -> Any:
    """`--since`, which each list has."""
    return typer.Option("--since", metavar="SPAN|ISO", parser=parse_since, help=help)
