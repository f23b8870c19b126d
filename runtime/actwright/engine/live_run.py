"""The engine's record of one run while it lives: what its actor, its children and its caller share."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actwright.authoring.interrupts import note_told
from actwright.authoring.letters import Letter
from actwright.authoring.logging import RunLogger, engine_logger_of
from actwright.engine.forked import fork_error
from actwright.engine.inbox import MAILBOX_LIMIT, Inbox
from actwright.engine.messages import Cancel, ChildrenEnded, Committed, RoomInJournal
from actwright.engine.run_slots import RunSlots
from actwright.exceptions import CancelledRun, JournalUnavailable, MailboxFull, RunIsFinal, RuntimeClosed
from actwright.journal.protocol import LogLine
from actwright.models.commands import Answer, CommandKind, checked_reason
from actwright.telemetry.reports import SILENT, report_on_run
from actwright_actors import SystemClosed

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from queue import SimpleQueue
    from uuid import UUID

    from actwright.authoring.context import RunContext
    from actwright.authoring.entry import Call
    from actwright.authoring.hooks import Hook
    from actwright.authoring.options import RunOptions
    from actwright.authoring.registration import Registration
    from actwright.authoring.runnable import Runnable
    from actwright.engine.bodies import Attempt, Place
    from actwright.engine.host import Host
    from actwright.engine.messages import RunMessage
    from actwright.engine.outbox import Batch
    from actwright.models.commands import Command
    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State
    from actwright_actors import ActorRef, Timer

__all__ = ["LiveRun", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run was called from.

    Attributes:
        parent: the run whose body called it, or None.
        context: the context variables of its caller; bodies and hooks get copies.
        in_hook: called in a hook, or in a run that was: it lives as long as hooks may, and not as long as runs.
        from_runtime_hook: called in a hook of the Runtime's, or in a run that was: such hooks do not fire for it.
        log_prints: whether the run around it sends `print` to its log.
    """

    parent: LiveRun | None
    context: contextvars.Context
    in_hook: bool = False
    from_runtime_hook: bool = False
    log_prints: bool = False


class LiveRun:
    """One run. Its actor alone changes it, on the loop; anyone may read `snapshot`, which is replaced as a whole.

    Attributes:
        snapshot: the run as it is now.
        first_state: the one that it came to be in.
        options: those of its flow or task when it began; hooks that are added to that later are not for this run.
        shared_hooks: those of its Runtime, by their events; beside its own.
        has_hooks: of whichever of the two.
        future: its final state, once the hooks that its caller waits for are done.
        ref: its actor; another one when a run had to be taken over.
        children: the runs that its body started and that are not done.
        is_ending: what its body starts is cancelled, since that has ended, or is to.
        heard: by which exceptions children of its latest attempt ended; their tracebacks stand in the log.
        attempt: its body, while that runs.
        outbox: hooks that are due and not done.
        cancels: requests that have no answer yet.
        is_recorded: the journal knows of it.
        registration: its hooks as another process finds them, once the journal has them.
        uncommitted: the states that it entered and that may not be committed yet; its actor takes them out.
        durable: those of them that are committed, whether an actor has heard of that or not.
        failures, crashes: how many attempts ended so.
        takeovers: how many of its actors have died.
        slots: of the concurrency limits of its tags.
        inbox: what was sent to it, and was not received by its body yet.
        report: what OpenTelemetry hears of it.
    """

    def __init__(self, host: Host, call: Call, snapshot: FlowRun | TaskRun, origin: Origin, place: Place) -> None:
        self.host = host
        self.call = call
        self.options: RunOptions = call.subject.options
        self.origin = origin
        self.place = place
        self.future: Future[State[Any]] = Future()
        self.ref: ActorRef[RunMessage] | None = None
        self.children: set[LiveRun] = set()
        self.is_ending = False
        self.heard: list[BaseException] = []
        self.attempt: Attempt | None = None
        self.outbox: list[Batch] = []
        self.cancels: list[Cancel] = []
        self.takeovers = 0
        self.is_recorded = call.known is not None
        self.registration: Registration | None = None
        self.uncommitted: set[UUID] = set()
        self.durable: set[UUID] = set()
        self.inbox = Inbox()
        self.slots = RunSlots()
        self.report = SILENT
        self._lines = 0
        self.crashes = call.known.deaths if call.known else 0
        self.failures = snapshot.run_count - self.crashes
        self.snapshot = snapshot
        self.first_state = snapshot.state
        self.shared_hooks: Mapping[str, tuple[Hook, ...]] = host.hooks_for(self)
        self.has_hooks = self.options.has_hooks or bool(self.shared_hooks)
        self._stopped: tuple[int, str] = (0, "")
        self._waiting: set[SimpleQueue[None]] = set()

    @property
    def subject(self) -> Runnable[..., Any]:
        """The flow or task."""
        return self.call.subject

    @property
    def parent(self) -> LiveRun | None:
        return self.origin.parent

    @property
    def outermost_id(self) -> UUID:
        """Of the run around all others of its host that are around it; its own when no other one called it."""
        run = self
        while run.parent is not None and run.parent.host is self.host:
            run = run.parent
        return run.snapshot.id

    @property
    def flow(self) -> LiveRun | None:
        """The flow run around it: itself when it is one."""
        run: LiveRun | None = self
        while run is not None and run.snapshot.kind != "flow":
            run = run.parent
        return run

    @property
    def thread_id(self) -> int:
        return self.host.thread_id

    @property
    def is_final(self) -> bool:
        return self.snapshot.state.is_final()

    @property
    def logs_prints(self) -> bool:
        """Whether `print` in the body goes to the run's log."""
        wanted = self.options.log_prints
        return self.origin.log_prints if wanted is None else wanted

    @property
    def title(self) -> str:
        """For logs and errors: Flow run 'brave-otter'."""
        return self.snapshot.title

    @property
    def log(self) -> RunLogger:
        """Its log, where its body's lines go too."""
        return engine_logger_of(self)

    def keep_line(self, level: int, logger: str, message: str, fields: str | None = None) -> None:
        """Keep a line of its log with its history: of a run that says too much, the first ones. Any thread may."""
        limit = self.host.options.logs_limit
        self._lines += 1
        if self._lines <= limit:
            self.host.journal.append(LogLine(self.snapshot.id, self.host.now(), level, logger, message, fields))
        elif self._lines == limit + 1:
            told = f"It has said {limit} lines; those that follow are not kept."
            self.host.journal.append(LogLine(self.snapshot.id, self.host.now(), logging.WARNING, logger, told))

    def note_committed(self, state: State[Any]) -> None:
        """A state that it entered is committed. In any thread; also when its Runtime has closed in the meantime."""
        self.durable.add(state.id)
        self.signal_if_open(Committed(state))

    def note_room(self) -> None:
        """The journal has room for what it will add. In any thread; also when its Runtime has closed."""
        self.signal_if_open(RoomInJournal())

    def signal_if_open(self, message: RunMessage) -> None:
        """The same as `signal`, for what nobody hears any more when its Runtime has closed."""
        try:
            self.signal(message)
        except (SystemClosed, RuntimeClosed):
            pass  # it closed past every grace, and has said so

    def signal(self, message: RunMessage) -> None:
        """Put a message into the run's mailbox; any thread may."""
        if self.ref is not None:
            self.ref.signal(message)
        elif not self.future.done():
            # Launched from another thread a moment ago: its actor is made before this comes up.
            self.host.post(lambda: self.signal(message))
        elif isinstance(message, Cancel):  # its Runtime closed before it could start
            self.refuse(message)

    def child_started(self, child: LiveRun) -> None:
        """Its body has started a run. In the loop's thread."""
        self.children.add(child)
        if self.is_ending:
            child.signal(Cancel(f"{self.title} is {self.snapshot.state.name}.", names_origin=True))

    def tell_parent_of_end(self) -> None:
        """It is done, or nobody waits for it any more. In the loop's thread."""
        parent = self.parent
        if parent is None:
            return
        if parent.host is self.host:
            parent._child_ended(self)
        else:
            with suppress(SystemClosed, RuntimeClosed):  # it closed past every grace, and has said so
                parent.host.post(lambda: parent._child_ended(self))

    def _child_ended(self, child: LiveRun) -> None:
        self.children.discard(child)
        if cause := child.snapshot.state.cause:
            self.heard.append(cause)
        if self.attempt is None and not self.children:  # while a body is at work, nothing waits for its children alone
            self.signal_if_open(ChildrenEnded())

    def cancel(self, reason: str | None = None, answer: Future[None] | None = None) -> Future[None]:
        """Ask it to stop. `answer`, or a new future, is done when Cancelling is committed, or with RunIsFinal."""
        if self.host.is_forked:
            raise fork_error(self.title)
        answer = answer or Future()
        message = Cancel(checked_reason(reason), answer, self)
        if self.is_final:
            self.refuse(message)
            return answer
        try:
            self.signal(message)
        except (SystemClosed, RuntimeClosed):  # it ended in the meantime: nothing is open in a closed Runtime
            self.refuse(message)
        return answer

    def send(self, message: object) -> Future[None]:
        """Put a message into its mailbox. In any thread."""
        if self.host.is_forked:
            raise fork_error(self.title)
        answer: Future[None] = Future()
        if self.is_final:
            answer.set_exception(RunIsFinal(self.title, self.snapshot.state.name, self.snapshot.id))
        elif self.inbox.put(message):
            answer.set_result(None)
        else:
            full = f"{self.title} has {MAILBOX_LIMIT} messages that it has not received: this one was not delivered."
            answer.set_exception(MailboxFull(full, self.snapshot.id))
        return answer

    def obey(self, command: Command, answer: Callable[[Answer], object]) -> None:
        """Do what another process asks. In any thread; so is the answer given."""
        if command.kind is CommandKind.CANCEL:
            done = self.cancel(command.reason)
        else:
            done = self.send(Letter.from_payload(command.payload))
        done.add_done_callback(lambda done: answer(Answer.of(done.exception())))

    def begin_report(self) -> None:
        """Have OpenTelemetry hear of it from here on, if anybody listens."""
        is_submitted = self.call.known is not None
        began = self.host.now() if is_submitted else self.first_state.timestamp
        self.report = report_on_run(self.snapshot, self.origin.context, began, is_submitted=is_submitted)
        if (carried := self.report.context_to_carry) is not None:
            self.snapshot = self.snapshot.model_copy(update={"trace_context": carried})

    def obey_first(self) -> None:
        """Do what was asked of it before its process claimed it: it has an actor, and has not begun."""
        known = self.call.known
        for command, answer in known.asked if known else ():
            self.obey(command, answer)

    def events(self, since: int) -> Sequence[RunEvent] | None:
        """The states that it has entered after that place in history; None where no more will come. Blocks."""
        journal, has_ended = self.host.journal, self.future.done()
        found = journal.events(self.snapshot.id, since)
        is_gone = not found and has_ended and journal.run(self.snapshot.id) is None  # pruned, say
        return None if is_gone else found

    @contextmanager
    def after(self, seconds: float, fn: Callable[[], object]) -> Generator[None]:
        """While inside: have `fn` called in the loop once so many seconds have passed. In any thread."""
        timers: list[Timer] = []
        self.host.post(lambda: timers.append(self.host.call_later(seconds, fn)))
        try:
            yield
        finally:
            with suppress(SystemClosed, RuntimeClosed):  # and its timers with it
                self.host.post(lambda: timers.pop().cancel())

    def grant_cancels(self) -> None:
        """Answer those who asked for a cancel that it is Cancelling."""
        for answer in self._open_answers():
            answer.set_result(None)
        self.cancels.clear()

    def refuse(self, cancel: Cancel) -> None:
        """Answer that the run has ended."""
        if cancel.answer and not cancel.answer.done():
            cancel.answer.set_exception(RunIsFinal(self.title, self.snapshot.state.name, self.snapshot.id))

    def let_go(self, error: Exception) -> None:
        """Give `error` to whoever waits for the run, since nothing will bring it to its end."""
        self.report.left_behind(error, self.host.now())
        self._release(error)

    def _release(self, error: Exception) -> None:
        self.slots.free(self)
        if not self.future.done():
            self.future.set_exception(error)
        for answer in self._open_answers():
            answer.set_exception(error)

    def leave_behind(self, error: JournalUnavailable, final: State[Any] | None) -> None:
        """Let its caller go, who has waited for the journal long enough, with its final state where it has one."""
        done = f"is {final.name}; its state, with its result, is on this error" if final else "did not begin"
        self._release(JournalUnavailable(f"{self.title} {done}. {error}", final))
        self.host.leave_behind(self)

    def _open_answers(self) -> Iterator[Future[None]]:
        return (cancel.answer for cancel in self.cancels if cancel.answer and not cancel.answer.done())

    def stop_body(self, attempt: int, why: str) -> None:
        """Tell what is left of this attempt's body, in whatever thread, that it may start nothing any more."""
        if attempt > self._stopped[0]:
            self._stopped = attempt, why
        for inbox in tuple(self._waiting):
            inbox.put(None)

    def is_stopped(self, context: RunContext) -> bool:
        """Whether the body that `context` stands in was told to stop. Hooks are not."""
        return not context.in_hook and context.attempt <= self._stopped[0]

    @property
    def why_stopped(self) -> str:
        """Why the latest body that was told to stop was; "" if none was."""
        return self._stopped[1]

    def raise_if_stopped(self, context: RunContext) -> None:
        """Raise CancelledRun in that case."""
        if self.is_stopped(context):
            note_told(context)
            raise CancelledRun(f"{self.title}: {self._stopped[1]}", self.snapshot.id)

    @contextmanager
    def waking(self, context: RunContext, inbox: SimpleQueue[None]) -> Generator[None]:
        """While inside: put None into `inbox` when the body that `context` stands in is told to stop."""
        self._waiting.add(inbox)
        try:
            yield
        finally:
            self._waiting.discard(inbox)

    def __repr__(self) -> str:
        return f"<LiveRun {self.snapshot.name!r} {self.snapshot.state.name}>"
