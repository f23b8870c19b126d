"""Running a body in the process that is there for it, and how it ended, in a form that arrives."""

from __future__ import annotations

import os
import traceback
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

import anyio

from actwright.authoring.context import CURRENT, RunContext
from actwright.authoring.entry import stand_in_for_engine
from actwright.authoring.interrupts import SyncBody
from actwright.authoring.logging import printing_to_log
from actwright.authoring.tracebacks import authors_traceback
from actwright.authoring.waiting import set_slot
from actwright.exceptions import Interrupted, NotPicklable
from actwright.isolation.messages import BodyOver, EndedHow
from actwright.isolation.remote import OwnRun
from actwright.isolation.stand_in import StandIn
from actwright.isolation.variables import set_in
from actwright.models.outcomes import Crash, Outcome, Raised, Returned, described, outcome_of_error
from actwright.telemetry.carriers import go_on_in
from actwright_actors.backends import backend_options, thread_safe_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.isolation.conversation import Conversation
    from actwright.isolation.messages import Work
    from actwright_actors.backends import BackendName

__all__ = ["body_over", "run_body"]


def run_body(conversation: Conversation, work: Work, backend: BackendName) -> Outcome | None:
    """Run it to its end, in this thread; how it ended. None: it was told to stop, and has."""
    context, stands = Context(), RunContext(OwnRun(conversation, work), work.attempt)
    set_in(context, work.variables)
    go_on_in(context, work.snapshot.trace_context)
    stand_in_for_engine(StandIn(conversation, context.copy()))
    os.register_at_fork(after_in_child=partial(_forget, conversation))
    set_slot(conversation)
    context.run(CURRENT.set, stands)
    try:
        if work.subject.isasync:
            return context.run(_awaited, conversation, work, backend)
        return context.run(_called, conversation, work, SyncBody(stands))
    except Interrupted:
        return None
    except BaseException as error:
        return outcome_of_error(error)


def _called(conversation: Conversation, work: Work, body: SyncBody) -> Outcome | None:
    with conversation.termination.body(), printing_to_log(work.logs_prints):
        return Returned(body.call(work.subject.fn, work.args, work.kwargs))


def _awaited(conversation: Conversation, work: Work, backend: BackendName) -> Outcome | None:
    name, options = backend_options(backend)
    return anyio.run(_await_and_tell, conversation, work, backend=name, backend_options=options)


async def _await_and_tell(conversation: Conversation, work: Work) -> Outcome | None:
    outcome = await _await(conversation, work)
    conversation.close_with(body_over(outcome, conversation.crossing.dumps))  # the loop's end waits for its threads
    return outcome


async def _await(conversation: Conversation, work: Work) -> Outcome | None:
    termination, call_in_loop = conversation.termination, thread_safe_caller()
    with anyio.CancelScope() as scope:
        termination.on_stop.append(lambda: call_in_loop(scope.cancel))
        if termination.is_asked:
            scope.cancel()
        try:
            with printing_to_log(work.logs_prints):
                return Returned(await work.subject.fn(*work.args, **work.kwargs))
        except anyio.get_cancelled_exc_class() as error:
            if scope.cancel_called:
                raise
            return Crash(error)  # nobody cancelled this scope: it is forged
        except BaseException as error:
            return outcome_of_error(error)
    return None


def body_over(outcome: Outcome | None, dumps: Callable[[object], bytes]) -> BodyOver:
    """How a body ended, as it can be sent."""
    match outcome:
        case None:
            return BodyOver("stopped")
        case Returned(value):
            try:
                return BodyOver("returned", dumps(value))
            except Exception as error:
                what = f"What the body returned, which is {type(value).__module__}.{type(value).__qualname__},"
                return _of_error("raised", NotPicklable.of(what, error), dumps, "")
        case Raised(error):
            return _of_error("raised", error, dumps, _traceback_of(error))
        case _:
            return _of_error("crashed", outcome.error, dumps, _traceback_of(outcome.error))


def _of_error(how: EndedHow, error: BaseException, dumps: Callable[[object], bytes], where: str) -> BodyOver:
    try:
        value = dumps(error)
    except Exception as why:
        return BodyOver(how, None, described(error), described(why), where)
    return BodyOver(how, value, described(error), traceback=where)


def _traceback_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(*authors_traceback(error))).rstrip()


def _forget(conversation: Conversation) -> None:
    """A forked child of this process is another one: what it calls, it calls in a Runtime of its own."""
    conversation.leave_to_parent()
    conversation.termination.leave_to_parent()
    stand_in_for_engine(None)
    set_slot(None)
