"""Where calls of flows and tasks come in; `authoring.entry` is the door to here."""

from __future__ import annotations

import inspect
import logging
import time
from contextlib import nullcontext
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import anyio

from actwright.authoring.context import current, in_async_code, within_reach
from actwright.authoring.futures import Handle
from actwright.authoring.logging import show_logs_of_a_script
from actwright.authoring.waiting import blocking, event_of, take
from actwright.engine.ambient import ambient_host
from actwright.engine.background import background_host
from actwright.engine.bodies import CallersThread
from actwright.engine.host import Host
from actwright.engine.launch import launch, usual_place
from actwright.engine.options import RuntimeOptions
from actwright.engine.signals import interrupts_of_script, without_interrupts
from actwright.engine.whole import keep_whole
from actwright.exceptions import RuntimeClosed
from actwright.settings import get_current_settings
from actwright_actors import wait_through
from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.authoring.entry import Call
    from actwright.engine.bodies import Place
    from actwright.engine.live_run import LiveRun
    from actwright.journal.protocol import Journal
    from actwright.models.states import State

__all__ = ["call", "call_async", "store", "store_async", "submit"]

logger = logging.getLogger("actwright.engine")

_BLOCKED_LOOP_SECONDS = 0.1


def call(call: Call) -> Any:
    """Run a sync body in this thread, with its actors on a loop elsewhere; its result, or its state.

    A signal, or a KeyboardInterrupt, while it waits cancels the run, and is raised when that has ended.
    """
    inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    began = time.perf_counter()
    host = _host_for_blocking()
    with interrupts_of_script() as interrupts:
        run = launch(host, call, _place(call, CallersThread(inbox, interrupts.body if interrupts else nullcontext)))
        run.future.add_done_callback(lambda _: inbox.put(None))
        with interrupts.calling(run) if interrupts else nullcontext():
            _lend_this_thread(run, inbox)
    if in_async_code():
        _warn_of_blocked_loop(run, time.perf_counter() - began)
    if context := within_reach():  # the body that called may be what is cancelled: it hears that from here
        context.run.raise_if_stopped(context)
    return _outcome(run.future.result(), call)


def _place(call: Call, here: CallersThread) -> Place:
    """The caller's own thread, unless the body wants a process; then this thread only waits."""
    return here if call.subject.options.isolation is None else usual_place(call)


def _lend_this_thread(run: LiveRun, inbox: SimpleQueue[Callable[[], None] | None]) -> None:
    first: BaseException | None = None
    while not run.future.done():
        try:
            with blocking():
                job = take(inbox)
            if job is not None:
                job()
        except BaseException as error:  # a KeyboardInterrupt, where the script or the loop has handlers of its own
            first = first or error
            run.cancel("its caller was interrupted.")
    if first is not None:
        raise first


def _host_for_blocking() -> Host:
    host = ambient_host()
    if host is None:
        if current() is None and current_backend_name() is None:
            show_logs_of_a_script(_where_history_is_kept())
        return background_host(None)
    return background_host(host) if host.in_loop_thread() else host


async def call_async(call: Call) -> Any:
    """Run a body and wait for it: in the ambient Runtime, or in one of its own on this loop.

    Cancelled, by whatever means and however often, it cancels the run, waits for that to end, and re-raises.
    """
    host = ambient_host()
    if host is not None and host.in_loop_thread():
        return _outcome(await _wait_for(launch(host, call, usual_place(call))), call)
    if host is None:
        show_logs_of_a_script(_where_history_is_kept())
    # Ambient to the run alone, which knows its host: a call in another task must not end with this one.
    async with Host(RuntimeOptions.of({})) if host is None else Host(host.twin_options(), host.tally) as own:
        state = await _wait_for(launch(own, call, usual_place(call)))
    return _outcome(state, call)


async def _wait_for(run: LiveRun) -> State[Any]:
    done = event_of(run.future)

    def cancelled() -> None:
        run.cancel("its caller was cancelled.")
        run.host.call_later(run.host.patience_seconds, done.set)

    await wait_through(done, on_cancel=cancelled)
    return run.future.result()


def submit(call: Call) -> Handle[Any]:
    """Start a run and return at once. In sync and in async code."""
    host = ambient_host()
    if host is None:
        if in_async_code():
            raise RuntimeClosed(
                f"{call.subject.name!r} was submitted where no Runtime is open to run it. Submit in a flow, or open "
                "one: `async with Runtime():`."
            )
        host = _host_for_blocking()
    with without_interrupts():
        return Handle(launch(host, call, usual_place(call)))


def store() -> Journal:
    """Where the code that asks keeps variables and blocks: the journal of the Runtime around it, or of this process."""
    return (ambient_host() or background_host(None)).journal


async def store_async() -> Journal:
    """The same; where it has to be opened, a thread does that."""
    host = ambient_host()
    if host is None:
        host = await anyio.to_thread.run_sync(background_host, None, current_backend_name())
    return host.journal


def _where_history_is_kept() -> str:
    settings = get_current_settings()
    if settings.journal == "memory":
        return "History is kept in memory: it ends with this process, and hooks that are due then do not run."
    return f"History is kept in {settings.database}."


def _outcome(state: State[Any], call: Call) -> Any:
    return state if call.return_state else state.result()


keep_whole(call_async, _wait_for, launch)


_warned_lines: set[tuple[str, int]] = set()


def _warn_of_blocked_loop(run: LiveRun, seconds: float) -> None:
    if seconds < _BLOCKED_LOOP_SECONDS:
        return
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("actwright."):
        frame = frame.f_back
    if frame is None:
        return
    line = frame.f_code.co_filename, frame.f_lineno
    if line in _warned_lines:
        return
    _warned_lines.add(line)
    kind, name = run.snapshot.kind, run.subject.name
    instead = f"`await run_flow({run.subject.fn.__name__}, ...)`" if kind == "flow" else "`.submit(...)` and await that"
    logger.warning(
        "%s:%d calls the sync %s %r in async code, which held the event loop for %.0f ms: everything else waited. "
        "Use %s, or make it async.",
        *line, kind, name, seconds * 1000, instead,
    )  # fmt: skip
