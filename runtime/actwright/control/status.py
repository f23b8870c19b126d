"""`actwright status`: how services are, what waits for them, and what wants somebody to see to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from actwright.control.opening import journal_if_any
from actwright.control.output import (
    Format,
    Output,
    iso_or_none,
    local_time,
    say,
    short,
    status_text,
    styled,
    table_of,
    took,
    write,
    write_json,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from actwright.control.overviews import Overview, SeenService
    from actwright.models.health import Health

__all__ = ["status"]


def status(output: Output = Format.TABLE) -> None:
    """Show how services are: what they have claimed and what waits, hooks, restarts, and how far they are behind.

    The exit code is 0 when all is well, and 1 when something wants somebody to see to it, which is said.
    """
    with journal_if_any() as database:
        if database is None:
            return write_json(None) if output is Format.JSON else None
        from actwright.control.overviews import overview_of, troubles

        found = overview_of(database)
        where = str(database.path)
    wrong = troubles(found)
    if output is Format.JSON:
        write_json(_document(found, where, wrong))
    else:
        _draw(found)
        for trouble in wrong:
            say(trouble)
    if wrong:
        raise typer.Exit(1)
    return None


# Drawing

_COLUMNS = (
    "service", "status", "since", "pid", "serves", "claimed", "waiting", "hooks due", "restarts", "loop lag",
    "journal lag", "takeover",
)  # fmt: skip


def _draw(found: Overview) -> None:
    if found.services:
        write(table_of(_COLUMNS, [_row(service) for service in found.services]))
        write("")
    write(table_of([], [[styled(name, "dim"), words] for name, words in _totals(found)]))


def _row(service: SeenService) -> list[RenderableType]:
    known, node, health = service.known, service.node, service.known.health
    word = health.phase.value if service.is_alive and health is not None else node.status.value
    about: list[RenderableType] = [short(known.id), status_text(word), ""]
    if health is None:
        return [*about, str(node.row.pid), *[""] * (len(_COLUMNS) - 4)]
    about[2] = local_time(health.since)
    return [*about, str(node.row.pid), *_told(health)]


def _told(health: Health) -> list[RenderableType]:
    return [
        ", ".join(health.serves),
        f"{health.claimed}" if health.limit is None else f"{health.claimed} of {health.limit}",
        "" if health.waiting is None else str(health.waiting),
        str(health.due_hooks),
        str(health.restarts),
        _milliseconds(health.loop_lag_seconds),
        _milliseconds(health.journal_lag_seconds),
        health.takeover.value,
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _totals(found: Overview) -> Iterator[tuple[str, str]]:
    if not found.services:
        yield "services", "none"
    yield "runs", _counts(found.open_runs) or "none open"
    yield "queue", _queue(found) or "empty"
    yield "hooks", _counts({status.lower(): count for status, count in found.hooks.items()}, zeros=True)
    yield "processes", _counts(Counter(node.status.value for node in found.nodes)) or "none"


def _queue(found: Overview) -> str:
    due, later = sum(each.due for each in found.waiting), sum(each.later for each in found.waiting)
    first = min((each.due_since for each in found.waiting if each.due_since is not None), default=None)
    words = [f"{due} due, for {took(first, found.at)}"] if due else []
    return ", ".join([*words, f"{later} later"] if later else words)


def _counts(counts: Mapping[str, int], *, zeros: bool = False) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count or zeros)


# For programs


def _document(found: Overview, where: str, wrong: Sequence[str]) -> dict[str, Any]:
    return {
        "journal": where,
        "at": iso_or_none(found.at),
        "trouble": wrong,
        "services": [_service_document(each) for each in found.services],
        "open_runs": dict(found.open_runs),
        "queue": [
            {
                "entry": each.entry,
                "queue": each.queue,
                "due": each.due,
                "later": each.later,
                "due_since": iso_or_none(each.due_since),
                "is_served": found.is_taken(each),
            }
            for each in found.waiting
        ],
        "hooks": {status.lower(): count for status, count in found.hooks.items()},
        "processes": dict(Counter(node.status.value for node in found.nodes)),
    }


def _service_document(service: SeenService) -> dict[str, Any]:
    health = service.known.health
    return {
        "id": service.known.id,
        "node_id": service.node.row.id,
        "process": service.node.status.value,
        "pid": service.node.row.pid,
        "host": service.node.row.host,
        "said_at": iso_or_none(service.known.said_at),
        "health": None if health is None else health.model_dump(mode="json"),
    }
