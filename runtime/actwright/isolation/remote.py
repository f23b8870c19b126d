"""Runs as the process of a body sees them: its own, those around it, and those that it has started."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from actwright.authoring.interrupts import note_told
from actwright.exceptions import CancelledRun, ForkedRuntime, InternalError
from actwright.isolation.mailbox import RemoteMailbox, RemoteTimers
from actwright.isolation.messages import Around, CancelRun, EventsOf, Kept, LookAt, Outside, SendTo, Watch, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from queue import SimpleQueue
    from uuid import UUID

    from actwright.authoring.context import ActiveRun, Mailbox, RunContext
    from actwright.authoring.runnable import Runnable
    from actwright.isolation.conversation import Conversation
    from actwright.isolation.messages import Work
    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["OwnRun", "RemoteHandle"]


class OwnRun:
    """The run whose body this process is for. What its actor knows of it, it tells when it is asked."""

    def __init__(self, conversation: Conversation, work: Work) -> None:
        self._conversation = conversation
        self._work = work
        self.inbox = RemoteMailbox(conversation)
        self._timers = RemoteTimers(conversation)

    @property
    def snapshot(self) -> FlowRun | TaskRun:
        """As it was when this attempt of its body began."""
        return self._work.snapshot

    @property
    def subject(self) -> Runnable[..., Any]:
        return self._work.subject

    @property
    def parent(self) -> ActiveRun | None:
        return _parent_of(self.snapshot, self._conversation, 1)

    @property
    def flow(self) -> ActiveRun | None:
        return self if self.snapshot.kind == "flow" else _flow_above(self)

    @property
    def logs_prints(self) -> bool:
        return self._work.logs_prints

    def keep_line(self, level: int, logger: str, message: str, fields: str | None = None) -> None:
        self._conversation.tell(Kept(level, logger, message, fields))

    def after(self, seconds: float, fn: Callable[[], object]) -> AbstractContextManager[None]:
        return self._timers.after(seconds, fn)

    def is_stopped(self, context: RunContext) -> bool:
        return self._conversation.termination.is_asked

    def raise_if_stopped(self, context: RunContext) -> None:
        if self.is_stopped(context):
            note_told(context)
            why: str = self._conversation.ask(Why())
            raise CancelledRun(f"{self.snapshot.title}: {why}", self.snapshot.id)

    @contextmanager
    def waking(self, context: RunContext, inbox: SimpleQueue[None]) -> Generator[None]:
        def wake() -> None:
            inbox.put(None)

        on_stop = self._conversation.termination.on_stop
        on_stop.append(wake)
        try:
            yield
        finally:
            on_stop.remove(wake)


class _RunAround:
    """A run that called the body's, or called one that did. It is asked about each time: it goes on meanwhile."""

    def __init__(self, conversation: Conversation, distance: int) -> None:
        self._conversation = conversation
        self._distance = distance

    @property
    def _outside(self) -> Outside:
        found: Outside = self._conversation.ask(Around(self._distance))
        return found

    @property
    def snapshot(self) -> FlowRun | TaskRun:
        return self._outside.snapshot

    @property
    def subject(self) -> Runnable[..., Any]:
        """What may be asked of it: its name, version and description."""
        return cast("Runnable[..., Any]", self._outside)

    @property
    def parent(self) -> ActiveRun | None:
        return _parent_of(self.snapshot, self._conversation, self._distance + 1)

    @property
    def flow(self) -> ActiveRun | None:
        return self if self.snapshot.kind == "flow" else _flow_above(self)

    # The rest of what an active run is: for its own body alone.

    logs_prints = False

    def keep_line(self, level: int, logger: str, message: str, fields: str | None = None) -> None: ...

    @property
    def inbox(self) -> Mailbox:
        raise InternalError(f"{self.snapshot.title} was asked for its messages by another run's body.")

    def after(self, seconds: float, fn: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()

    def is_stopped(self, context: RunContext) -> bool:
        return False

    def raise_if_stopped(self, context: RunContext) -> None: ...

    @contextmanager
    def waking(self, context: RunContext, inbox: SimpleQueue[None]) -> Generator[None]:
        yield


def _parent_of(snapshot: FlowRun | TaskRun, conversation: Conversation, distance: int) -> ActiveRun | None:
    return None if snapshot.parent_id is None else _RunAround(conversation, distance)


def _flow_above(run: ActiveRun) -> ActiveRun | None:
    return run.parent and run.parent.flow


class RemoteHandle:
    """What a future asks of its run: here, of a run that lives in the Runtime's process."""

    def __init__(self, conversation: Conversation, run_id: UUID) -> None:
        self._conversation = conversation
        self.run_id = run_id
        self._last: FlowRun | TaskRun | None = None
        self._future: Future[State[Any]] | None = None
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> FlowRun | TaskRun:
        if self._last is None or not self._last.state.is_final():
            self._last = cast("FlowRun | TaskRun", self._conversation.ask(LookAt(self.run_id)))
        return self._last

    @property
    def future(self) -> Future[State[Any]]:
        """Asked for, it is watched: the result is sent here when it is there."""
        with self._conversation.termination.ours(), self._lock:
            if self._future is None:
                self._future = Future()
                self._conversation.tell(Watch(self.run_id))
        return self._future

    def leave_to_parent(self) -> None:
        """In a forked child: the run goes on in the other process, and nobody tells of it here."""
        self._lock, self._future = threading.Lock(), Future()
        self._future.set_exception(ForkedRuntime(f"Run {self.run_id} cannot be reached: it belongs to the parent."))

    @property
    def thread_id(self) -> int:
        return self._conversation.hears_in

    def cancel(self, reason: str | None) -> Future[None]:
        return self._conversation.answer_to(CancelRun(self.run_id, reason))

    def send(self, message: object) -> Future[None]:
        return self._conversation.answer_to(SendTo(self.run_id, message))

    def events(self, since: int) -> Sequence[RunEvent] | None:
        found: Sequence[RunEvent] | None = self._conversation.ask(EventsOf(self.run_id, since))
        return found
