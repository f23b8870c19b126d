"""The actor that claims submissions and begins them, as many as there is room for."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync

from actwright.authoring.entry import Call, Known
from actwright.authoring.futures import wait
from actwright.exceptions import Fenced
from actwright.serving.trouble import Trouble
from actwright.telemetry.carriers import context_of_caller
from actwright_actors import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from actwright.authoring.flows import Flow
    from actwright.authoring.futures import Handle
    from actwright.engine.runtime import Runtime
    from actwright.journal.sql_journal import SqlJournal
    from actwright.models.submissions import Claimed, Offer

__all__ = ["LOOK_SECONDS", "Claims", "Ended", "Look", "Work"]

logger = logging.getLogger("actwright.serving")

LOOK_SECONDS: Final = 0.05
"""How often it looks for what was submitted."""


@dataclass(slots=True)
class Work:
    """What a service has claimed. It outlives the actor that claims.

    Attributes:
        flows: those that are served, by their entry.
        limit: how many submitted runs may be at work here at once; None: as many as come.
        claimed: what is not begun yet.
        begun: the runs that have not ended.
        is_over: nothing is claimed any more.
    """

    flows: Mapping[str, Flow[..., Any]]
    offers: tuple[Offer, ...]
    limit: int | None
    claimed: deque[Claimed] = field(default_factory=deque["Claimed"])
    begun: dict[UUID, Handle[Any]] = field(default_factory=dict["UUID", "Handle[Any]"])
    is_over: bool = False

    @property
    def room(self) -> int:
        """How many more may begin."""
        return _MOST_AT_ONCE if self.limit is None else self.limit - len(self.begun) - len(self.claimed)


_MOST_AT_ONCE: Final = 100
"""Of one claim: others are to have their share."""


@dataclass(frozen=True, slots=True)
class Look:
    """It is time to look, or there is room again."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run has ended."""

    run_id: UUID


class Claims(Actor[Look | Ended]):
    """Looks every `LOOK_SECONDS`, and at once where a run has ended."""

    def __init__(self, runtime: Runtime, journal: SqlJournal, work: Work) -> None:
        self._runtime = runtime
        self._journal = journal
        self._work = work
        self._trouble = Trouble("What was submitted cannot be claimed")

    async def on_start(self) -> None:
        for run_id, handle in self._work.begun.items():  # of an actor that fell
            self.context.start_soon(self._wait_for, run_id, handle)
        self.context.ref.tell(Look())

    async def handle(self, message: Look | Ended) -> None:
        if isinstance(message, Ended):
            self._work.begun.pop(message.run_id, None)
        # The thread notes what it claims: this task may be cancelled meanwhile.
        await run_sync(self._claim)
        while self._work.claimed:
            self._begin(self._work.claimed[0])
            self._work.claimed.popleft()
        self.context.timers.start("look", Look(), LOOK_SECONDS)

    def _claim(self) -> None:
        work = self._work
        if work.is_over:
            return
        try:
            now = self.context.system.clock.wall()
            claim = partial(self._journal.claim, work.offers, max(work.room, 0), now)
            work.claimed += self._trouble.passed_over(claim) or ()
        except Fenced:  # its service hears of it, and ends: a restart of this actor would help nobody
            work.is_over = True

    def _begin(self, claimed: Claimed) -> None:
        run_id = claimed.run.id
        asked = tuple((command, partial(self._journal.answer, command)) for command in claimed.cancels)
        known = Known(claimed.run, claimed.deaths, claimed.is_named, asked)
        flow = self._work.flows[str(claimed.run.entry)]
        call = Call(flow, claimed.parameters, return_state=True, known=known)
        handle = context_of_caller(claimed.caller_context).run(self._runtime.begin, call)
        self._work.begun[run_id] = handle
        self.context.start_soon(self._wait_for, run_id, handle)

    async def _wait_for(self, run_id: UUID, handle: Handle[Any]) -> None:
        await wait([handle])
        self.context.ref.tell(Ended(run_id))
