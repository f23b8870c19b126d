"""What is done to a journal besides keeping history in it: bring it up to date, prune it, check it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actwright.exceptions import JournalVersionError
from actwright.journal.checking import check
from actwright.journal.database import Database, stored_version, version_error
from actwright.journal.invariants import Finding
from actwright.journal.location import prepare_place
from actwright.journal.pruning import Counts, prune
from actwright.journal.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["MIGRATIONS", "Counts", "Finding", "check", "prune", "upgrade"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(path: Path | str) -> str | None:
    """Bring the file at `path` up to this version's schema; the version that it had before, None if it was empty.

    All in one transaction: it is done, or the file is as before. Programs that have it open must have ended: they know
    the old tables only.

    Raises:
        JournalVersionError: a newer Actwright made it, or one so old that no way leads from there.
        JournalLocation, JournalCorrupt, JournalUnavailable: as `Database.open` does.
    """
    real = Path(os.path.realpath(path))
    prepare_place(real, create=False)
    with closing(Database(real, synchronous="FULL")) as database, database.writing() as connection:
        before = stored_version(connection, real)
        if before is None or before < SCHEMA_VERSION:
            _migrate(connection, real, before)
        elif error := version_error(real, before):
            raise error
    return before


def _migrate(connection: Connection, path: Path, before: str | None) -> None:
    from alembic import command, config, util  # heavy, and only an upgrade needs it

    environment = config.Config(attributes={"connection": connection})
    environment.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(environment, "head")
    except util.CommandError as error:
        raise JournalVersionError(
            f"{path} cannot be upgraded from schema {before} to {SCHEMA_VERSION}: {error}. It was not changed."
        ) from error
