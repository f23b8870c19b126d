"""The actor of one run: it alone decides its run's state.

A state machine over messages. What may follow what is data (`models.transitions`); what is decided there is decided by
pure functions; here is the order of things:

    PENDING    wait for the futures in the arguments, check the arguments, name the run
    ENTERING   a transition is committed, then its hooks run, then comes what the state is for
    BODY       the body runs
    SETTLING   the attempt is over: its body and its children end, then its verdict is entered, or it is tried again
    DECIDING   `retry_condition_fn` is asked
    WAITING    the delay before the next attempt
    UNWINDING  Cancelling: body and children end, then the on_cancellation hooks run, then Cancelled is entered
    FINAL      nothing more can happen

The first message that ends the body decides: an outcome that came before a Cancel stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from actwright.authoring.futures import wait
from actwright.authoring.retries import delay_before
from actwright.authoring.tracebacks import authors_traceback
from actwright.engine import messages as m
from actwright.engine.arguments import handles_in, resolve_returned
from actwright.engine.bodies import Attempt
from actwright.engine.ledger import Ledger
from actwright.engine.preparation import arguments_of, name_of_run, parameters_to_show
from actwright.engine.retrying import count_retry, retries_left, wants_retry
from actwright.exceptions import InternalError, JournalUnavailable, RunTimedOut
from actwright.models.outcomes import Crash, Returned, Timeout, described
from actwright.models.states import Cancelled, Cancelling, Failed, Retrying, Running, State
from actwright.models.transitions import awaiting_retry, end_of_attempt, may_follow, row_of
from actwright_actors import Actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actwright.authoring.futures import Handle
    from actwright.engine.live_run import LiveRun
    from actwright_actors import Timer

__all__ = ["Phase", "RunActor"]

logger = logging.getLogger("actwright.engine")

_LATE_COMMIT_SECONDS = 1.0
_LATE_DEATH_SECONDS = 10.0
"""How long a process that was killed may take to end: one that hangs in the kernel does not, and is abandoned."""


class Phase(Enum):
    """Where a run's actor is; the module's docstring says what each is for."""

    PENDING = auto()
    ENTERING = auto()
    BODY = auto()
    SETTLING = auto()
    DECIDING = auto()
    WAITING = auto()
    UNWINDING = auto()
    FINAL = auto()


class RunActor(Actor[m.RunMessage]):
    """Drives one run from Pending to its final state.

    A second one takes a run over from one that died: it is sent `Crash`, and goes on from the state that the run is in.
    """

    def __init__(self, run: LiveRun) -> None:
        self.run = run
        self.host = run.host
        state = run.snapshot.state
        self.phase = Phase.FINAL if state.is_final() else Phase.UNWINDING if state.is_cancelling() else Phase.PENDING
        self._ledger = Ledger(run)
        self._parameters: dict[str, Any] = {}
        self._verdict: State[Any] | None = None
        self._returned: Returned | None = None
        self._retry_delay = 0.0
        self._abandoned_a_body = False
        self._was_ended = False
        self._is_finished = False
        self._why_names_origin = False
        self._timer: Timer | None = None

    async def handle(self, message: m.RunMessage) -> None:
        _HANDLERS[type(message)](self, message)

    # Pending

    def begin(self, _: m.Begin) -> None:
        if self.phase is not Phase.PENDING:  # its caller had ended before it came to its loop, so it was cancelled
            return
        if self.host.journal.has_room(or_call=self.run.note_room):
            self._record()
        else:
            self._set_timer(self.host.options.journal_wait_seconds, m.CommitIsLate(self.run.first_state))

    def room_in_journal(self, _: m.RoomInJournal) -> None:
        if self.phase is Phase.PENDING:
            self._record()

    def _record(self) -> None:
        self._ledger.open()
        call = self.run.call
        given = (*handles_in(call.parameters), *handles_in(call.wait_for))
        awaited = [handle for handle in given if not handle.done()]
        if awaited:
            self._tell_when_done(awaited)
        else:
            self._prepare()

    def awaited_ended(self, _: m.AwaitedEnded) -> None:
        if self.phase is Phase.PENDING:
            self._prepare()
        elif self.phase is Phase.SETTLING:
            self._check_settled()

    def _tell_when_done(self, handles: Sequence[Handle[Any]]) -> None:
        async def wait_for_them() -> None:
            await wait(handles)
            self.run.signal(m.AwaitedEnded())

        self.context.start_soon(wait_for_them)

    def _prepare(self) -> None:
        """Check the arguments and name the run; what is wrong with them fails the run, and its hooks run."""
        run = self.run
        try:
            self._parameters = arguments_of(run)
            if self._parameters:
                self._change(parameters=parameters_to_show(run, self._parameters))
            if (name := name_of_run(run)) != run.snapshot.name:
                self._change(name=name)
        except Exception as error:
            self._enter_now(Failed(message=described(error), cause=error))
            return
        run.log.info("Beginning, for %s %r", run.snapshot.kind, run.subject.name)
        self._begin_attempt()

    def _begin_attempt(self) -> None:
        """Once it has a slot of each limit of its tags."""
        if self.run.slots.seek(self.run):
            self._enter_running()

    def admitted(self, message: m.Admitted) -> None:
        if not self.run.slots.take(message):  # it was cancelled, say
            return
        if message.error is not None:
            self.crash(m.Crash(message.error))
        else:
            self._enter_running()

    def _enter_running(self) -> None:
        state = Retrying if self.run.snapshot.run_count else Running
        self._enter(state(timestamp=self.host.now()))

    # Entering a state

    def _change(self, **fields: Any) -> None:
        self.run.snapshot = self.run.snapshot.model_copy(update=fields)

    def _enter_now(self, state: State[Any]) -> None:
        """Enter a state that was made a while ago, or by another clock."""
        self._enter(state.model_copy(update={"timestamp": self.host.now()}))

    def _enter(self, state: State[Any]) -> None:
        """Commit a transition together with what it makes due; what comes then is said by `Committed`."""
        run = self.run
        if not may_follow(run.snapshot.state, state):
            logger.error("%s is %s: refused to enter %s", run.title, run.snapshot.state, state)
            return
        if state.is_final():
            self.phase = Phase.FINAL
        elif self.phase is not Phase.UNWINDING:
            self.phase = Phase.ENTERING
        run.slots.entered(run, state)
        if not self._ledger.enter(state):
            self.committed(m.Committed(state))
        elif state.is_final() or (state.is_running() and run.snapshot.run_count == 1 and run.call.known is None):
            self._set_timer(self.host.options.journal_wait_seconds, m.CommitIsLate(state))

    def committed(self, message: m.Committed) -> None:
        state = message.state
        self._ledger.committed(state)
        if state.is_cancelling():
            self._answer_cancels()
            self._stop_work(state.message or "it was cancelled.")
        self._go_on(state)

    def hooks_done(self, message: m.HooksDone) -> None:
        self._ledger.hooks_done(message.state)
        self._go_on(message.state)

    def _go_on(self, state: State[Any]) -> None:
        """A commit or its hooks are done: do what had to wait for that."""
        if self.phase is Phase.SETTLING:
            self._check_settled()
        elif self.phase is Phase.UNWINDING:
            self._check_unwound()
        elif self._waits_to_enter and state is self.run.snapshot.state and self._is_quiet:
            self._entered(state)

    @property
    def _waits_to_enter(self) -> bool:
        return self.phase is Phase.ENTERING or (self.phase is Phase.FINAL and not self._is_finished)

    @property
    def _is_quiet(self) -> bool:
        """Nothing of the run is under way: no body, no child, no hook, no commit."""
        return self._ledger.is_quiet and not (self.run.attempt or self.run.children)

    def _entered(self, state: State[Any]) -> None:
        """The transition is committed and its hooks are done: do what the state is for."""
        match row_of(state):
            case "RUNNING":
                self._start_body()
            case "AWAITING_RETRY":
                self.phase = Phase.WAITING
                self._set_timer(self._retry_delay, m.RetryDelayPassed())
            case _:
                self._finish(state)

    def _finish(self, state: State[Any]) -> None:
        self._is_finished = True
        self._clear_timer()
        run = self.run
        is_as_wanted = state.is_completed() or state.is_cancelled()  # a cancel was asked for
        run.log.log(logging.INFO if is_as_wanted else logging.ERROR, "Finished in state %s", state)
        if run.inbox:
            run.log.warning("%d messages were not received", len(run.inbox))
        for message in run.cancels:
            run.refuse(message)
        if not run.future.done():  # else it was left behind: past every grace, or while the journal could not write
            run.future.set_result(state)
        run.tell_parent_of_end()
        run.heard.clear()
        self.host.forget(run)
        self.context.ref.stop()

    # The body

    def _start_body(self) -> None:
        if self.host.status == "broken":  # its run was settled elsewhere, or is about to be
            return
        self.phase = Phase.BODY
        self._clear_timer()
        self._verdict = self._returned = None
        self.run.is_ending = False
        self.run.heard.clear()
        attempt = self.run.attempt = Attempt(self.run, self.run.snapshot.run_count, self._parameters)
        timeout = self.run.options.timeout_seconds
        if timeout is not None:
            self._set_timer(timeout, m.TimeoutPassed(attempt.number))
        attempt.start(self.context)

    def body_ended(self, message: m.BodyEnded) -> None:
        attempt = self.run.attempt
        if attempt is None or attempt.number != message.attempt:
            logger.info("%s: an abandoned body has ended after all", self.run.title)
            return
        self.run.attempt = None
        attempt.over = True
        self.run.stop_body(attempt.number, "its body has ended; what that left behind can start nothing any more.")
        if self.phase is Phase.BODY:
            self._clear_timer()
            self._attempt_over(message)
        else:
            self._go_on(self.run.snapshot.state)

    def _attempt_over(self, message: m.BodyEnded) -> None:
        if isinstance(message.outcome, Returned):
            self._returned = message.outcome
            self.phase = Phase.SETTLING
            self._check_settled()
        else:
            self._end_attempt(end_of_attempt(message.outcome), "its body has failed.")

    def timeout_passed(self, message: m.TimeoutPassed) -> None:
        if self.phase is Phase.BODY and self._is_current(message.attempt):
            seconds = self.run.options.timeout_seconds
            error = RunTimedOut(f"The body took longer than its timeout of {seconds:g} s", self.run.snapshot.id)
            self._end_attempt(end_of_attempt(Timeout(error)), "it timed out.")

    def crash(self, message: m.Crash) -> None:
        self._was_ended = True
        state = self.run.snapshot.state
        self._ledger.take_over()
        if self.phase is Phase.UNWINDING:
            self._answer_cancels()
            self._stop_work(f"it is {state.name}.")
            self._check_unwound()
        elif self.phase is Phase.FINAL:
            self._go_on(state)
        else:
            self._end_attempt(end_of_attempt(Crash(message.error, message.message)), "it crashed.")

    def _end_attempt(self, verdict: State[Any], why: str) -> None:
        """The attempt ended badly: stop what is left of it, and then enter its verdict, or try again."""
        self.phase = Phase.SETTLING
        self._verdict = verdict
        self._returned = None
        self.run.is_ending = True
        if verdict.cause is not None:
            # A traceback once: where a child's exception became this run's, the child has shown it.
            heard = any(verdict.cause is cause for cause in self.run.heard)
            self.run.log.error("%s", verdict.message, exc_info=None if heard else authors_traceback(verdict.cause))
        self._stop_work(why)
        self._check_settled()

    def _stop_work(self, why: str) -> None:
        """Stop the body, which has its grace to end, and cancel the children."""
        self._clear_timer()
        attempt = self.run.attempt
        if attempt is not None and attempt.over:  # it ended while nobody was there to hear it
            attempt = self.run.attempt = None
        if attempt is not None:
            attempt.stop(why)
            self._set_timer(self.host.options.cancel_grace_seconds, m.GracePassed(attempt.number))
        for child in self.run.children:
            child.signal(m.Cancel(why if self._why_names_origin else f"{self.run.title}: {why}", names_origin=True))

    def grace_passed(self, message: m.GracePassed) -> None:
        attempt = self.run.attempt
        if attempt is None or not self._is_current(message.attempt):
            return
        if attempt.end_by_force(self.host.options.cancel_grace_seconds):
            self._set_timer(_LATE_DEATH_SECONDS, message)
            return
        self.run.attempt = None
        self._abandoned_a_body = True
        self._go_on(self.run.snapshot.state)

    def _is_current(self, number: int) -> bool:
        return self.run.attempt is not None and self.run.attempt.number == number

    # Children

    def children_ended(self, _: m.ChildrenEnded) -> None:
        self._go_on(self.run.snapshot.state)

    # After an attempt

    def _check_settled(self) -> None:
        if not self._is_quiet:
            return
        if self._returned is not None:
            value = self._returned.value
            still_open = [handle for handle in handles_in(value) if not handle.done()]
            if still_open:
                self._tell_when_done(still_open)
                return
            self._verdict = end_of_attempt(Returned(resolve_returned(value)))
            self.run.is_ending = True
        self._clear_timer()
        self._conclude(self._the_verdict())

    def _conclude(self, verdict: State[Any]) -> None:
        options = self.run.options
        if verdict.is_cancelling() or verdict.is_cancelled():
            self._begin_cancelling(verdict.message)
        elif not self._may_retry(verdict):
            self._enter_now(verdict)
        elif options.retry_condition_fn is None:
            self._await_retry(verdict)
        else:
            self.phase = Phase.DECIDING
            self.context.start_soon(self._ask_whether_to_retry, verdict)

    async def _ask_whether_to_retry(self, verdict: State[Any]) -> None:
        self.run.signal(m.RetryDecided(await wants_retry(self.run, verdict)))

    def retry_decided(self, message: m.RetryDecided) -> None:
        if self.phase is Phase.DECIDING:
            verdict = self._the_verdict()
            self._await_retry(verdict) if message.again else self._enter_now(verdict)

    def _await_retry(self, verdict: State[Any]) -> None:
        run = self.run
        left = retries_left(run, verdict)
        self._retry_delay = delay_before(run.snapshot.run_count, run.options, self.host.rng)
        count_retry(run, verdict, self._retry_delay)
        self._enter_now(awaiting_retry(verdict, left, self._retry_delay))

    def retry_delay_passed(self, _: m.RetryDelayPassed) -> None:
        if self.phase is Phase.WAITING:
            self._clear_timer()
            self._begin_attempt()

    def _may_retry(self, verdict: State[Any]) -> bool:
        # One whose body was abandoned is not tried again: two of its bodies would be at work. Nor is one that was ended
        # from outside.
        is_over = self._abandoned_a_body or (self._was_ended and verdict.is_crashed())
        return not is_over and retries_left(self.run, verdict) > 0

    def _the_verdict(self) -> State[Any]:
        if self._verdict is None:
            raise InternalError(f"{self.run.title} was concluded without a verdict.")
        return self._verdict

    # Cancelling

    def cancel(self, message: m.Cancel) -> None:
        if self.phase is Phase.FINAL:
            self.run.refuse(message)
            return
        self.run.cancels.append(message)
        if self.phase is Phase.UNWINDING:
            self._answer_cancels()
        elif not self._ends_for_good():
            self._why_names_origin = message.names_origin
            if message.is_cut:
                self.host.cut_short.add(self.run.outermost_id)
            self._begin_cancelling(message.reason)

    def _ends_for_good(self) -> bool:
        """Whether its body has ended and nothing but its children's end stands before the final state. Of one that has
        returned that is not so: cancelling its run stops them."""
        verdict = self._verdict
        return self.phase is Phase.SETTLING and verdict is not None and not self._may_retry(verdict)

    def _begin_cancelling(self, reason: str | None) -> None:
        self.phase = Phase.UNWINDING
        self._verdict = self._returned = None
        self.run.is_ending = True
        self._clear_timer()
        state = Cancelling(message=reason, timestamp=self.host.now())
        self._set_timer(_LATE_COMMIT_SECONDS, m.CommitIsLate(state))
        self._enter(state)

    def commit_is_late(self, message: m.CommitIsLate) -> None:
        state = message.state
        is_held_back = self.phase is Phase.PENDING and not self.run.is_recorded
        if self._ledger.has_committed(state) and not is_held_back:
            return
        if self.phase is Phase.UNWINDING:
            self._stop_work(state.message or "it was cancelled.")
            return
        try:
            self.host.journal.check(self.host.options.journal_wait_seconds)
        except JournalUnavailable as error:
            self._leave_behind(state, error)
        else:  # it is at work: the clock of this system may be ahead of the disk's
            self._set_timer(self.host.options.journal_wait_seconds, message)

    def _leave_behind(self, state: State[Any], error: JournalUnavailable) -> None:
        """Let the caller go without waiting for the journal any longer; what is due is done once it can be written."""
        is_final = self.phase is Phase.FINAL
        self.run.leave_behind(error, state if is_final else None)
        if not is_final:
            self._begin_cancelling("the journal could not be written.")

    def _answer_cancels(self) -> None:
        """Those who asked hear that it is Cancelling once that is committed."""
        if self._ledger.has_committed(self.run.snapshot.state):
            self.run.grant_cancels()

    def _check_unwound(self) -> None:
        if not self._is_quiet:
            return
        self._clear_timer()
        self._ledger.unwound()
        if self._is_quiet:
            self._enter_now(Cancelled(message=self.run.snapshot.state.message))

    # Time

    def _set_timer(self, seconds: float, message: m.RunMessage) -> None:
        self._clear_timer()
        ref = self.context.ref
        self._timer = self.context.system.timers.call_later(seconds, lambda: ref.signal(message))

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_HANDLERS: dict[type[m.RunMessage], Callable[[RunActor, Any], None]] = {
    m.Begin: RunActor.begin,
    m.RoomInJournal: RunActor.room_in_journal,
    m.AwaitedEnded: RunActor.awaited_ended,
    m.Admitted: RunActor.admitted,
    m.Committed: RunActor.committed,
    m.CommitIsLate: RunActor.commit_is_late,
    m.HooksDone: RunActor.hooks_done,
    m.BodyEnded: RunActor.body_ended,
    m.TimeoutPassed: RunActor.timeout_passed,
    m.GracePassed: RunActor.grace_passed,
    m.ChildrenEnded: RunActor.children_ended,
    m.RetryDecided: RunActor.retry_decided,
    m.RetryDelayPassed: RunActor.retry_delay_passed,
    m.Cancel: RunActor.cancel,
    m.Crash: RunActor.crash,
}
