"""Running one attempt of a body: on the loop, in a worker thread, or in the thread of its caller.

Whatever the place, the attempt ends with one `BodyEnded` message to its run, and its code sees the context variables
of the run's caller.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import anyio

from actwright.authoring.context import CURRENT, RunContext
from actwright.authoring.interrupts import SyncBody
from actwright.authoring.logging import printing_to_log
from actwright.engine.interrupting import interrupt, note_end
from actwright.engine.messages import BodyEnded
from actwright.engine.signals import see_to_cut_handler
from actwright.engine.threads import retire_this_thread
from actwright.exceptions import CancelledRun, RuntimeClosed
from actwright.models.outcomes import Crash, Outcome, Returned, outcome_of_error
from actwright_actors import SystemClosed
from actwright_actors.backends import current_backend_name, forget_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import SimpleQueue

    from actwright.engine.live_run import LiveRun
    from actwright.engine.threads import Job
    from actwright_actors import ActorContext, ChildTask

__all__ = ["Attempt", "CallersThread", "Execution", "KillableExecution", "OnLoop", "Place", "WorkerThread"]

logger = logging.getLogger("actwright.engine")


class Attempt:
    """One attempt of a run's body.

    Attributes:
        number: from 1.
        over: it has ended, or was abandoned.
        parameters: name -> value, as the body gets them.
    """

    def __init__(self, run: LiveRun, number: int, parameters: dict[str, Any]) -> None:
        self.run = run
        self.number = number
        self.over = False
        self.parameters = parameters
        self._args, self._kwargs = run.subject.parameters.call_args(parameters)
        self._execution: Execution | None = None
        self._sync_body: SyncBody | None = None

    def start(self, actor: ActorContext) -> None:
        """Start the body, in the place that the run has for it."""
        self._execution = self.run.place.start(self, actor)

    def stop(self, why: str) -> None:
        """Tell the body to stop: cancel it on the loop; in a thread, interrupt it and wake its waits. It may still take
        its time."""
        self.run.stop_body(self.number, why)
        if self._sync_body is not None:
            interrupt(self._sync_body)
        if self._execution is not None and self._execution.stop():
            self.ended(Crash(CancelledRun(f"{self.run.title}: its body never started.")))

    def end_by_force(self, grace_seconds: float) -> bool:
        """It has not ended within its grace: kill it, where it is in a process of its own, so that its end is told as
        any; else abandon it. Whether it was killed."""
        late = f"{self.run.title}: its body was told to stop and has not ended within {grace_seconds:g} s"
        if isinstance(self._execution, KillableExecution) and self._execution.kill():
            logger.warning("%s: its process is killed.", late)
            return True
        logger.warning("%s. It is abandoned: it may still be running, but nothing that it does counts any more.", late)
        self.abandon()
        return False

    def abandon(self) -> None:
        """Wait for it no longer. It is counted until it really ends."""
        self.over = True
        if self._execution is not None:
            self._execution.abandon()

    def call(self) -> Any:
        """Call the author's async function, which makes its coroutine."""
        return self.run.subject.fn(*self._args, **self._kwargs)

    def call_in_this_thread(self, interruptible: AbstractContextManager[None] | None = None) -> None:
        """Run a sync body to its end, and say how it ended. Never raises.

        `interruptible` is around the body and nothing else: where a signal may raise.
        """
        blocks_loop = current_backend_name() is not None
        context = self.run.origin.context.copy()
        if not blocks_loop:
            forget_event_loop(context)
        outcome: Outcome
        try:
            with interruptible or nullcontext():
                outcome = context.run(self._call_with_context, blocks_loop)
        except BaseException as error:  # a signal that struck between the body and us
            outcome = outcome_of_error(error)
        self.ended(outcome)

    def _call_with_context(self, blocks_loop: bool) -> Outcome:
        context = RunContext(self.run, self.number, blocks_loop=blocks_loop)
        CURRENT.set(context)
        try:
            self.run.raise_if_stopped(context)
            with printing_to_log(self.run.logs_prints):
                return Returned(self._call_interruptibly(context))
        except BaseException as error:
            see_to_cut_handler(error)
            return outcome_of_error(error)

    def _call_interruptibly(self, context: RunContext) -> Any:
        body = self._sync_body = SyncBody(context)
        if self.run.is_stopped(context):  # before there was something to interrupt
            interrupt(body)
        try:
            return body.call(self.run.subject.fn, self._args, self._kwargs)
        finally:
            body.is_over = True  # a signal may have cut the `finally` that says so
            note_end(body)
            if body.unstrike is not None:
                retire_this_thread()

    async def await_on_loop(self, is_cancelled: Callable[[], bool]) -> None:
        """Run an async body to its end, and say how it ended.

        Args:
            is_cancelled: whether somebody has cancelled the task that this is called in.
        """
        context = RunContext(self.run, self.number)
        CURRENT.set(context)
        try:
            outcome = await self._outcome(is_cancelled, context)
        except BaseException:
            self.ended(Crash(CancelledRun(f"{self.run.title}: the body was cancelled.")))
            raise
        self.ended(outcome)

    async def _outcome(self, is_cancelled: Callable[[], bool], context: RunContext) -> Outcome:
        try:
            self.run.raise_if_stopped(context)  # since its task was made: else it would go on to its first await
            with printing_to_log(self.run.logs_prints):
                return Returned(await self.call())
        except anyio.get_cancelled_exc_class() as error:
            if is_cancelled():
                raise
            return Crash(error)  # nobody cancelled it: it is forged
        except BaseException as error:
            return outcome_of_error(error)

    def ended(self, outcome: Outcome) -> None:
        """Say that the attempt ended."""
        self.over = True  # first: an actor that takes the run over looks here for what its forerunner cannot tell
        try:
            self.run.signal(BodyEnded(self.number, outcome))
        except (SystemClosed, RuntimeClosed):
            pass  # a body that was abandoned may end after its Runtime did: nobody is left who would hear of it


class Execution(Protocol):
    """A body that was started."""

    def stop(self) -> bool:
        """Tell it to stop. True: it had not begun, and never will."""
        ...

    def abandon(self) -> None: ...


@runtime_checkable
class KillableExecution(Execution, Protocol):
    """One that can be ended whatever it does."""

    def kill(self) -> bool:
        """End it. False: that was done before."""
        ...


class Place(Protocol):
    """Where a run's body runs."""

    def start(self, attempt: Attempt, actor: ActorContext) -> Execution: ...


class OnLoop:
    """An async body: in a child task of the run's actor, so that the mailbox stays live."""

    def start(self, attempt: Attempt, actor: ActorContext) -> Execution:
        return _LoopExecution(attempt, actor)


class _LoopExecution:
    def __init__(self, attempt: Attempt, actor: ActorContext) -> None:
        context = attempt.run.origin.context
        self._task: ChildTask = actor.start_soon(attempt.await_on_loop, self._is_cancelled, context=context)

    def _is_cancelled(self) -> bool:
        return self._task.scope.cancel_called

    def stop(self) -> bool:
        self._task.cancel()
        return False

    def abandon(self) -> None:
        self._task.abandon()


class WorkerThread:
    """A sync body: in one of the Runtime's worker threads."""

    def start(self, attempt: Attempt, actor: ActorContext) -> Execution:
        return _ThreadExecution(attempt.run.host.worker_threads.submit(attempt.call_in_this_thread))


class _ThreadExecution:
    """It does not know its attempt, which knows it: a run that is over is freed at once, and not by the collector."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def stop(self) -> bool:
        return self._job.withdraw()

    def abandon(self) -> None:
        self._job.abandon()


class CallersThread:
    """A sync body that was called, not submitted: in the thread of its caller, which waits here between messages.

    Args:
        inbox: where that caller takes what it is to do next; None tells it to look whether the run is done.
        interruptible: around the body, where a signal may raise.
    """

    def __init__(
        self, inbox: SimpleQueue[Callable[[], None] | None], interruptible: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._inbox = inbox
        self._interruptible = interruptible

    def start(self, attempt: Attempt, actor: ActorContext) -> Execution:
        self._inbox.put(lambda: attempt.call_in_this_thread(self._interruptible()))
        return _CallersExecution()


class _CallersExecution:
    """The caller's own thread cannot be abandoned: it is the caller's, and waits for its body."""

    def stop(self) -> bool:
        return False

    def abandon(self) -> None: ...
