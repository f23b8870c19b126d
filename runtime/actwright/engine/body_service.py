"""What the process of an isolated body asks of its Runtime, and what it gets: all in the one thread that hears it."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections import deque
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from actwright.authoring.context import CURRENT, RunContext
from actwright.authoring.futures import Handle
from actwright.engine.body_mailbox import BodyMailbox
from actwright.engine.launch import launch, usual_place
from actwright.engine.live_run import LiveRun
from actwright.exceptions import InternalError, MissingResult, NotPicklable
from actwright.isolation import messages as m
from actwright.isolation.crossing import Crossing
from actwright.isolation.logs import handle_here
from actwright.isolation.variables import portable, set_in
from actwright.models.errors_at_rest import error_at_rest, error_from_rest
from actwright.telemetry.carriers import go_on_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from actwright.engine.bodies import Attempt
    from actwright.isolation.channel import Channel
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["BodyService"]

_STORE_METHODS = frozenset({
    "variable", "set_variable", "unset_variable", "block", "block_names", "set_block", "unset_block", "own_key",
    "free_slots", "give_up_slots", "tag_limits", "set_tag_limit", "unset_tag_limit",
})  # fmt: skip


class BodyService:
    """Serves one body.

    Args:
        attempt: what the body is of.
        waits: called with True when a thread of the body begins to wait for a run, and with False when it has waited.
    """

    def __init__(self, attempt: Attempt, waits: Callable[[bool], object]) -> None:
        self._attempt = attempt
        self._run = attempt.run
        self._waits = waits
        self._crossing = Crossing(self._handle_of, self._id_of, hooks_stay=True)
        self._runs: dict[UUID, LiveRun] = {}
        self._channel: Channel | None = None
        self._claims: list[str] = []
        self._to_say: deque[Callable[[], object]] = deque()
        self._mailbox = BodyMailbox(self._run, lambda said: self._soon(partial(self._say, said)))

    def work(self) -> bytes:
        """The body, as it is sent to its process.

        Raises:
            NotPicklable: it cannot be; says what of it.
        """
        run, attempt = self._run, self._attempt
        args, kwargs = run.subject.parameters.call_args(attempt.parameters)
        variables = portable(run.origin.context.items(), self._crossing.can)
        snapshot = run.snapshot
        work = m.Work(run.subject, args, kwargs, snapshot, attempt.number, run.logs_prints, variables)
        try:
            return self._crossing.dumps(work)
        except Exception as error:
            raise self._culprit(error) from error

    def _culprit(self, error: Exception) -> NotPicklable:
        """What of the work it is that cannot be pickled."""
        for name, value in self._attempt.parameters.items():
            if not self._crossing.can(value):
                return NotPicklable.of(f"The argument {name!r} of {self._run.title}", error)
        return NotPicklable.of(f"The body of {self._run.title}, with what it refers to,", error)

    def serve(self, channel: Channel, patience: Callable[[], float | None]) -> m.BodyOver:
        """Do what is asked, until the body is over.

        Args:
            patience: how many more seconds it may take; None has no limit. Asked again after each `channel.wake()`.

        Raises:
            EOFError: the process has ended without telling how its body did.
            TimeoutError: it took longer.
        """
        self._channel = channel
        with closing(self._mailbox):
            while True:
                while self._to_say:
                    self._to_say.popleft()()
                data = channel.receive(patience())
                if data is not None:
                    message = pickle.loads(data)
                    if isinstance(message, m.BodyOver):
                        return message
                    self._heard(message)

    def free_slots(self) -> None:
        """The process has ended: its body is inside of no `concurrency` block any more."""
        for claim_id in self._claims:
            self._run.host.journal.free_slots(claim_id)

    def say_stop(self) -> None:
        """Say that SIGTERM was sent. In any thread."""
        self._soon(lambda: self._say(m.Stop()))

    def loaded(self, value: bytes) -> Any:
        """What the body returned or raised. Raises whatever unpickling raises."""
        return self._crossing.loads(value)

    def _heard(self, message: object) -> None:
        match message:
            case m.Ask(number, request):
                self._answer(number, request)
            case m.Watch(run_id):
                run = self._runs[run_id]
                run.future.add_done_callback(lambda _: self._soon(partial(self._say_ended, run)))
            case m.Kept(level, logger, line, fields):
                self._run.keep_line(level, logger, line, fields)
            case m.Forget(run_id):
                self._runs.pop(run_id, None)
            case m.WatchMailbox():
                self._mailbox.watch()
            case m.StartTimer(number, seconds):
                self._mailbox.start_timer(number, seconds)
            case m.StopTimer(number):
                self._mailbox.stop_timer(number)
            case m.Logged(attributes):
                self._log(attributes)
            case m.Waits():
                self._waits(True)
            case m.WaitsNoMore():
                self._waits(False)
            case _:
                raise InternalError(f"{self._run.title}: its body said {message!r}, which nobody expected.")

    def _answer(self, number: int, request: bytes) -> None:
        try:
            asked = self._crossing.loads(request)
            answer = self._done(asked)
        except Exception as error:
            self._say_error(number, error)
            return
        if isinstance(answer, Future):
            later = cast("Future[Any]", answer)
            later.add_done_callback(lambda done: self._soon(partial(self._say_answered, number, done)))
        else:
            self._say_answer(number, answer)

    def _log(self, attributes: bytes) -> None:
        try:
            handle_here(self._crossing.loads(attributes))
        except Exception:  # a filter of the program's, say: it must not decide how a body ends
            if logging.raiseExceptions:
                traceback.print_exc()

    def _done(self, request: object) -> Any:
        """What a request gives: picklable, or a future of it."""
        match request:
            case m.Launch(call, variables, carried):
                context = self._run.origin.context.copy()
                set_in(context, variables)
                go_on_in(context, carried)
                context.run(CURRENT.set, RunContext(self._run, self._attempt.number))
                started = context.run(launch, self._run.host, call, usual_place(call))
                return self._noted(started)
            case m.CancelRun(run_id, reason):
                return self._runs[run_id].cancel(reason)
            case m.SendTo(run_id, message):
                return self._runs[run_id].send(message)
            case m.EventsOf(run_id, since):
                events = self._runs[run_id].events(since)
                return events and [replace(event, state=self._portable_state(event.state)) for event in events]
            case m.MessagesAfter(number):
                return self._mailbox.messages_after(number)
            case m.ClaimMessage(number):
                return self._mailbox.claim(number)
            case m.LookAt(run_id):
                return self._portable_run(self._runs[run_id].snapshot)
            case m.Around(distance):
                return self._outside(distance)
            case m.Stored(method, args, kwargs) if method in _STORE_METHODS:
                asked = getattr(self._run.host.journal, method)
                return asked(*args, **kwargs) if callable(asked) else asked
            case m.Stored("ask_slots", (claim,)):
                self._claims.append(claim.id)
                return self._run.host.journal.ask_slots(claim)
            case m.Why():
                return self._run.why_stopped
            case _:
                raise InternalError(f"{self._run.title}: its body asked {request!r}, which nobody expected.")

    def _outside(self, distance: int) -> m.Outside:
        run: LiveRun | None = self._run
        for _ in range(distance):
            run = run and run.parent
        if run is None:
            raise InternalError(f"{self._run.title} was asked for a run around it that is not there.")
        subject = run.subject
        return m.Outside(self._portable_run(run.snapshot), subject.name, subject.version, subject.description)

    # Futures

    def _noted(self, run: LiveRun) -> UUID:
        self._runs[run.snapshot.id] = run
        return run.snapshot.id

    def _handle_of(self, run_id: UUID) -> Handle[Any]:
        return Handle(self._runs[run_id])

    def _id_of(self, handle: Handle[Any]) -> UUID:
        run = handle._run  # pyright: ignore[reportPrivateUsage]
        if not isinstance(run, LiveRun):
            raise TypeError("it is the future of a run that is none of this process")
        return self._noted(run)

    # What is said

    def _soon(self, say: Callable[[], object]) -> None:
        """Have this service's own thread say something. In any thread."""
        self._to_say.append(say)
        if self._channel is not None:
            self._channel.wake()

    def _say(self, message: object) -> None:
        assert self._channel is not None  # nothing is said before it is served
        with suppress(OSError):  # it is gone, which is seen by who receives
            self._channel.send(pickle.dumps(message))

    def _say_answered(self, number: int, answer: Future[Any]) -> None:
        error = answer.exception()
        if error is None:
            self._say_answer(number, answer.result())
        else:
            self._say_error(number, error)

    def _say_answer(self, number: int, value: object) -> None:
        try:
            self._say(m.Answer(number, self._crossing.dumps(value)))
        except Exception as error:
            self._say_error(number, NotPicklable.of("What the body asked for", error))

    def _say_error(self, number: int, error: BaseException) -> None:
        self._say(m.Answer(number, self._dumped_error(error), is_error=True))

    def _say_ended(self, run: LiveRun) -> None:
        error = run.future.exception()
        if error is None:
            self._say(m.Ended(run.snapshot.id, self._dumped_state(run.future.result())))
        else:
            self._say(m.Ended(run.snapshot.id, self._dumped_error(error), is_error=True))

    def _dumped_state(self, state: State[Any]) -> bytes:
        try:
            return self._crossing.dumps(state)
        except Exception:
            return self._crossing.dumps(self._portable_state(state))

    def _portable_run(self, run: FlowRun | TaskRun) -> FlowRun | TaskRun:
        if self._crossing.can(run):
            return run
        parameters = {name: value for name, value in run.parameters.items() if self._crossing.can(value)}
        return run.model_copy(update={"parameters": parameters, "state": self._portable_state(run.state)})

    def _portable_state(self, state: State[Any]) -> State[Any]:
        """Without what cannot be pickled of it: of a result, that it is missing; of an exception, what it said."""
        data, cause = state.data, state.cause
        if not self._crossing.can(data):
            kind = cast("type[object]", type(data))
            data = MissingResult(
                f"The run completed. What it returned, which is {kind.__module__}.{kind.__qualname__}, cannot be "
                "pickled, and so cannot be had in the process of an isolated body."
            )
        return state.model_copy(update={"data": data, "cause": cause and self._portable_error(cause)})

    def _portable_error(self, error: BaseException) -> BaseException:
        return error if self._crossing.can(error) else error_from_rest(error_at_rest(error))

    def _dumped_error(self, error: BaseException) -> bytes:
        return self._crossing.dumps(self._portable_error(error))
