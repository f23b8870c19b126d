"""`actwright limit`: concurrency limits, who holds their slots and who waits for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actwright.control.opening import journal_if_any, journal_made, journal_to_change
from actwright.control.output import Format, Output, clean, fail, say, table_of, took, write, write_json
from actwright.models.slots import Limit, LimitKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import RenderableType
    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.models.slots import SlotRow

__all__ = ["app", "delete", "ls", "set"]

app = typer.Typer(
    no_args_is_help=True,
    help="Concurrency limits: how many runs with a tag, or blocks of a name, are at work at once.",
)

_Tag = Annotated[str, typer.Argument(metavar="TAG", help="The tag.")]


@dataclass(slots=True)
class _InUse:
    """A limit, and what is asked of it.

    Attributes:
        slots: how many it has; of a name, each number that was given for it.
    """

    limit: Limit
    slots: list[int]
    rows: list[SlotRow] = field(default_factory=list["SlotRow"])

    @property
    def taken(self) -> int:
        """How many slots are; what one lends to another counts once."""
        return sum(row.occupy for row in self.rows if row.is_held and row.lender is None)


@app.command()
def ls(output: Output = Format.TABLE) -> None:
    """List the limits of tags, and the names that blocks hold or wait for; with who does, in order."""
    with journal_if_any() as database:
        if database is None:
            return write_json([]) if output is Format.JSON else None
        with database.reading() as connection:
            found = _limits(connection)
            dead = _dead(database, connection, found)
    if output is Format.JSON:
        return write_json([_document(each, dead) for each in found])
    if not found:
        say("No tag has a limit, and no block of `concurrency` is entered or waited for.")
        return None
    lines = [line for each in found for line in _lines(each, dead)]
    write(table_of(["limit", "name", "slots", "taken", "who", "how"], lines))
    return None


@app.command()
def set(
    tag: _Tag,
    slots: Annotated[int, typer.Argument(metavar="N", min=0, help="How many runs at once; 0 lets none begin.")],
    output: Output = Format.TABLE,
) -> None:
    """Limit how many runs with a tag are Running at once, or change that.

    Runs that are Running go on. Processes that are at work see it within 50 ms.
    """
    from actwright.authoring.tag_limits import checked_tag
    from actwright.journal.slots import set_tag_limit

    try:
        checked_tag(tag)
    except ValueError as error:
        fail(str(error))
    with journal_made() as database, database.writing() as connection:
        set_tag_limit(connection, tag, slots)
    if output is Format.JSON:
        write_json({"tag": tag, "slots": slots})


@app.command()
def delete(tag: _Tag, output: Output = Format.TABLE) -> None:
    """Limit a tag no longer. Runs that wait for it go on."""
    from actwright.journal.slots import unset_tag_limit

    with journal_to_change() as database, database.writing() as connection:
        if not unset_tag_limit(connection, tag):
            fail(f"Tag {tag!r} has no limit. See `actwright limit ls`.")
    if output is Format.JSON:
        write_json({"tag": tag})


def _limits(connection: Connection) -> list[_InUse]:
    """Those of tags first, each by name."""
    from actwright.journal.slots import all_rows, tag_limits

    found = {
        limit: _InUse(limit, [slots])
        for tag, slots in tag_limits(connection).items()
        for limit in [Limit(LimitKind.TAG, tag)]
    }
    for row in all_rows(connection):
        each = found.setdefault(row.limit, _InUse(row.limit, []))
        each.rows.append(row)
        if row.slots is not None and row.slots not in each.slots:
            each.slots.append(row.slots)
    return sorted(found.values(), key=lambda each: (each.limit.kind != LimitKind.TAG, each.limit.name))


def _dead(database: Database, connection: Connection, found: Sequence[_InUse]) -> list[str]:
    """The nodes that died with slots, or waiting: whoever waits for these gets them when it next looks."""
    from actwright.nodes.node import dead_among

    return dead_among(database, connection, sorted({row.node_id for each in found for row in each.rows}))


def _lines(each: _InUse, dead: Collection[str]) -> list[Sequence[RenderableType]]:
    """A line for the limit, and one more for each beyond the first that holds slots of it, or waits."""
    slots = ", ".join(map(str, sorted(each.slots)))
    about = [each.limit.kind, clean(each.limit.name), slots, str(each.taken)]
    told = [_told(row, dead) for row in sorted(each.rows, key=lambda row: not row.is_held)] or [("", "")]
    return [[*(about if place == 0 else [""] * len(about)), *words] for place, words in enumerate(told)]


def _told(row: SlotRow, dead: Collection[str]) -> tuple[str, str]:
    """Who it is, and how it stands with it."""
    since = datetime.fromisoformat(row.held_since or row.asked_at)
    lent = ", lent by what it is in" if row.lender is not None else ""
    slots = f" {row.occupy} slots" if row.occupy > 1 else ""
    does = f"holds{slots}{lent}" if row.is_held else f"waits{f' for{slots}' if slots else ''}"
    how_long = "dead" if row.node_id in dead else took(since, datetime.now(since.tzinfo))
    return clean(row.title), f"{does} ({how_long})"


def _document(each: _InUse, dead: Collection[str]) -> dict[str, Any]:
    return {
        "kind": each.limit.kind,
        "name": each.limit.name,
        "slots": sorted(each.slots),
        "taken": each.taken,
        "holders": [_claim_document(row, dead) for row in each.rows if row.is_held],
        "waiting": [_claim_document(row, dead) for row in each.rows if not row.is_held],
    }


def _claim_document(row: SlotRow, dead: Collection[str]) -> dict[str, Any]:
    return {
        "title": row.title,
        "run_id": row.run_id,
        "node_id": row.node_id,
        "is_dead": row.node_id in dead,
        "occupy": row.occupy,
        "slots": row.slots,
        "is_lent": row.lender is not None,
        "asked_at": row.asked_at,
        "held_since": row.held_since,
    }
