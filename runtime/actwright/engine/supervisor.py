"""The supervisor of runs: sees the death of a run's actor, takes requests to cancel, and sends state messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from actwright.engine.messages import Crash
from actwright.exceptions import InternalError
from actwright_actors import Actor, ActorRef, Crashed, Down, StartFailed

if TYPE_CHECKING:
    from concurrent.futures import Future

    from actwright.engine.host import Host
    from actwright.engine.live_run import LiveRun
    from actwright.engine.messages import RunMessage
    from actwright_actors import ExitReason

__all__ = ["MAX_TAKEOVERS", "CancelRequested", "Escalation", "RunSupervisor"]


MAX_TAKEOVERS: Final = 5
"""Of one run. What kills one actor after the other would kill the next, and keep the loop busy with it."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants a run stopped, and knows its id alone."""

    run_id: UUID
    reason: str | None
    answer: Future[None]


class RunSupervisor(Actor[Down | CancelRequested]):
    """Monitors the actor of every live run. One that dies before its run is done is replaced by another, which is
    told of the crash and brings the run to its end, hooks included."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def on_start(self) -> None:
        # Restarted, it watches again: whoever died meanwhile answers at once.
        for run in self._host.live_runs():
            if run.ref is not None:
                run.ref.monitor(self.context.ref)

    async def handle(self, message: Down | CancelRequested) -> None:
        match message:
            case Down(ref, reason):
                run = self._host.run_of_actor(ref)
                if run is not None and not run.future.done():
                    self._take_over(run, reason)
            case CancelRequested(run_id, reason, answer):
                run = self._host.live_run(run_id)
                if run is not None:
                    run.cancel(reason, answer)
                else:
                    answer.set_exception(self._host.no_such_run(run_id))

    def _take_over(self, run: LiveRun, reason: ExitReason) -> None:
        cause = reason.error if isinstance(reason, Crashed | StartFailed) else None
        error = InternalError(f"The actor of {run.title} ended before its run did: {reason}")
        error.__cause__ = cause
        run.takeovers += 1
        if run.takeovers > MAX_TAKEOVERS:
            self._host.give_up(run, error)
            return
        successor: ActorRef[RunMessage] = self._host.start_actor(run)
        # What ends the process ends the run too, and the caller has to see that, not an error of ours.
        ends_process = isinstance(cause, SystemExit | KeyboardInterrupt)
        successor.signal(Crash(cause if cause and ends_process else error, str(error)))


class Escalation(Actor[Down]):
    """Hears when the supervisor itself gives up, and tells the host: there is nobody else above."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle(self, message: Down) -> None:
        if message.reason.is_abnormal:
            self._host.supervision_failed()
