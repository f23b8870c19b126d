"""The hooks and the subjects of runs whose process is gone, found again; each once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from actwright.authoring.hooks import Hook
from actwright.journal.schema import stored_objects
from actwright.replay.loading import NotLoadable, load, may_load_by_value
from actwright.replay.stand_ins import stand_in
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from actwright.authoring.registration import RegisteredHook, RegisteredSubject
    from actwright.authoring.runnable import Runnable
    from actwright.authoring.stored import StoredObject
    from actwright.journal.database import Database

__all__ = ["RegisteredObjects"]

logger = logging.getLogger("actwright.replay")


class RegisteredObjects:
    """Finds what was registered. What cannot be found stands in for itself: it raises NotLoadable when it is called.

    Args:
        database: where what was stored by value is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_value = may_load_by_value(database.path, get_current_settings().load_hooks_by_value)
        self._found: dict[StoredObject, Any] = {}

    def hook(self, registered: RegisteredHook) -> Hook:
        """A hook. One that cannot be found is not tried twice."""
        found = self._find(registered.stored)
        if not isinstance(found, NotLoadable):
            return registered.hook_of(found)

        def not_loaded(*_: object) -> None:
            raise found

        not_loaded.__name__ = registered.name  # by which logs call it
        return Hook(not_loaded)

    def subject(self, registered: RegisteredSubject) -> Runnable[..., Any]:
        """A flow or task."""
        found = self._find(registered.stored)
        return stand_in(registered, found) if isinstance(found, NotLoadable) else found

    def _find(self, stored: StoredObject) -> Any:
        if stored not in self._found:
            try:
                self._found[stored] = load(stored, self._payload, self._by_value)
            except NotLoadable as error:
                logger.error("%s", error)
                self._found[stored] = error
        return self._found[stored]

    def _payload(self, hash: str) -> bytes:
        with self._database.reading() as connection:
            payload = connection.execute(select(stored_objects.c.payload).where(stored_objects.c.hash == hash)).scalar()
        if payload is None:
            raise LookupError(f"nothing is stored under {hash}")
        return bytes(payload)
