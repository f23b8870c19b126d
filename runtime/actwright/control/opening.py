"""The journal that commands look into: the one that the settings name, if it is there."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from actwright.control.output import fail, say

if TYPE_CHECKING:
    from actwright.journal.database import Database
    from actwright.settings import Settings

__all__ = ["current_settings", "is_there", "journal_if_any", "journal_made", "journal_to_change", "no_journal"]


def current_settings() -> Settings:
    """The settings of this process. What they are made with is loaded here: not for `--help`."""
    from actwright.settings import get_current_settings

    return get_current_settings()


@contextmanager
def journal_if_any() -> Generator[Database | None]:
    """The journal, or None (said on stderr) when there is none yet. Nothing is made.

    Raises:
        JournalError: it cannot be opened; SettingsError: the settings cannot be.
    """
    from actwright.journal.database import Database  # SQLAlchemy: not for `--help`

    settings = current_settings()
    if not is_there():
        say(no_journal())
        yield None
        return
    with closing(Database.open(settings.database, synchronous=settings.synchronous, create=False)) as database:
        yield database


@contextmanager
def journal_to_change() -> Generator[Database]:
    """The journal, for a command that needs one: without one it ends the command."""
    if not is_there():
        fail(no_journal())
    with journal_if_any() as database:
        assert database is not None
        yield database


@contextmanager
def journal_made() -> Generator[Database]:
    """The journal, for a command that puts something into it before any flow has run: made if there is none."""
    from actwright.journal.database import Database

    settings = current_settings()
    with closing(Database.open(settings.database, synchronous=settings.synchronous)) as database:
        yield database


def no_journal() -> str:
    """What is to be said when there is none."""
    return f"There is no journal at {current_settings().database}: no flow has run with this ACTWRIGHT_HOME."


def is_there() -> bool:
    """Whether there is a journal, or something in its place."""
    path = current_settings().database
    try:
        return path.stat().st_size > 0  # an empty file is one that a program is about to fill
    except FileNotFoundError:
        return False
    except OSError:  # opening it says what is wrong
        return True
