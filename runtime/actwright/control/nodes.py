"""`actwright nodes`: the processes that history knows of, and how each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from actwright.control.opening import journal_if_any
from actwright.control.output import STYLES, Format, Output, local_time, say, short, styled, table_of, write, write_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from actwright.control.liveness import KnownNode

__all__ = ["nodes"]


def nodes(
    all: Annotated[bool, typer.Option("--all", help="Also those that ended with nothing left to do.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List nodes, oldest first: processes that run flows, and those that died with something left to do."""
    with journal_if_any() as database:
        if database is None:
            return write_json([]) if output is Format.JSON else None
        from actwright.control.documents import node_document
        from actwright.control.liveness import known_nodes

        with database.reading() as connection:
            found = known_nodes(connection, database, ended=all)
    if output is Format.JSON:
        return write_json([node_document(node) for node in found])
    if found:
        write(table_of(["id", "status", "pid", "host", "started", "open runs", "due hooks", "program"], _rows(found)))
    _say_what_to_do(found)
    return None


def _rows(found: Sequence[KnownNode]) -> list[Sequence[RenderableType]]:
    from actwright.control.documents import program_text

    return [
        (
            short(node.row.id),
            _status(node),
            str(node.row.pid),
            node.row.host,
            local_time(node.row.started_at),
            str(node.work.open_runs),
            str(node.work.due_hooks),
            program_text(node),
        )
        for node in found
    ]


def _status(node: KnownNode) -> Text:
    words = node.status.value
    if node.unresponsive_seconds is not None:
        words += f" for {node.unresponsive_seconds:.0f} s"
    return styled(words, STYLES.get(node.status, ""))


def _say_what_to_do(found: Sequence[KnownNode]) -> None:
    statuses = {node.status.value for node in found if node.row.settled_at is None}  # others were taken over already
    if not found:
        say("No process is at work, and none died with something left to do.")
    if "dead" in statuses:
        say("`actwright recover` sees to the dead ones.")
    if "stopped" in statuses:
        say("`actwright recover --force NODE` takes over one that is stopped and will not go on.")
