"""The place where actors live: it starts them, knows their names, and stops them in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from actwright_actors import _backend
from actwright_actors._cell import Cell
from actwright_actors._latch import Latch
from actwright_actors._runner import run_actor, run_child
from actwright_actors.actor import Actor, ChildTask
from actwright_actors.clock import Clock, SystemClock
from actwright_actors.dead_letters import DeadLetter, DeadLetterHandler, DeadLetterReason, log_dead_letter
from actwright_actors.errors import ActorDead, NameTaken, SystemClosed, WrongThread
from actwright_actors.exit import Killed, StartFailed
from actwright_actors.mailbox import MailboxOptions
from actwright_actors.ref import ActorRef
from actwright_actors.timers import Timers
from actwright_actors.waiting import wait_through

__all__ = ["ActorSystem"]

logger = logging.getLogger("actwright_actors")

M = TypeVar("M")
_UNBOUNDED = MailboxOptions()


class ActorSystem:
    """Actors on one event loop, from `async with` to its end. Not reusable.

    Actors live in a task of the loop's own that no cancellation of the `async with` reaches. Leaving the block, by
    whatever way, stops them one by one in the reverse order of their start: stop, wait for the actor's `stop_timeout`,
    kill. A cancellation that arrives meanwhile, scoped or native, however often, waits for that and is raised then; if
    the block itself raised, that exception is. A KeyboardInterrupt that escapes from an actor cancels the block, and
    is raised when the actors have stopped.

    `clock` drives all its timers; `on_dead_letter` gets every DeadLetter (by default it is logged at debug) in the
    loop's thread, or, once the system is closed, in the sender's; `stop_timeout` is in seconds.
    """

    def __init__(
        self,
        name: str = "system",
        *,
        clock: Clock | None = None,
        on_dead_letter: DeadLetterHandler | None = None,
        stop_timeout: float = 5.0,
    ) -> None:
        self.name = name
        self.stop_timeout = stop_timeout
        self.thread_id = -1
        """The thread of its loop; -1 before it is opened."""
        self.dead_letters = 0
        """How many dead letters there were."""
        self.interrupted: KeyboardInterrupt | None = None
        """The first one that escaped from an actor, a timer or a posted function."""
        self._clock = clock
        self._on_dead_letter = on_dead_letter or log_dead_letter
        self._cells: dict[str, Cell] = {}  # in the order of their start
        self._abandoned: set[ChildTask] = set()
        self._spawned = 0
        self._is_open = False
        self._call_soon: Callable[[Callable[[], object]], object] | None = None
        self._opened, self._closing, self._closed = Latch(), Latch(), Latch()

    async def __aenter__(self) -> Self:
        if self.thread_id != -1:
            raise SystemClosed(self.name)
        self.thread_id = get_ident()
        self.clock: Clock = self._clock or SystemClock()
        self.timers = Timers(self.clock, on_error=partial(self._log_escaped, "A timer's callback raised."))
        self._call_soon = _backend.thread_safe_caller()
        _backend.protect_from_keyboard_interrupt(
            run_actor, run_child, Timers.run, wait_through,
            ActorSystem.__aenter__, ActorSystem.__aexit__, ActorSystem.spawn_soon,
        )  # fmt: skip
        self._block = anyio.CancelScope()
        self._host_task = _backend.start_detached(self._host, f"{self.name} host")
        try:
            await wait_through(self._opened.wait)
        except BaseException:
            self._closing.set()
            await wait_through(self._closed.wait)
            raise
        self._block.__enter__()
        self._is_open = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._is_open = False
        self._closing.set()
        late: BaseException | None = None
        try:
            await wait_through(self._closed.wait)
        except BaseException as error:
            late = error
        # What the block raised tells more than a cancellation that came while we tidied up.
        escaping = late if exc is None or isinstance(late, KeyboardInterrupt) else exc
        self._block.__exit__(type(escaping) if escaping else None, escaping, tb)
        if self.interrupted is not None:  # the only one to cancel the block's own scope
            raise self.interrupted
        if escaping is not None and escaping is not exc:
            raise escaping

    # -- starting --------------------------------------------------------------------------------------------------

    async def spawn(
        self,
        actor: Actor[M],
        *,
        name: str | None = None,
        mailbox: MailboxOptions | None = None,
        context: Context | None = None,
        stop_timeout: float | None = None,
    ) -> ActorRef[M]:
        """Start `actor`, wait until its `on_start` has returned, and return its reference.

        Takes what `spawn_soon` takes and raises what it raises. An exception in `on_start` is raised here, as it is.
        Cancelled meanwhile: the actor is killed, and once it has given up the cancellation goes on. Raises ActorDead
        if somebody else killed it before it had started.
        """
        ref = self.spawn_soon(actor, name=name, mailbox=mailbox, context=context, stop_timeout=stop_timeout)
        cell = self._cells[ref.name]
        cell.is_awaited = True
        await wait_through(cell.settled.wait, on_cancel=ref.kill)
        if isinstance(cell.exit_reason, StartFailed):
            raise cell.exit_reason.error
        if isinstance(cell.exit_reason, Killed):
            raise ActorDead(ref, cell.exit_reason)
        return ref

    def spawn_soon(
        self,
        actor: Actor[M],
        *,
        name: str | None = None,
        mailbox: MailboxOptions | None = None,
        context: Context | None = None,
        stop_timeout: float | None = None,
    ) -> ActorRef[M]:
        """Start `actor` and return its reference at once; mail queues until its `on_start` has returned.

        `name` is unique among live actors (default: made from the class's). `mailbox` is unbounded by default. The
        actor's task runs in a copy of `context`, by default of the caller's. `stop_timeout`, in seconds, overrides
        the actor's and the system's. An exception in `on_start` becomes Down(StartFailed) for who monitors it, and an
        error in the log.

        Raises NameTaken, SystemClosed (before it is open, or once it began to stop), WrongThread.
        """
        cell = self.add(actor, name, mailbox, stop_timeout)
        cell.launch(context)
        return cell.ref

    def add(
        self, actor: Actor[Any], name: str | None, mailbox: MailboxOptions | None, stop_timeout: float | None
    ) -> Cell:
        """Make a cell and register its name; its task is the caller's business. For supervisors."""
        if not self._is_open:
            raise SystemClosed(self.name)
        self.require_loop_thread("ActorSystem.spawn_soon")
        self._spawned += 1
        name = f"{type(actor).__name__}-{self._spawned}" if name is None else name
        if name in self._cells:
            raise NameTaken(name)
        cell = self._cells[name] = Cell(self, actor, name, mailbox or _UNBOUNDED, stop_timeout)
        return cell

    def start_task(
        self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str, context: Context | None
    ) -> None:
        """Run an actor's or a child's task in the host's group. `async_fn` must not raise."""
        if context is None:
            self._group.start_soon(async_fn, *args, name=name)
        else:
            # A context that is current somewhere up the stack cannot be entered again; a copy, which is cheap, can.
            context = context.copy()
            _backend.remember_event_loop(context)  # a posted function starts tasks too, and it may come from a thread
            context.run(partial(self._group.start_soon, async_fn, *args, name=name))

    # -- finding ---------------------------------------------------------------------------------------------------

    def lookup(self, name: str) -> ActorRef[Any] | None:
        """The live actor of that name, or None."""
        cell = self._cells.get(name)
        return None if cell is None else cell.ref

    def actors(self) -> list[ActorRef[Any]]:
        """All live actors, in the order of their start."""
        return [cell.ref for cell in self._cells.values()]

    @property
    def abandoned(self) -> int:
        """How many abandoned child tasks are still going on."""
        return len(self._abandoned)

    # -- threads ---------------------------------------------------------------------------------------------------

    def in_loop_thread(self) -> bool:
        """Whether the caller is in the thread of this system's loop."""
        return get_ident() == self.thread_id

    def require_loop_thread(self, operation: str) -> None:
        """Raise WrongThread, which names `operation`, unless the caller is in the loop's thread."""
        if get_ident() != self.thread_id:
            raise WrongThread(operation, "Hand it over with system.post(...).")

    def post(self, fn: Callable[[], object]) -> None:
        """Have the loop call `fn()` soon; from any thread, and in the order of each thread's calls.

        What `fn` raises is logged, and harms nothing else. Raises SystemClosed before the system is open and after it
        is closed; while it stops, posting still works.
        """
        if self._call_soon is None or self._closed.is_set():
            raise SystemClosed(self.name)
        try:
            self._call_soon(partial(self._call_posted, fn))
        except RuntimeError as error:  # the loop is gone, and this system with it
            raise SystemClosed(self.name) from error

    def _call_posted(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException as error:
            self._log_escaped("A posted function raised.", error)

    def _log_escaped(self, what: str, error: BaseException) -> None:
        logger.error(what, exc_info=error)
        if isinstance(error, KeyboardInterrupt):
            self.interrupt(error)

    # -- for cells -------------------------------------------------------------------------------------------------

    def interrupt(self, error: KeyboardInterrupt) -> None:
        """End the system: Ctrl-C struck where no caller could see it."""
        if self.interrupted is None:
            self.interrupted = error
            self._block.cancel()

    def forget(self, cell: Cell) -> None:
        """Free the name of a dead cell."""
        self._cells.pop(cell.name, None)

    def dead_letter(self, message: Any, target: ActorRef[Any], reason: DeadLetterReason) -> None:
        """Count a message that nobody will handle, and pass it on."""
        self.dead_letters += 1
        try:
            self._on_dead_letter(DeadLetter(message, target, reason))
        except Exception as error:
            self._log_escaped("on_dead_letter raised.", error)

    def adopt(self, child: ChildTask) -> None:
        """Take over a child task that its actor abandons."""
        self._abandoned.add(child)

    def abandoned_ended(self, child: ChildTask, error: BaseException | None) -> None:
        """An abandoned child task ended; nobody else will hear of it."""
        self._abandoned.discard(child)
        if error is not None:
            self._log_escaped("An abandoned child task raised.", error)

    # -- the host --------------------------------------------------------------------------------------------------

    async def _host(self) -> None:
        """Hold the group of all tasks until told to close; then stop the actors in order."""
        try:
            async with anyio.create_task_group() as group:
                self._group: TaskGroup = group
                group.start_soon(self.timers.run, name=f"{self.name} timers")
                self._opened.set()
                await self._closing.wait()
                # This task walks the actors, not the caller's, because it is out of reach of cancellation. Only the
                # end of the loop itself cancels it, if the block is never left; then there is nothing to wait for.
                for cell in reversed(list(self._cells.values())):
                    if cell.keeper is None:  # a supervisor stops its own children
                        timer = cell.shut_down()
                        await cell.stopped.wait()
                        timer.cancel()
                group.cancel_scope.cancel()  # the timers, and whatever was abandoned
        finally:
            self._is_open = False
            self.timers.clear()
            self._closed.set()
