"""Where a program is played: a Runtime on a clock that stands still, and all that can be done to its runs from outside.

After each action all is brought to rest, threads included, so that a program always plays in the same way.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup, TaskStatus
from tests.engine.faults import host_of, infrastructure
from tests.engine.model import program as do
from tests.engine.model.cast import Cast, Planned
from tests.engine.model.gates import Gates
from tests.engine.model.log import Asked, Intervened, Log, LoggedJournal, Noted, Sent, Told
from tests.engine.watched import WATCHDOG_SECONDS, until

from actwright import Flow, Handle, Runtime
from actwright.authoring.waiting import until_done
from actwright.engine import messages
from actwright.exceptions import RunIsFinal, RuntimeClosed
from actwright_actors.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from actwright.engine.live_run import LiveRun

__all__ = ["Stage", "opened"]

NEVER: Final = 1e9


class Stage:
    """Plays one program.

    Attributes:
        log: all that happened.
        is_closed: its Runtime was left.
    """

    def __init__(self, program: do.Program, group: TaskGroup) -> None:
        self.program = program
        self.clock = ManualClock()
        self.log = Log(self.clock.now)
        self.gates = Gates()
        self.is_closed = False
        self.runtime: Runtime
        self.cast = Cast(program, self.log, self.gates, lambda: self.runtime, lambda seconds: self.host.sleep(seconds))
        self._group = group
        self._scope = anyio.CancelScope()
        self._leave = anyio.Event()
        self._raises = False
        self._handles: dict[UUID, Handle[Any]] = {}
        self._deaths: Counter[str] = Counter()
        self._messages = 0

    @property
    def host(self) -> Any:
        return host_of(self.runtime)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Hold the Runtime open until it is to be closed."""
        hooks = self.cast.everywhere
        options: dict[str, Any] = {"flow_hooks": hooks, "task_hooks": hooks, "journal": LoggedJournal(self.log)}
        with self._scope:
            try:
                async with Runtime(
                    clock=self.clock,
                    on_exit=self.program.on_exit,
                    worker_threads=self.program.worker_threads,
                    hook_threads=self.program.hook_threads,
                    cancel_grace_seconds=do.GRACE,
                    hook_timeout_seconds=do.HOOK_TIMEOUT,
                    hook_grace_seconds=NEVER,  # what a close leaves behind is not the subject here
                    **options,
                ) as self.runtime:
                    task_status.started()
                    await self._leave.wait()
                    if self._raises:
                        raise Planned("leaves the Runtime")
            except Planned:
                pass
        self.is_closed = True

    # What is done

    async def apply(self, action: do.Action) -> None:
        """Do it, and come to rest."""
        match action:
            case do.Release(which):
                self._release(which)
            case do.Advance(seconds):
                await self.advance_to(self.clock.now() + seconds)
            case do.Cancel(which, times, by, final):
                if run := self._run(which, final=final):
                    for _ in range(times):
                        self._cancel(run, by)
            case do.Send(which, final):
                if run := self._run(which, final=final):
                    self._send(run)
            case do.CancelAll():
                for run in self.host.live_runs():
                    self._cancel(run, "handle")
                await self.rest()
                await self.advance_to(self.clock.now() + do.GRACE)
            case do.Kill(which):
                self._kill(which)
            case do.Crash(which):
                if run := self._run(which):
                    self._intervene("crash", run)
                    run.signal(messages.Crash(SystemExit("from outside"), "it was ended from outside"))
            case do.KillInfrastructure(name):
                self._kill_infrastructure(name)
            case do.Submit():
                self._submit()
            case do.Close(how):
                self._close(how)
        await self.rest()

    async def start(self) -> None:
        """Begin with a run of the root."""
        self._submit()
        await self.rest()

    def _note(self, text: str) -> None:
        self.log.add(Noted(text))

    def _release(self, which: int) -> None:
        if names := self.gates.names():
            name = names[which % len(names)]
            self._note(f"released {name}")
            self.gates.release(name)

    def _run(self, which: int, *, final: bool = False) -> LiveRun | None:
        """A run by its number; of those that go on, unless only final ones are meant."""
        self._keep_handles()
        runs = [handle._run for handle in self._handles.values()]  # pyright: ignore[reportPrivateUsage]
        meant: list[Any] = [run for run in runs if run.future.done() == final]
        return meant[which % len(meant)] if meant else None

    def _keep_handles(self) -> None:
        for run in self.host.live_runs():
            self._handles.setdefault(run.snapshot.id, Handle(run))

    def _intervene(self, what: str, run: LiveRun) -> None:
        run_id = run.snapshot.id
        self._note(f"{what} of {self.log.labels.get(run_id)}, which is {run.snapshot.state.name}")
        self.log.add(Intervened(what, self.clock.now(), run_id))

    def _cancel(self, run: LiveRun, by: str) -> None:
        self._intervene("cancel", run)
        handle = Handle(run)
        answer = handle.cancel("enough") if by == "handle" else self.runtime.cancel(run.snapshot.id, "enough")
        self._group.start_soon(self._hear, run, answer)

    def _send(self, run: LiveRun) -> None:
        self._messages += 1
        if run.send(self._messages).exception() is None:
            self.log.add(Sent(run.snapshot.id, self._messages))

    async def _hear(self, run: LiveRun, answer: Awaitable[None]) -> None:
        try:
            await answer
        except RunIsFinal as error:
            self.log.add(Asked(run.snapshot.id, error.state_name))
        else:
            self.log.add(Asked(run.snapshot.id, None))

    def _kill(self, which: int) -> None:
        run = self._run(which)
        if run is not None and run.ref is not None and run.takeovers < do.MAX_DEATHS and not self.is_closed:
            self._intervene("kill", run)
            run.ref.kill()

    def _kill_infrastructure(self, name: Any) -> None:
        if not self.is_closed and self._deaths[name] < do.MAX_DEATHS and self.host.status == "open":
            self._deaths[name] += 1
            self._note(f"killed {name!r}")
            self.log.add(Intervened(f"kill {name}", self.clock.now()))
            infrastructure(self.runtime, name).kill()

    def _submit(self) -> None:
        subject = self.cast.subjects[self.program.root.name]
        assert isinstance(subject, Flow), "The root is a flow."
        try:
            handle = self.runtime.submit(subject)
        except RuntimeClosed:
            return
        self._note("submitted the root")
        self._group.start_soon(self._await_end, handle)

    async def _await_end(self, handle: Handle[Any]) -> None:
        run = handle._run  # pyright: ignore[reportPrivateUsage]
        await until_done(run.future)
        self.log.add(Told(run.future.result().id))

    def _close(self, how: str) -> None:
        if not self._leave.is_set() and not self._scope.cancel_called:
            self._note(f"left the Runtime {how}")
            self.log.add(Intervened("close", self.clock.now()))
            self._raises = how == "by an exception"
            self._leave.set() if how != "cancelled" else self._scope.cancel()

    # Rest and time

    async def rest(self) -> None:
        """Come to where nothing happens any more without time, or a gate's opening; threads included."""
        with anyio.fail_after(WATCHDOG_SECONDS):
            while True:
                still, seen = self._threads_stand_still(), len(self.log.events)
                for _ in range(30):
                    await anyio.lowlevel.checkpoint()
                await anyio.wait_all_tasks_blocked()
                if still and self._threads_stand_still() and seen == len(self.log.events):
                    return
                if not still:
                    await anyio.sleep(0.0002)  # a thread is at work, and nobody tells when it stands still again

    def _threads_stand_still(self) -> bool:
        return self.gates.all_stand_still(self.host, self.log.has_begun)

    async def advance_to(self, target: float) -> None:
        """Let time pass, coming to rest at each instant at which something is due."""
        while (due := self.clock._next_due()) is not None and due <= target:  # pyright: ignore[reportPrivateUsage]
            self.clock.advance(max(0.0, due - self.clock.now()))
            await self.rest()
        self.clock.advance(max(0.0, target - self.clock.now()))

    # The end

    async def wind_up(self) -> None:
        """Close the Runtime, let everybody go, and have time pass until it is closed."""
        self._close("normally")
        await self.rest()
        while not self.is_closed:
            if names := self.gates.names():
                for name in names:
                    self.gates.release(name)
            else:
                due = self.clock._next_due()  # pyright: ignore[reportPrivateUsage]
                if due is None or due >= NEVER:
                    raise AssertionError("\n".join(["The Runtime does not close:", "", *self.log.story()]))
                self.clock.advance(max(0.0, due - self.clock.now()))
            await self.rest()
        self.gates.open_all()  # for bodies and hooks that were abandoned
        await until(lambda: not (self.host.worker_threads._threads or self.host.hook_threads._threads))  # pyright: ignore[reportPrivateUsage]
        await self.rest()

    async def tear_down(self) -> None:
        """Let all end, in whatever state a failure has left it."""
        self.gates.open_all()
        self._leave.set()
        for _ in range(50):
            await anyio.sleep(0.001)
            if self.is_closed:
                return
            self.clock.advance(do.HOOK_TIMEOUT)
        self._scope.cancel()


@asynccontextmanager
async def opened(program: do.Program) -> AsyncGenerator[Stage]:
    """A stage whose Runtime is open. Whatever fails inside, all has ended afterwards."""
    async with anyio.create_task_group() as group:
        stage = Stage(program, group)
        await group.start(stage.run)
        try:
            yield stage
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stage.tear_down()
            group.cancel_scope.cancel()
            raise
