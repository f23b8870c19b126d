"""The actor that writes down how its service is, for others to see: `actwright status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync

from actwright.journal import services, submissions
from actwright.serving.trouble import Trouble
from actwright_actors import Actor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actwright.journal.sql_journal import SqlJournal
    from actwright.models.health import Health
    from actwright.models.submissions import Offer
    from actwright_actors import ExitReason

__all__ = ["BEAT_SECONDS", "Beat", "Heartbeat", "Queue"]

BEAT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Beat:
    """It is time."""


@dataclass(slots=True)
class Queue:
    """What waits for a service, as it was seen last. It outlives the actor that looks.

    Attributes:
        due: how many submissions it could claim; None before it has looked.
        since: since when the first of them is due; None where none is.
    """

    due: int | None = None
    since: datetime | None = None


class Heartbeat(Actor[Beat]):
    """Every `BEAT_SECONDS`.

    Args:
        service_id: of the service, whatever process it is in.
        health: how that is, now; called in the loop.
    """

    def __init__(
        self, journal: SqlJournal, service_id: str, offers: Sequence[Offer], queue: Queue, health: Callable[[], Health]
    ) -> None:
        self._journal = journal
        self._service_id = service_id
        self._offers = offers
        self._queue = queue
        self._health = health
        self._trouble = Trouble("How this service is cannot be written down")

    async def on_start(self) -> None:
        self.context.ref.tell(Beat())

    async def handle(self, message: Beat) -> None:
        await run_sync(self._trouble.passed_over, self._count)
        health = self._health()
        await run_sync(self._trouble.passed_over, lambda: self._note(health))
        self.context.timers.start("beat", Beat(), BEAT_SECONDS)

    async def on_stop(self, reason: ExitReason) -> None:
        """Nobody is to look for a service that has ended; one that is killed is found by its process."""
        await run_sync(self._trouble.passed_over, self._forget)

    def _count(self) -> None:
        now = self.context.system.clock.wall()
        with self._journal.database.reading() as connection:
            found = [each for each in submissions.waiting(connection, now) if each.is_for(self._offers)]
        self._queue.due = sum(each.due for each in found)
        self._queue.since = min((each.due_since for each in found if each.due_since is not None), default=None)

    def _note(self, health: Health) -> None:
        with self._journal.database.writing() as connection:
            services.note(connection, self._service_id, self._journal.node_id, health)

    def _forget(self) -> None:
        with self._journal.database.writing() as connection:
            services.forget(connection, self._service_id)
