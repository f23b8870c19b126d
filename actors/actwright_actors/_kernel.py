"""What a system is made of: names, the group of all tasks, timers, and the order of the end.

`ActorSystem` is what users see of it; cells and supervisors work with it directly. Only in the loop's thread, except
where a method says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

import anyio

from actwright_actors import _backend
from actwright_actors._cell import Cell, Keeper
from actwright_actors._checks import require_actor, require_at_least
from actwright_actors._incarnation import Incarnation
from actwright_actors._interrupt import interrupt_in
from actwright_actors._latch import Latch
from actwright_actors._log import logger
from actwright_actors._timer_heap import TimerHeap
from actwright_actors.actor import Actor, ChildTask
from actwright_actors.clock import Clock, SteppedClock
from actwright_actors.dead_letters import DeadLetter, DeadLetterHandler, DeadLetterReason
from actwright_actors.errors import NameTaken, SystemClosed, WrongThread
from actwright_actors.exit import Killed
from actwright_actors.groups import Groups
from actwright_actors.instrument import Instrument
from actwright_actors.mailbox import MailboxOptions
from actwright_actors.port import Port
from actwright_actors.ref import ActorRef
from actwright_actors.waiting import wait_through

if TYPE_CHECKING:
    from actwright_actors.system import ActorSystem

__all__ = ["Kernel"]

_UNBOUNDED = MailboxOptions()
_NOT_AN_ACTOR = nullcontext()


class Kernel:
    """The inside of one open actor system. Made in the loop's thread."""

    def __init__(
        self,
        system: ActorSystem,
        clock: Clock,
        *,
        on_dead_letter: DeadLetterHandler,
        instrument: Instrument | None,
        stop_timeout: float,
        slow_handler_seconds: float | None,
    ) -> None:
        self.system = system
        self.name = system.name
        self.clock = clock
        self.instrument = instrument
        self.stop_timeout = stop_timeout
        self.slow_handler_seconds = math.inf if slow_handler_seconds is None else slow_handler_seconds
        self.thread_id = get_ident()
        self.timers = TimerHeap(clock, on_error=partial(self.log_escaped, "A timer's callback raised."))
        self.make_wake = _backend.wake_maker()
        self.current_task = _backend.task_identifier()
        self.cells: dict[str, Cell] = {}
        """The live ones, in the order of their start."""
        self.lives: dict[object, Incarnation] = {}
        """Whose task a task is."""
        self.abandoned: set[ChildTask | Incarnation] = set()
        """Those whose tasks nobody waits for any more."""
        self.groups = Groups(self.require_loop_thread)
        self.late_replies = 0
        self.dead_letters = 0
        self.dead_letter_stream: Port[DeadLetter] = Port()
        self.is_open = False
        self.interrupted: KeyboardInterrupt | None = None
        """The first one that escaped from an actor, a timer or a posted function."""
        self._on_dead_letter = on_dead_letter
        self._spawned = 0
        self._call_soon = _backend.thread_safe_caller()
        self._block = anyio.CancelScope()
        self._hosting = anyio.CancelScope()
        self._helpers: list[anyio.CancelScope] = []
        self._opened, self._closing, self._closed = (Latch(self.make_wake) for _ in range(3))
        self._none_abandoned: Latch | None = None

    # -- from the beginning to the end -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the host, and enter the scope that an interrupt cancels."""
        self._host_task = _backend.start_detached(self._host, f"{self.name} host")
        try:
            await wait_through(self._opened.wait)
        except BaseException:
            self._closing.set()
            await wait_through(self._closed.wait)
            raise
        self._block.__enter__()
        self.is_open = True

    async def close(self, exc: BaseException | None) -> None:
        """Stop the actors in order, whatever cancels the caller; `exc` is what the block raised."""
        self.is_open = False
        self._closing.set()
        late: BaseException | None = None
        try:
            await wait_through(self._closed.wait)
        except BaseException as error:
            late = error
        # What the block raised tells more than a cancellation that came while we tidied up.
        escaping = late if exc is None or isinstance(late, KeyboardInterrupt) else exc
        self._block.__exit__(
            type(escaping) if escaping else None, escaping, escaping.__traceback__ if escaping else None
        )
        if self.interrupted is not None:  # the only one to cancel the block's own scope
            raise self.interrupted
        if escaping is not None and escaping is not exc:
            raise escaping

    async def _host(self) -> None:
        """Hold all tasks until told to close; then stop the actors in order."""
        try:
            with self._hosting:
                async with _backend.open_task_host() as tasks:
                    self._tasks: _backend.TaskHost = tasks
                    try:
                        await self._hold_and_stop()
                    except GeneratorExit:  # the loop is gone
                        raise
                    except BaseException:
                        self._end_at_once()
                        raise
        finally:
            self._mark_closed()

    async def _hold_and_stop(self) -> None:
        self._help(self.timers.run, "timers")
        self._opened.set()
        await self._closing.wait()
        if isinstance(self.clock, SteppedClock):
            self._help(partial(self._step, self.clock), "end")
        # This task walks the actors, not the caller's, because it is out of reach of cancellation. Only the end of the
        # loop itself cancels it, if the block is never left, or whoever cancels all tasks that there are.
        for cell in reversed(list(self.cells.values())):
            if cell.keeper is None:  # a supervisor stops its own children
                timer = cell.shut_down()
                await cell.stopped.wait()
                timer.cancel()
        await self._end_abandoned()
        if self.abandoned:  # whoever closes the system cannot wait for those
            self._mark_closed()
            for one in self.abandoned:  # which may be in its on_stop by now, under a shield
                one.cancel()
        self._end_helpers()

    def _end_at_once(self) -> None:
        """Nobody will stop the actors in order."""
        for cell in list(self.cells.values()):
            if cell.life.status in ("starting", "running"):  # a second time would cut its on_stop
                cell.abort(Killed())
        self._end_helpers()

    def _help(self, async_fn: Callable[[], Awaitable[object]], name: str) -> None:
        """Have a task run `async_fn` until the actors are gone. What escapes from it ends them: without timers, say,
        nothing would end that takes too long."""
        scope = anyio.CancelScope()
        self._helpers.append(scope)

        async def run() -> None:
            task = self.current_task()
            try:
                with scope:
                    await async_fn()
            except Exception as error:
                self.reraise_if_closed(error, task)
                self.log_escaped(f"The {name} of actor system %r broke: it ends.", error, self.name)
                self._hosting.cancel()

        self._tasks.start(run, name=f"{self.name} {name}")

    def _end_helpers(self) -> None:
        for scope in self._helpers:
            scope.cancel()

    def _mark_closed(self) -> None:
        self.is_open = False
        self.timers.clear()
        self._closed.set()

    async def _step(self, clock: SteppedClock) -> None:
        """Move a clock that stands still, now and then, so that the end comes though nobody moves it any more.

        A test that failed has left its block with an actor that hangs, say. It should see its failure.
        """
        while True:
            await anyio.sleep(self.stop_timeout)
            now = self.clock.now()
            clock.advance(max(now, self.timers.next_due() or now) - now)

    async def _end_abandoned(self) -> None:
        """Cancel what was abandoned, and wait, but not for ever, since it may swallow that."""
        if not self.abandoned:
            return
        self._none_abandoned = none_left = Latch(self.make_wake)
        for one in list(self.abandoned):
            one.cancel()
        timer = self.timers.call_later(self.stop_timeout, none_left.set)
        await none_left.wait()
        timer.cancel()
        if self.abandoned:
            logger.error(
                "Actor system %r closes, and %s abandoned tasks go on: cancelled %s s ago, they swallow it. The event "
                "loop may wait for them.", self.name, len(self.abandoned), self.stop_timeout,
            )  # fmt: skip

    @property
    def is_closed(self) -> bool:
        """Nothing lives here any more, except what is abandoned."""
        return self._closed.is_set()

    def interrupt_if_asked(self, error: BaseException) -> None:
        """End the system if `error` is a Ctrl-C, or holds one, which struck where no caller could see it."""
        if self.interrupted is None:
            self.interrupted = interrupt_in(error)
            if self.interrupted is not None:
                self._block.cancel()

    # -- starting --------------------------------------------------------------------------------------------------

    def require_open(self) -> None:
        """Raise SystemClosed, before the system is open or once it stops, to who would start something new."""
        if not self.is_open:
            raise SystemClosed(self.name)

    def add(
        self,
        actor: Actor[Any],
        name: str | None,
        mailbox: MailboxOptions | None,
        stop_timeout: float | None,
        keeper: Keeper | None = None,
    ) -> Cell:
        """Make a cell and register its name; launching it is the caller's business.

        A keeper starts its first children, after a restart of its own, also while the system stops: it stops them.
        """
        if keeper is None:
            self.require_open()
        self.require_loop_thread("ActorSystem.spawn_soon")
        require_actor("spawn", actor)
        for seconds in (stop_timeout, actor.stop_timeout):
            if seconds is not None:
                require_at_least(f"The stop_timeout of a {type(actor).__name__}", seconds, 0.0)
        if name is None:
            name = self._new_name(type(actor).__name__)
        elif name in self.cells:
            raise NameTaken(name)
        cell = self.cells[name] = Cell(self, actor, name, mailbox or _UNBOUNDED, stop_timeout)
        cell.keeper = keeper
        return cell

    def _new_name(self, kind: str) -> str:
        while True:
            self._spawned += 1
            name = f"{kind}-{self._spawned}"
            if name not in self.cells:
                return name

    def start_task(
        self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str, context: Context | None
    ) -> None:
        """Run an actor's or a child's task beside all others. `async_fn` must not raise."""
        if context is None:
            self._tasks.start(async_fn, *args, name=name)
        else:
            # A context that is current somewhere up the stack cannot be entered again; a copy, which is cheap, can.
            context = context.copy()
            _backend.remember_event_loop(context)  # a posted function starts tasks too, and it may come from a thread
            context.run(partial(self._tasks.start, async_fn, *args, name=name))

    def reraise_if_closed(self, error: BaseException, task: object | None) -> None:
        """Let an error pass that means that the loop was torn down under `task`: its coroutine is being closed, and
        must not await again. A GeneratorExit that code in a running task raises is a crash like any other."""
        if task is not None and not self._is_running(task):
            raise error

    def _is_running(self, task: object) -> bool:
        try:
            return self.current_task() is task
        except RuntimeError:  # no loop runs in this thread
            return False

    def waiting_life(self) -> Incarnation | None:
        """The incarnation whose own task the caller is, if it is one's."""
        return self.lives.get(self.current_task())

    def waiting_for(self, cell: Cell, is_over: Callable[[], bool]) -> AbstractContextManager[None]:
        """Say, if the caller is an actor's own task, that it waits for `cell`. Entering raises DeadlockDetected."""
        life = self.waiting_life()
        return _NOT_AN_ACTOR if life is None else life.waiting_for(cell, is_over)

    # -- endings ---------------------------------------------------------------------------------------------------

    def forget(self, cell: Cell) -> None:
        """Free the name of a dead cell."""
        self.cells.pop(cell.name, None)

    def dead_letter(self, message: Any, target: ActorRef[Any], reason: DeadLetterReason) -> None:
        """Count a message that nobody will handle, and pass it on. From any thread once the system is closed."""
        self.dead_letters += 1
        letter = DeadLetter(message, target, reason)
        if self.instrument is not None:
            self.observe(lambda instrument: instrument.dead_letter(letter))
        try:
            self._on_dead_letter(letter)
        except BaseException as error:  # a SystemExit here would end the task of the actor that is being buried
            self.log_escaped("on_dead_letter raised.", error)
        if not isinstance(message, DeadLetter):  # of a subscriber that takes no more: it would go round and round
            self.dead_letter_stream.publish(letter)

    def abandoned_ended(self, one: ChildTask | Incarnation, error: BaseException | None) -> None:
        """The task of `one` has ended after all, if it was abandoned; nobody else will hear of it."""
        self.abandoned.discard(one)
        if error is not None:
            self.log_escaped("An abandoned child task raised.", error)
        if self._none_abandoned is not None and not self.abandoned:
            self._none_abandoned.set()

    def observe(self, tell: Callable[[Instrument], object]) -> None:
        """Tell the instrument, which there is; one that raises is taken out, since what it measures must not suffer."""
        assert self.instrument is not None
        try:
            tell(self.instrument)
        except BaseException as error:  # of which none may cut the end of an actor short
            self.instrument = None
            self.log_escaped("The instrument raised, and is taken out.", error)

    # -- threads ---------------------------------------------------------------------------------------------------

    def require_loop_thread(self, operation: str) -> None:
        """Raise WrongThread, which names `operation`, unless the caller is in the loop's thread."""
        if get_ident() != self.thread_id:
            raise WrongThread(operation, "Hand it over with system.post(...).")

    def post(self, fn: Callable[[], object]) -> None:
        """Have the loop call `fn()` soon; from any thread, and in the order of each thread's calls.

        What `fn` raises is logged. Raises SystemClosed once the system is closed.
        """
        if self.is_closed:
            raise SystemClosed(self.name)
        try:
            self._call_soon(partial(self._call_posted, fn))
        except RuntimeError as error:  # the loop is gone, and this system with it
            raise SystemClosed(self.name) from error

    def run_in_loop(self, fn: Callable[[], object]) -> None:
        """Call `fn()` in the loop's thread: now if this is it. In a closed system, where nothing lives, do nothing."""
        if get_ident() == self.thread_id:
            fn()
            return
        try:
            self.post(fn)
        except SystemClosed:
            return  # nothing lives in a closed system, so there is nobody to whom it could matter

    def _call_posted(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException as error:
            self.log_escaped("A posted function raised.", error)

    def log_escaped(self, what: str, error: BaseException, *args: object) -> None:
        """Say in the log what no caller can be told, and let a KeyboardInterrupt end the system."""
        logger.error(what, *args, exc_info=error)
        self.interrupt_if_asked(error)
