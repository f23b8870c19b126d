"""The actor that submits a flow when its schedule says so. Several services with one schedule submit each time once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from anyio.to_thread import run_sync

from actwright.client.submitting import SubmitOptions, prepare
from actwright.journal import schedules, submissions
from actwright.models.commands import Command, CommandKind
from actwright.serving.due import due_now
from actwright.serving.overlaps import OpenRun, Skip, meet
from actwright.serving.trouble import Trouble
from actwright_actors import Actor

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from actwright.authoring.flows import Flow
    from actwright.journal.database import Database
    from actwright.models.runs import FlowRun
    from actwright.serving.due import Due, Occurrence
    from actwright.serving.schedules import Schedule

__all__ = ["Look", "Scheduler"]

logger = logging.getLogger("actwright.serving")

_LONGEST_PAUSE: Final = timedelta(seconds=30)
"""A clock may be set meanwhile."""

_JOURNAL_PAUSE: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Look:
    """It may be time."""


class Scheduler(Actor[Look]):
    """Submits what is due. What was missed, and what overlaps, are decided by `due` and `overlaps`."""

    def __init__(self, database: Database, flow: Flow[..., Any], schedule: Schedule) -> None:
        self._database = database
        self._flow = flow
        self._schedule = schedule
        self._trouble = Trouble(f"Schedule {schedule.name!r} cannot be seen to")

    async def on_start(self) -> None:
        self.context.ref.tell(Look())

    async def handle(self, message: Look) -> None:
        now = self.context.system.clock.wall()
        pause = await run_sync(self._see_to, now)
        if pause is not None:
            self.context.timers.start("look", Look(), pause.total_seconds())

    def _see_to(self, now: datetime) -> timedelta | None:
        """Submit what is due; how long until the next look, None if no time will come."""
        due = self._trouble.passed_over(lambda: self._settle(now))
        if due is None:
            return _JOURNAL_PAUSE
        self._tell(due)
        if due.look_again is None:
            return None
        return min(max(due.look_again - now, timedelta(0)), _LONGEST_PAUSE)

    def _settle(self, now: datetime) -> Due:
        """In one transaction, so that another service sees all of it or nothing."""
        name = self._schedule.name
        with self._database.writing() as connection:
            mark = schedules.mark_of(connection, name, str(self._schedule.rule), now)
            due = due_now(self._schedule, now, known_since=mark.known_since, last=mark.through)
            for occurrence in due.submit:
                self._submit(connection, occurrence, now)
            if due.clock_was_wrong:
                schedules.begin_anew(connection, name, due.through)
            elif due.through != mark.through:
                schedules.note_through(connection, name, due.through)
        return due

    def _submit(self, connection: Connection, occurrence: Occurrence, now: datetime) -> None:
        open_runs = submissions.open_of_schedule(connection, self._schedule.name)
        verdict = meet(self._schedule, [OpenRun(run.id, begun=run.run_count > 0) for run in open_runs])
        if isinstance(verdict, Skip):
            logger.info("The run of %s at %s is skipped: %s.", self._schedule.name, occurrence.at, verdict.reason)
            return
        for run in open_runs:
            if run.id in verdict.cancel:
                self._cancel(connection, run, now)
        options: SubmitOptions = {
            "at": occurrence.due,
            "idempotency_key": occurrence.key,
            "schedule": self._schedule.name,
            "takes_turns": bool(verdict.after),
        }
        prepare(self._flow, self._schedule.parameters, options).submit(connection)

    def _cancel(self, connection: Connection, run: FlowRun, now: datetime) -> None:
        reason = {"reason": f"the next run of schedule {self._schedule.name!r} is due."}
        submissions.ask_to_cancel(connection, run, Command(uuid4(), run.id, CommandKind.CANCEL, now, reason))

    def _tell(self, due: Due) -> None:
        if due.clock_was_wrong:
            logger.warning("The clock was wrong when schedule %r was last seen to.", self._schedule.name)
        if due.missed is not None:
            first, last = due.missed.first, due.missed.last
            logger.warning("Times of schedule %r were missed, from %s to %s.", self._schedule.name, first, last)
