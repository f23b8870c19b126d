"""Runs whose rows somebody or something has changed so that they cannot be read."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from actwright.journal.database import Database
from actwright.journal.invariants import Finding
from actwright.journal.schema import runs
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

__all__ = ["damaged_runs", "first_damaged_run"]

_RULE = "a run's parameters and tags can be read"


def damaged_runs(connection: Connection) -> Iterator[Finding]:
    """Each run whose parameters or tags are not the JSON that they should be."""
    for run_id, parameters, tags in connection.execute(select(runs.c.id, runs.c.parameters, runs.c.tags)):
        if not isinstance(_json(parameters), dict):
            yield Finding(_RULE, f"run {run_id}", f"its parameters are no JSON object: {_beginning(parameters)}")
        if not _are_tags(_json(tags)):
            yield Finding(_RULE, f"run {run_id}", f"its tags are no JSON list of words: {_beginning(tags)}")


def first_damaged_run() -> Finding | None:
    """One of the journal that the settings name; None if that has none, or cannot tell."""
    with (
        closing(Database.open(get_current_settings().database, create=False)) as database,
        database.reading() as connection,
    ):
        return next(damaged_runs(connection), None)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _are_tags(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(tag, str) for tag in found)  # pyright: ignore[reportUnknownVariableType]


def _beginning(text: Any) -> str:
    said = repr(text)
    return said if len(said) <= 60 else f"{said[:60]}..."
