"""The place where actors live: it starts them, knows their names, and stops them in order."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from threading import get_ident
from types import TracebackType
from typing import Any, Self, TypeVar

from actwright_actors import _backend
from actwright_actors._cell import Cell
from actwright_actors._checks import require_at_least
from actwright_actors._kernel import Kernel
from actwright_actors._observer import look_at
from actwright_actors._runner import run_actor, run_child
from actwright_actors._timer_heap import TimerHeap
from actwright_actors.actor import Actor
from actwright_actors.clock import Clock, SystemClock
from actwright_actors.dead_letters import DeadLetter, DeadLetterHandler, log_dead_letter
from actwright_actors.errors import ActorDead, SystemClosed
from actwright_actors.exit import Killed, StartFailed
from actwright_actors.groups import Groups
from actwright_actors.instrument import Instrument
from actwright_actors.mailbox import MailboxOptions
from actwright_actors.port import Port
from actwright_actors.ref import ActorRef
from actwright_actors.timers import Timers
from actwright_actors.tree import SystemInfo
from actwright_actors.waiting import wait_through

__all__ = ["ActorSystem"]

M = TypeVar("M")


class ActorSystem:
    """Actors on one event loop, from `async with` to its end. Not reusable.

    Actors live in a task of the loop's own that no cancellation of the `async with` reaches. Leaving the block, by
    whatever way, stops them one by one in the reverse order of their start: stop, wait for the actor's `stop_timeout`,
    kill; one that swallows even that is abandoned after another `stop_timeout`. So the end comes, unless a
    `stop_timeout` is infinite or code never lets go of the loop's thread. A cancellation that arrives meanwhile,
    scoped or native, however often, waits for that and is raised then; if the block itself raised, that exception is.
    A KeyboardInterrupt that escapes from an actor cancels the block, and is raised when the actors have stopped.

    `clock` drives all its timers; `on_dead_letter` gets every DeadLetter (by default it is logged at debug) in the
    loop's thread, or, once the system is closed, in the sender's; `instrument` hears of all that actors do. An actor
    that takes `slow_handler_seconds` for one message, as long by default as an `ask` waits, is named in the log; None:
    never. `stop_timeout` is in seconds.
    """

    def __init__(
        self,
        name: str = "system",
        *,
        clock: Clock | None = None,
        on_dead_letter: DeadLetterHandler | None = None,
        instrument: Instrument | None = None,
        stop_timeout: float = 5.0,
        slow_handler_seconds: float | None = 5.0,
    ) -> None:
        require_at_least("The stop_timeout of a system", stop_timeout, 0.0)
        if slow_handler_seconds is not None:
            require_at_least("The slow_handler_seconds of a system", slow_handler_seconds, 0.0)
        self.name = name
        self._clock = clock
        self._on_dead_letter = on_dead_letter or log_dead_letter
        self._instrument = instrument
        self._stop_timeout = stop_timeout
        self._slow_handler_seconds = slow_handler_seconds
        self._kernel: Kernel | None = None

    async def __aenter__(self) -> Self:
        if self._kernel is not None:
            raise SystemClosed(self.name)
        self._kernel = kernel = Kernel(
            self,
            self._clock or SystemClock(),
            on_dead_letter=self._on_dead_letter,
            instrument=self._instrument,
            stop_timeout=self._stop_timeout,
            slow_handler_seconds=self._slow_handler_seconds,
        )
        _backend.protect_from_keyboard_interrupt(
            run_actor, run_child, TimerHeap.run, wait_through, Kernel.open, Kernel.close, Kernel.start_task,
            ActorSystem.__aenter__, ActorSystem.__aexit__, ActorSystem.spawn_soon,
        )  # fmt: skip
        await kernel.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._opened().close(exc)

    def _opened(self) -> Kernel:
        if self._kernel is None:
            raise SystemClosed(self.name)
        return self._kernel

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
        Cancelled meanwhile: the actor is killed, and once it has given up the cancellation goes on; what `on_start`
        raises then is logged. Raises ActorDead if somebody else killed it before it had started. An `on_start` that
        asks the actor which is spawning it gets DeadlockDetected.
        """
        kernel = self._opened()
        cell = self._add(actor, name, mailbox, stop_timeout, context)
        cell.is_awaited = True
        life = cell.life
        with kernel.waiting_for(cell, life.settled.is_set):
            try:
                await wait_through(life.settled.wait, on_cancel=cell.ref.kill)
            except BaseException:
                cell.is_awaited = False  # the caller hears of the cancellation alone
                if isinstance(cell.exit_reason, StartFailed):
                    life.report(cell.exit_reason)
                raise
        if isinstance(cell.exit_reason, StartFailed):
            raise cell.exit_reason.error
        if isinstance(cell.exit_reason, Killed):
            raise ActorDead(cell.ref, cell.exit_reason)
        return cell.ref

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

        Raises NameTaken, AlreadySpawned (the object is an actor already), SystemClosed (before it is open, or once it
        began to stop), WrongThread.
        """
        return self._add(actor, name, mailbox, stop_timeout, context).ref

    def _add(
        self,
        actor: Actor[Any],
        name: str | None,
        mailbox: MailboxOptions | None,
        stop_timeout: float | None,
        context: Context | None,
    ) -> Cell:
        cell = self._opened().add(actor, name, mailbox, stop_timeout)
        cell.launch(context)
        return cell

    # -- finding ---------------------------------------------------------------------------------------------------

    def lookup(self, name: str) -> ActorRef[Any] | None:
        """The live actor of that name, or None. From any thread."""
        cell = self._opened().cells.get(name)
        return None if cell is None else cell.ref

    def actors(self) -> list[ActorRef[Any]]:
        """All live actors, in the order of their start. From any thread."""
        return [cell.ref for cell in list(self._opened().cells.values())]  # a copy: it may change while another looks

    @property
    def groups(self) -> Groups:
        """Named groups of actors."""
        return self._opened().groups

    def tree(self) -> SystemInfo:
        """All live actors as they are now, each supervisor with its children; `print(system.tree())` draws them.

        From any thread; from a foreign one the figures may stem from slightly different moments.
        """
        return look_at(self._opened())

    # -- counts ----------------------------------------------------------------------------------------------------

    @property
    def dead_letters(self) -> int:
        """How many messages nobody handled."""
        return 0 if self._kernel is None else self._kernel.dead_letters

    @property
    def dead_letter_stream(self) -> Port[DeadLetter]:
        """Where actors subscribe to the DeadLetters that are yet to come."""
        return self._opened().dead_letter_stream

    @property
    def late_replies(self) -> int:
        """How many answers came when nobody waited for them any more, and were dropped."""
        return 0 if self._kernel is None else self._kernel.late_replies

    @property
    def abandoned(self) -> int:
        """How many tasks go on although nobody waits for them: child tasks, and actors that swallow cancellation."""
        return 0 if self._kernel is None else len(self._kernel.abandoned)

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The one source of time of all that lives here."""
        return self._opened().clock

    @property
    def timers(self) -> Timers:
        """Calls that are due at a time of that clock."""
        return self._opened().timers

    # -- threads ---------------------------------------------------------------------------------------------------

    @property
    def thread_id(self) -> int:
        """The thread of its loop, as `threading.get_ident` tells it; -1 before it is opened."""
        return -1 if self._kernel is None else self._kernel.thread_id

    def in_loop_thread(self) -> bool:
        """Whether the caller is in the thread of this system's loop."""
        return get_ident() == self.thread_id

    def post(self, fn: Callable[[], object]) -> None:
        """Have the loop call `fn()` soon; from any thread, and in the order of each thread's calls.

        What `fn` raises is logged, and harms nothing else. Raises SystemClosed before the system is open and after it
        is closed; while it stops, posting still works.
        """
        self._opened().post(fn)
