"""A run of another process, by its id."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actwright.authoring.events import RunEvents
from actwright.authoring.letters import letter_of
from actwright.client.requests import ANSWER_SECONDS, NodeOf, ask, known_run, wait_for_end
from actwright.client.steps import run_steps, run_steps_async
from actwright.journal import reading
from actwright.models.commands import CommandKind, checked_reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from actwright.client.steps import Steps
    from actwright.journal.database import Database
    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["RemoteRun", "SyncRemoteRun"]


class _Known:
    """What both kinds know, and what they ask, in steps."""

    def __init__(self, database: Database, run: FlowRun | TaskRun) -> None:
        self._database = database
        self._run = run

    @property
    def id(self) -> UUID:
        """The id of the run."""
        return self._run.id

    @property
    def name(self) -> str:
        """The name of the run."""
        return self._run.name

    @property
    def run(self) -> FlowRun | TaskRun:
        """The run as it was when it was last read: a snapshot."""
        return self._run

    @property
    def state(self) -> State[Any]:
        """The state that it was in then."""
        return self._run.state

    def _read(self) -> FlowRun | TaskRun:
        self._run = known_run(self._database, self.id)
        return self._run

    def _cancelling(self, reason: str | None, timeout: float) -> Steps[None]:
        return ask(self._database, self.id, CommandKind.CANCEL, {"reason": checked_reason(reason)}, timeout)

    def _sending(self, message: object, timeout: float) -> Steps[None]:
        return ask(self._database, self.id, CommandKind.SEND, letter_of(message).to_payload(), timeout)

    def _waiting(self, timeout: float | None) -> Steps[bool]:
        run = yield from wait_for_end(self._database, self.id, timeout)
        self._run = run or self._read()
        return run is not None

    def events(self, since: int = 0) -> RunEvents:
        """The states that the run enters, until it is final; as `Handle.events`. A dead process is recovered."""
        return RunEvents(partial(_events, self._database, self.id, NodeOf(self._database, self.id)), since)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._run.kind} run {self.name!r}: {self.state.name}>"


class RemoteRun(_Known):
    """A run of any process, for async code. `Client.get_run` gives one."""

    async def refresh(self) -> FlowRun | TaskRun:
        """Read it anew."""
        from anyio.to_thread import run_sync

        return await run_sync(self._read)

    async def cancel(self, reason: str | None = None, *, timeout: float = ANSWER_SECONDS) -> None:
        """Cancel the run; returns once Cancelling is committed. Of a dead process, once its recovery has ended it.

        Cancelled itself, it does not take the request back.

        Raises:
            RunIsFinal: it has ended; the message names the state.
            UnansweredCommand: its process did not answer for `timeout` seconds. The request is kept.
        """
        await run_steps_async(self._cancelling(reason, timeout))

    async def send(self, message: object, *, timeout: float = ANSWER_SECONDS) -> None:
        """Send a message, which travels as JSON; returns once it is in the run's mailbox. Messages of one sender arrive
        in order, and each once.

        Raises:
            AuthoringError: it cannot be made JSON.
            RunIsFinal, UnansweredCommand: as `cancel`. MailboxFull comes as a RunError.
        """
        await run_steps_async(self._sending(message, timeout))

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is final, for `timeout` seconds at most; whether it is. `state` tells how it ended."""
        return await run_steps_async(self._waiting(timeout))


class SyncRemoteRun(_Known):
    """The same for sync code: each call blocks. What each does and raises, `RemoteRun` says."""

    def refresh(self) -> FlowRun | TaskRun:
        """Read it anew."""
        return self._read()

    def cancel(self, reason: str | None = None, *, timeout: float = ANSWER_SECONDS) -> None:
        """Cancel the run."""
        run_steps(self._cancelling(reason, timeout))

    def send(self, message: object, *, timeout: float = ANSWER_SECONDS) -> None:
        """Send a message."""
        run_steps(self._sending(message, timeout))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is final; whether it is."""
        return run_steps(self._waiting(timeout))


def _events(database: Database, run_id: UUID, node: NodeOf, since: int) -> Sequence[RunEvent] | None:
    with database.reading() as connection:
        found = reading.events(connection, run_id, since)
    if found == []:
        known_run(database, run_id)  # an unknown one would be followed for ever, as one would that nobody ends
        node.recover_if_dead()
    return found
