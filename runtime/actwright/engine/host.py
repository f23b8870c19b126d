"""The host of runs: one actor system on one event loop, with what its actors share.

`Runtime` is its public face. Everything here runs in the loop's thread, except what says otherwise.
"""

from __future__ import annotations

import logging
import random
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import anyio

from actwright.authoring.replay_guard import refuse_while_loading
from actwright.authoring.waiting import event_of
from actwright.engine.at_exit import refuse_at_exit
from actwright.engine.forked import fork_error, note_host
from actwright.engine.hook_actor import Deliver, HookActor
from actwright.engine.kit import clock_for
from actwright.engine.load import Tally
from actwright.engine.messages import Begin, Cancel
from actwright.engine.registrar import Registrar
from actwright.engine.rest import waits_for_time_alone
from actwright.engine.run_actor import RunActor
from actwright.engine.supervisor import CancelRequested, Escalation, RunSupervisor
from actwright.engine.threads import WorkerThreads
from actwright.engine.whole import keep_whole, see_to_whole
from actwright.exceptions import RunError, RunIsFinal, RuntimeClosed
from actwright.models.commands import checked_reason
from actwright.nodes.journal import journal_of_this_process, watch_loop
from actwright_actors import ActorSystem, ChildSpec, DeadLetter, Supervisor, SystemClosed, wait_through

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType
    from uuid import UUID

    from actwright.authoring.hooks import Hook
    from actwright.engine.live_run import LiveRun
    from actwright.engine.messages import RunMessage
    from actwright.engine.options import RuntimeOptions
    from actwright.engine.outbox import Batch
    from actwright.exceptions import ActwrightError, InternalError
    from actwright.journal.protocol import Journal, Record
    from actwright.models.commands import Answer, Command
    from actwright.models.states import State
    from actwright_actors import ActorRef, Timer

__all__ = ["Host", "HostStatus"]

logger = logging.getLogger("actwright.engine")

HostStatus = Literal["new", "open", "draining", "closed", "broken"]

_LAST_MARGIN_SECONDS: Final = 5.0
"""Past every grace, how much longer a close waits before it says what is left and goes."""


class Host:
    """Runs on one loop, for the length of its `async with`. `tally` is that of the host that it stands in for."""

    def __init__(self, options: RuntimeOptions, tally: Tally | None = None) -> None:
        self.options = options
        self.tally = tally or Tally()
        self._journal = options.journal
        self._watches: list[Callable[[], None]] = []
        self._broken_by: ActwrightError | None = None
        self._is_abandoned = False
        self.rng = random.Random()
        self.status: HostStatus = "new"
        self.worker_threads = WorkerThreads(options.worker_threads, "actwright-worker")
        self.hook_threads = WorkerThreads(options.hook_threads, "actwright-hook")
        clock = clock_for(self)
        self._system = ActorSystem("actwright", clock=options.clock or clock, on_dead_letter=self._answer_lost_cancel)
        self._runs: dict[UUID, LiveRun] = {}
        self._by_actor: dict[ActorRef[Any], LiveRun] = {}
        self._released: dict[Batch, None] = {}
        self._delivered: dict[Batch, anyio.Event] = {}
        self._quiet: anyio.Event | None = None
        self.cut_short: set[UUID] = set()  # what a close had to cancel, or left behind with something undone
        self._registrar = Registrar(options.on_hook_failure)
        self.close_twins: Callable[[], None] | None = None
        self.is_forked = False  # this process was forked from the one that it lives in
        note_host(self)

    @property
    def journal(self) -> Journal:
        """Where its runs are written to; there from when it is open."""
        if self._journal is None:
            raise RuntimeClosed("This Runtime is not open: its journal is there inside of `async with Runtime():`.")
        return self._journal

    def twin_options(self) -> RuntimeOptions:
        """For a host on another loop that stands in for this one: the same hooks, limits and journal."""
        return replace(self.options, journal=self.journal, clock=None)

    @property
    def patience_seconds(self) -> float:
        """How long after a cancel whoever waits for the end goes all the same: past every grace."""
        return self.options.cancel_grace_seconds + self.options.hook_grace_seconds + _LAST_MARGIN_SECONDS

    # Opening and closing

    async def __aenter__(self) -> Self:
        """Start the actors that every run needs: hooks first, so that they stop last."""
        see_to_whole()
        refuse_while_loading("A Runtime was opened")
        refuse_at_exit("A Runtime was opened")
        await self._open_journal()
        await self._system.__aenter__()
        specs = [
            ChildSpec("hooks", lambda: HookActor(self), stop_timeout=_LAST_MARGIN_SECONDS),
            ChildSpec("runs", lambda: RunSupervisor(self)),
        ]
        try:
            supervisor = await self._system.spawn(Supervisor(specs, intensity=10, period=60.0), name="supervisor")
            supervisor.monitor(await self._system.spawn(Escalation(self), name="escalation"))
        except BaseException as error:
            await self._system.__aexit__(type(error), error, error.__traceback__)
            raise
        self.status = "open"
        self.tally.host_opened(self)
        # The journal may call at once, and in whatever thread; what it calls needs the loop.
        self._watches.append(self.journal.on_fenced(lambda error: self.post(partial(self._fenced, error))))
        self._watches.append(self.journal.watch_commands(self._take_command))
        self._watches.append(watch_loop(self.journal, self.post, lambda: bool(self._runs or self._released)))
        return self

    async def _open_journal(self) -> None:
        if self._journal is None:
            try:
                self._journal = await self.worker_threads.run(journal_of_this_process)
            except BaseException:
                self.worker_threads.close()
                raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End every run, then the hooks, then the actors; through any number of cancellations, and then re-raise.

        With an exception, or with `on_exit="cancel"`, runs are cancelled at once, and otherwise when the drain is over.
        """
        if self._is_abandoned:
            self._end_abandoned()
        self.status = "draining"
        cancel_now = exc is not None or self.options.on_exit == "cancel"
        self.call_later(0 if cancel_now else self.options.drain_seconds, self.cancel_all)
        first: BaseException | None = None
        try:
            await wait_through(self._all_quiet, on_cancel=self.cancel_all)
        except BaseException as error:
            first = error
        self.status = "closed"
        for unwatch in self._watches:
            unwatch()
        try:
            await self._close_twins()
        except BaseException as error:
            first = first or error
        self.worker_threads.close()
        self.hook_threads.close()
        if first is not None and exc is None:
            exc_type, exc, tb = type(first), first, first.__traceback__
        try:
            await self._system.__aexit__(exc_type, exc, tb)
        finally:
            self._fail_the_rest()
            self.tally.host_closed(self)
        if first is not None and exc is first:
            raise first

    def supervision_failed(self) -> None:
        """What serves runs has crashed too often to be started again: nothing that runs could come to its end."""
        self.status = "broken"
        self._fail_the_rest()

    def _fenced(self, error: ActwrightError) -> None:
        """Another process has settled these runs, and runs their hooks: stop the bodies, and begin nothing more."""
        if self.status == "closed":
            return
        if self._is_abandoned:
            self._let_callers_go()
            return
        self.status, self._broken_by = "broken", error
        for run in self._runs.values():
            if run.attempt is not None:
                run.attempt.stop(str(error))
        self._fail_the_rest()

    def abandon(self, error: ActwrightError) -> None:
        """Behave as if this process were dead: begin nothing, and tell no body. In any thread; for tests.

        Once its journal is fenced as well, which comes next, nothing that still goes on counts. Those who wait for a
        run that no other run has called get `error` then, and bodies hear of it when the host is closed.
        """
        self._is_abandoned, self._broken_by, self.status = True, error, "broken"

    def _let_callers_go(self) -> None:
        for run in list(self._runs.values()):
            if run.parent is None and self._broken_by is not None:
                run.let_go(self._broken_by)

    def _end_abandoned(self) -> None:
        for run in self._runs.values():
            if run.attempt is not None:
                run.attempt.stop(str(self._broken_by))
                run.attempt.abandon()
        self._fail_the_rest()

    def only_time_helps(self) -> bool:
        """Whether its runs wait for nothing but the clock. In the host's thread."""
        if self.worker_threads.is_busy or self.hook_threads.is_busy:
            return False
        return waits_for_time_alone(self._system.tree().actors, self._runs.values(), self._released)

    def _fail_the_rest(self) -> None:
        """Let nobody wait for a run that nothing serves any more."""
        for run in list(self._runs.values()):
            state = run.snapshot.state.name
            level = logging.DEBUG if self._is_abandoned else logging.CRITICAL
            run.log.log(level, "It is %s, and is left behind by its Runtime, which is %s.", state, self.status)
            left = RuntimeClosed(f"{run.title} is {state}: its Runtime is {self.status}, and it had not ended.")
            run.let_go(self._broken_by or left)
            self.cut_short.add(run.outermost_id)
        for batch in self._released:
            if batch.abandon(self.now(), is_told=not self._is_abandoned):
                self.cut_short.add(batch.run.outermost_id)
        for done in self._delivered.values():
            done.set()
        self._runs.clear()
        self._released.clear()
        self._note_quiet()

    async def _all_quiet(self) -> None:
        while self._runs or self._released:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    def _note_quiet(self) -> None:
        if self._quiet is not None and not (self._runs or self._released):
            self._quiet.set()

    def cancel_all(self) -> None:
        """Cancel what runs, but for what hooks have called, which are not cut short; and past every grace, go all the
        same, saying what is left."""
        for run in list(self._runs.values()):
            if not run.origin.in_hook and (run.parent is None or run.parent.host is not self):
                run.signal(Cancel("its Runtime is closing.", is_cut=True))
        self.call_later(self.patience_seconds, self._fail_the_rest)

    async def _close_twins(self) -> None:
        """Close what stands in for this host on other loops, which blocks, and so is done in a thread."""
        if self.close_twins is not None:
            _, closed = self.worker_threads.start(self.close_twins)
            await wait_through(event_of(closed))
            closed.result()

    # Runs

    def admit(self, is_inner: bool) -> None:
        """Refuse a run where none may start any more. In any thread.

        While draining, what runs may still start what it needs (`is_inner`), and so may hooks.
        """
        if self.is_forked:
            raise fork_error("This Runtime")
        if self._broken_by is not None:
            raise self._broken_by
        if self.status == "open" or (is_inner and self.status == "draining"):
            self.journal.check(self.options.journal_wait_seconds)
            return
        raise RuntimeClosed(
            f"This Runtime is {self.status}: it takes no new runs. Call flows and tasks inside `async with Runtime():`."
        )

    def launch(self, run: LiveRun) -> None:
        """Make a run's actor and send it off. In any thread: a foreign one hands it over, and does not wait."""
        self._runs[run.snapshot.id] = run
        run.registration = self._registrar.registration_of(run)
        try:
            if self._system.in_loop_thread():
                self._start(run)
            else:
                self.post(lambda: self._start_posted(run))
        except BaseException as error:
            self._runs.pop(run.snapshot.id, None)  # a close must not wait for half a run
            if isinstance(error, SystemClosed | RuntimeClosed):
                raise RuntimeClosed("This Runtime closed while a run was being started in it.") from None
            raise

    def _start_posted(self, run: LiveRun) -> None:
        try:
            self._start(run)
        except BaseException as error:
            self.forget(run)
            run.future.set_exception(error)  # the thread that waits for it must hear of it
            raise

    def _start(self, run: LiveRun) -> None:
        if self.status not in ("open", "draining"):
            raise RuntimeClosed(f"This Runtime is {self.status}: {run.title} came too late.")
        run.begin_report()
        ref, parent = self.start_actor(run), run.parent
        run.obey_first()
        # A call across loops blocks the caller's loop until it is done: that parent cannot end before.
        if parent is not None and parent.host is self:
            if parent.is_final:  # it ended while this was on its way here from another thread
                run.cancel(f"{parent.title} is {parent.snapshot.state.name}.")
            else:
                parent.child_started(run)
        ref.signal(Begin())

    def start_actor(self, run: LiveRun) -> ActorRef[RunMessage]:
        """An actor for a run: its first, or one that takes it over. The supervisor watches it."""
        ref: ActorRef[RunMessage] = self._system.spawn_soon(RunActor(run), name=str(run.snapshot.id))
        if run.ref is not None:
            self._by_actor.pop(run.ref, None)
        run.ref = ref
        self._by_actor[ref] = run
        supervisor = self._system.lookup("runs")
        if supervisor is not None:
            ref.monitor(supervisor)
        return ref

    def forget(self, run: LiveRun) -> None:
        """A run is done."""
        if self._runs.pop(run.snapshot.id, None) and run.is_final:
            self.tally.run_ended(run.snapshot)
        if run.ref is not None:
            self._by_actor.pop(run.ref, None)
            if supervisor := self._system.lookup("runs"):
                run.ref.demonitor(supervisor)  # its actor's end is none that anybody has to hear of
        self._note_quiet()

    def leave_behind(self, run: LiveRun) -> None:
        """Its caller was let go: a close does not wait for it either. Its actor goes on for as long as it can."""
        if self.status == "draining":
            self.cut_short.add(run.outermost_id)
        run.tell_parent_of_end()
        self._runs.pop(run.snapshot.id, None)
        self._note_quiet()

    def give_up(self, run: LiveRun, error: InternalError) -> None:
        """Let nobody wait for a run that no actor can bring to its end."""
        run.log.critical("It is %s, and is given up.", run.snapshot.state.name, exc_info=error)
        run.heard.clear()
        run.let_go(error)
        for child in run.children:
            child.signal(Cancel(f"{run.title} was given up.", names_origin=True))
        run.tell_parent_of_end()
        self.forget(run)

    def live_run(self, run_id: UUID) -> LiveRun | None:
        return self._runs.get(run_id)

    def live_runs(self) -> list[LiveRun]:
        return list(self._runs.values())

    def run_of_actor(self, ref: ActorRef[Any]) -> LiveRun | None:
        return self._by_actor.get(ref)

    def commits_first(self, run: LiveRun, state: State[Any]) -> bool:
        """Whether a transition is committed before anything follows from it: where a hook is registered for the run, or
        where it is the end, or a cancel, that the caller of the whole waits for. And of a run that was submitted: if
        its process dies, history tells whether its body was at work."""
        if run.has_hooks or run.call.known is not None:
            return True
        return run.parent is None and (state.is_final() or state.is_cancelling())

    def request_cancel(self, run_id: UUID, reason: str | None) -> Future[None]:
        """Ask for a run to be cancelled, by its id. In any thread."""
        if self.is_forked:
            raise fork_error("This Runtime")
        answer: Future[None] = Future()
        request = CancelRequested(run_id, checked_reason(reason), answer)
        supervisor = self._system.lookup("runs")
        if supervisor is None:
            answer.set_exception(self.no_such_run(run_id))
        else:
            supervisor.signal(request)
        return answer

    def _take_command(self, command: Command, answer: Callable[[Answer], object]) -> bool:
        """Do what another process asks of a run; whether it lives here. In a thread of the journal's."""
        run = None if self._is_abandoned else self._runs.get(command.run_id)
        if run is not None:
            run.obey(command, answer)
        return run is not None

    def no_such_run(self, run_id: UUID) -> RunError:
        """Why a run cannot be cancelled that does not live here."""
        known = self.journal.run(run_id)
        if known is None:
            return RunError(f"There is no run {run_id} here. Check the id.", run_id)
        return RunIsFinal(known.title, known.state.name, run_id)

    def _answer_lost_cancel(self, letter: DeadLetter) -> None:
        """A request to cancel that found no actor still gets its answer: from the run's next actor, if it lives."""
        match letter.message:
            case CancelRequested(run_id, _, answer):
                answer.set_exception(self.no_such_run(run_id))
            case Cancel(run=run) as cancel if run is not None:
                if run.future.done():
                    run.refuse(cancel)
                else:
                    run.cancels.append(cancel)
            case _:
                pass

    # Hooks

    def hooks_for(self, run: LiveRun) -> Mapping[str, tuple[Hook, ...]]:
        """The Runtime's own hooks for a run; none for runs that such a hook started, or it might never end."""
        if run.origin.from_runtime_hook:
            return {}
        return self.options.flow_hooks if run.snapshot.kind == "flow" else self.options.task_hooks

    def deliver(self, batch: Batch) -> None:
        """Hand hooks that are due, and whose transition is committed, to the hook actor."""
        batch.released = True
        self._released[batch] = None
        hooks = self._system.lookup("hooks")
        if hooks is not None:  # between two incarnations it is there, and finds the batch when it starts
            hooks.signal(Deliver(batch))

    def released_batches(self) -> list[Batch]:
        return list(self._released)

    def is_released(self, batch: Batch) -> bool:
        """Whether it was handed over and is not done."""
        return batch in self._released

    async def delivered(self, batch: Batch) -> None:
        """The same as `deliver`, and wait until its hooks are done. Cancelled, they go on."""
        done = self._delivered[batch] = anyio.Event()
        self.deliver(batch)
        await done.wait()

    def take_back(self, batch: Batch) -> None:
        """Leave hooks that wait to be tried again to another process: they stay due, and nobody hears that they are
        done."""
        batch.taken_back = True
        self._released.pop(batch, None)
        self._delivered.pop(batch, None)
        self._note_quiet()

    def batch_done(self, batch: Batch) -> None:
        self._released.pop(batch, None)
        self.tally.hooks_ended(batch)
        if done := self._delivered.pop(batch, None):
            done.set()
        batch.run.outbox.remove(batch)
        self._note_quiet()

    # What actors share

    @property
    def thread_id(self) -> int:
        return self._system.thread_id

    def in_loop_thread(self) -> bool:
        return self._system.in_loop_thread()

    def post(self, fn: Callable[[], object]) -> None:
        """Have the loop call `fn` soon. In any thread."""
        self._system.post(fn)

    def call_later(self, seconds: float, fn: Callable[[], object]) -> Timer:
        return self._system.timers.call_later(seconds, fn)

    async def sleep(self, seconds: float) -> None:
        """Wait by the system's clock."""
        if seconds > 0:
            over = anyio.Event()
            self._system.timers.call_later(seconds, over.set)
            await over.wait()

    def now(self) -> datetime:
        """The time of day, UTC, by the system's clock."""
        return self._system.clock.wall()

    async def commit(self, *records: Record) -> None:
        """Add records to the journal and wait until they are durable."""
        committed = anyio.Event()

        def tell() -> None:
            with suppress(SystemClosed):  # and whoever waited is gone
                self.post(committed.set)

        self.journal.append(*records, committed=tell)
        await committed.wait()


keep_whole(Host.__aenter__, Host.__aexit__, Host.launch)
