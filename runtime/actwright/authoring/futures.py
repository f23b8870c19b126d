"""Futures of runs: `Handle`, `Handles`, and `wait` and `as_completed` over them."""

# pyright: reportPrivateUsage=false
# The classes of this module are one thing in several shapes; a handle's run is private to all of them.

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, cast, overload

import anyio
from typing_extensions import TypeVar

from actwright.authoring.accepted import Accepted
from actwright.authoring.context import current, in_async_code
from actwright.authoring.events import RunEvents
from actwright.authoring.waiting import blocking, take, until_done
from actwright.exceptions import UnfinishedRun, WouldDeadlock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Generator, Iterator, Sequence
    from uuid import UUID

    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["Handle", "Handles", "SubmittedRun", "Waiting", "as_completed", "wait"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True, default=Any)


class SubmittedRun(Protocol):
    """What a handle asks of the engine's record of a run."""

    @property
    def snapshot(self) -> FlowRun | TaskRun: ...
    @property
    def future(self) -> Future[State[Any]]:
        """Done once the run is final and the hooks that its caller waits for are done."""
        ...

    @property
    def thread_id(self) -> int:
        """The thread of the loop that the run lives on."""
        ...

    def cancel(self, reason: str | None) -> Future[None]:
        """Ask it to stop; done when Cancelling is committed, or with RunIsFinal."""
        ...

    def send(self, message: object) -> Future[None]:
        """Put a message into its mailbox; done when it is there, or with RunIsFinal or MailboxFull."""
        ...

    def events(self, since: int) -> Sequence[RunEvent] | None:
        """The states that it has entered after that place in history; None if it is final and was so then. Blocks."""
        ...


class Handle(Generic[R_co]):
    """A run that was started and goes on by itself.

    In async code: `result = await handle`. In sync code: `handle.result(timeout=…)`. To cancel the one that waits never
    cancels the run: use `cancel`.
    """

    __slots__ = ("__weakref__", "_run")

    def __init__(self, run: SubmittedRun) -> None:
        self._run = run

    @property
    def id(self) -> UUID:
        """The id of the run."""
        return self._run.snapshot.id

    @property
    def name(self) -> str:
        """The name of the run."""
        return self._run.snapshot.name

    @property
    def run(self) -> FlowRun | TaskRun:
        """The run as it is now: a snapshot."""
        return self._run.snapshot

    @property
    def state(self) -> State[Any]:
        """The state that the run is in now. Never waits."""
        return self._run.snapshot.state

    def done(self) -> bool:
        """Whether the run is final and its hooks, but those with `wait=False`, are done."""
        return self._run.future.done()

    def __await__(self) -> Generator[Any, Any, R_co]:
        return self._result_when_done().__await__()

    async def _result_when_done(self) -> R_co:
        await until_done(self._run.future)
        return cast(R_co, self._run.future.result().result())

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> R_co: ...
    @overload
    def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> R_co | BaseException: ...
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R_co | BaseException:
        """What the body returned; blocks this thread until the run is done.

        Args:
            timeout: seconds to wait at most; None waits without limit.
            raise_on_failure: False returns the exception instead of raising it.

        Raises:
            UnfinishedRun: the timeout passed. The run goes on.
            WouldDeadlock: called on the thread of the very loop that the run needs. Await the handle there.
            CancelledRun: the run whose body waits here was cancelled meanwhile.
            BaseException: what ended the run, as `State.result` has it.
        """
        if not self.wait(timeout):
            raise UnfinishedRun(
                f"{self.run.title} is {self.state.name} after {timeout:g} s. It goes on; ask again, or cancel it.",
                self.id,
            )
        return self._run.future.result().result(raise_on_failure)

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until the run is done; whether it is. Raises what `result` raises of waiting itself."""
        _block_until_done([self], timeout)
        return self.done()

    def cancel(self, reason: str | None = None) -> Awaitable[None]:
        """Cancel the run: it enters Cancelling, its body and its children are stopped, it ends Cancelled.

        `await handle.cancel()` in async code; in sync code the call itself blocks. It returns once Cancelling is
        committed, which is before the body has unwound; wait for the handle to see the end. To cancel a run twice is
        no error. Cancelling the one who waits does not take the request back.

        Raises:
            RunIsFinal: the run has ended; its message names the state.
        """
        return Accepted.of(self._run.cancel(reason), self._run.thread_id)

    def send(self, message: object) -> Awaitable[None]:
        """Send a message to the run: its body takes it by `receive`. Messages of one sender arrive in order.

        `await handle.send(order)` in async code, `handle.send(order)` in sync code. It returns once the message is in
        the run's mailbox; that it was received, only the body can tell.

        Raises:
            RunIsFinal: the run has ended.
            MailboxFull: too many messages wait there already.
        """
        return Accepted.of(self._run.send(message), self._run.thread_id)

    def events(self, since: int = 0) -> RunEvents:
        """The states that the run enters, each once it is committed, until it is final: `async for event in
        handle.events()`; in sync code `for`, which blocks.

        Args:
            since: the `seq` of an event: those after it. 0 begins with the first.
        """
        return RunEvents(self._run.events, since)

    def _refuse_on_own_loop(self) -> None:
        if threading.get_ident() == self._run.thread_id:
            raise WouldDeadlock(
                f"{self.run.title} needs this thread's event loop to go on, so to block here would wait for ever. "
                "In async code, await it: `await handle`, or `await wait([handle])`."
            )

    def __repr__(self) -> str:
        return f"<Handle of {self._run.snapshot.kind} run {self.name!r}: {self.state.name}>"


class Handles(list[Handle[R]]):
    """The handles that `map` returns, in the order of what was mapped."""

    def result(self, timeout: float | None = None) -> list[R]:
        """All results, in order; blocks this thread. `timeout` bounds the whole wait, in seconds.

        Raises what the first one, in order, that did not complete raises; UnfinishedRun when the timeout passed.
        """
        _block_until_done(self, timeout)
        return [handle.result(timeout=0) for handle in self]

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until all are done; whether they are."""
        _block_until_done(self, timeout)
        return all(handle.done() for handle in self)

    @property
    def states(self) -> list[State[Any]]:
        """The state of each, now."""
        return [handle.state for handle in self]

    def __await__(self) -> Generator[Any, Any, list[R]]:
        return self._results_when_done().__await__()

    async def _results_when_done(self) -> list[R]:
        await wait(self)
        return [await handle for handle in self]


class Waiting(Generic[R]):
    """What `wait` returns: in sync code ready to be read, in async code to be awaited first.

    It unpacks: `done, not_done = wait(handles)`, `done, not_done = await wait(handles)`.
    """

    def __init__(self, handles: Iterable[Handle[R]], timeout: float | None) -> None:
        self._handles = _checked("wait", handles)
        self._timeout = timeout
        self._sorted: tuple[set[Handle[R]], set[Handle[R]]] | None = None

    @property
    def done(self) -> set[Handle[R]]:
        """Those that were done when the wait ended."""
        return self._looked_at()[0]

    @property
    def not_done(self) -> set[Handle[R]]:
        """Those that were not."""
        return self._looked_at()[1]

    def __iter__(self) -> Iterator[set[Handle[R]]]:
        return iter(self._looked_at())

    def __await__(self) -> Generator[Any, Any, Waiting[R]]:
        return self._when_done().__await__()

    async def _when_done(self) -> Waiting[R]:
        with anyio.move_on_after(self._timeout):
            for handle in self._handles:
                await until_done(handle._run.future)
        return self._look()

    def _block(self) -> Waiting[R]:
        _block_until_done(self._handles, self._timeout)
        return self._look()

    def _look(self) -> Waiting[R]:
        done = {handle for handle in self._handles if handle.done()}
        self._sorted = done, set(self._handles) - done
        return self

    def _looked_at(self) -> tuple[set[Handle[R]], set[Handle[R]]]:
        if self._sorted is None:
            raise UnfinishedRun("In async code `wait` has to be awaited: `done, not_done = await wait(handles)`.")
        return self._sorted


def wait(handles: Iterable[Handle[R]], timeout: float | None = None) -> Waiting[R]:
    """Wait until all of `handles` are done, or for `timeout` seconds.

    In sync code it blocks this thread: `done, not_done = wait(handles)`. In async code it is awaited: `done, not_done
    = await wait(handles)`; cancelling that wait cancels no run. It raises nothing for runs that did not complete.

    Raises:
        TypeError: not a list of futures.
    """
    waiting = Waiting(handles, timeout)
    return waiting if in_async_code() else waiting._block()


class as_completed(Generic[R]):
    """The handles, each as its run is done: `for handle in …` in sync code, `async for handle in …` in async code.

    Args:
        handles: each is given once.
        timeout: seconds for the whole iteration; when they pass, it raises TimeoutError. No run is cancelled.

    Raises:
        TypeError: not a list of futures.
    """

    def __init__(self, handles: Iterable[Handle[R]], timeout: float | None = None) -> None:
        self._handles = list(dict.fromkeys(_checked("as_completed", handles)))
        self._timeout = timeout

    def __iter__(self) -> Iterator[Handle[R]]:
        deadline = _deadline(self._timeout)
        left: list[Handle[R]] = self._handles
        while left:
            _block_until_done(left, _remaining(deadline), first=True)
            ready = [handle for handle in left if handle.done()]
            if not ready:
                raise self._timed_out(left)
            left = [handle for handle in left if handle not in ready]
            yield from ready

    async def __aiter__(self) -> AsyncIterator[Handle[R]]:
        deadline = _deadline(self._timeout)
        left: list[Handle[R]] = self._handles
        while left:
            await self._one_done(left, _remaining(deadline))
            ready = [handle for handle in left if handle.done()]
            if not ready:
                raise self._timed_out(left)
            left = [handle for handle in left if handle not in ready]
            for handle in ready:
                yield handle

    async def _one_done(self, handles: list[Handle[R]], timeout: float | None) -> None:
        first: Future[None] = Future()
        for handle in handles:
            handle._run.future.add_done_callback(lambda _: _set_once(first))
        with anyio.move_on_after(timeout):
            await until_done(first)

    def _timed_out(self, left: list[Handle[R]]) -> TimeoutError:
        names = ", ".join(repr(handle.name) for handle in left)
        return TimeoutError(
            f"{len(left)} of {len(self._handles)} runs are not done after {self._timeout:g} s: {names}."
        )


def _checked(asked: str, given: object) -> list[Handle[Any]]:
    if not isinstance(given, Iterable):
        raise TypeError(f"{asked}() takes a list of futures; got {type(given).__name__}. Write {asked}([...]).")
    handles: list[Handle[Any]] = []
    for item in cast("Iterable[object]", given):
        if not isinstance(item, Handle):
            raise TypeError(f"{asked}() takes a list of futures, as submit() and map() give them; got {item!r} in it.")
        handles.append(cast("Handle[Any]", item))
    return handles


def _block_until_done(handles: Iterable[Handle[Any]], timeout: float | None, *, first: bool = False) -> None:
    """Block this thread until all handles (`first`: one of them) are done, or until the timeout.

    A body that waits here is woken when its own run is cancelled: then this raises CancelledRun.
    """
    open_handles = [handle for handle in handles if not handle.done()]
    enough = 1 if first else len(open_handles)
    if not open_handles or timeout == 0:
        return
    for handle in open_handles:
        handle._refuse_on_own_loop()
    deadline, inbox = _deadline(timeout), SimpleQueue[None]()
    context = current()
    with blocking(), context.run.waking(context, inbox) if context else nullcontext():
        for handle in open_handles:
            handle._run.future.add_done_callback(lambda _: inbox.put(None))
        while sum(handle.done() for handle in open_handles) < enough:
            if context:
                context.run.raise_if_stopped(context)
            try:
                take(inbox, _remaining(deadline))
            except Empty:
                return
    if context:  # that it was cancelled, too, is what those ended of that it waited for
        context.run.raise_if_stopped(context)


def _set_once(future: Future[None]) -> None:
    # Of two runs that end at once in two loops, both call this; the second finds it set.
    with suppress(InvalidStateError):
        future.set_result(None)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
