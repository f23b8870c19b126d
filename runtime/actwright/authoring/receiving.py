"""`receive`: what others send to a run, taken by its body."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, nullcontext, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import checkpoint

from actwright.authoring.checks import seconds
from actwright.authoring.context import in_async_code, within_reach
from actwright.authoring.letters import Wanted
from actwright.authoring.waiting import blocking, take, until_done
from actwright.exceptions import MissingContextError

if TYPE_CHECKING:
    from actwright.authoring.context import RunContext

__all__ = ["receive"]


def receive(type: Any = object, timeout: float | None = None) -> Any:
    """The next message to this run that is a `type`: `order = await receive(Order)` in an async body, `order =
    receive(Order)` in a sync one. Messages that are not stay for later, in their order, as in Erlang.

    A message that a retry finds is one that no attempt before it took. A wait that is cancelled loses none.

    Args:
        type: a class, a union of classes (`Order | Stop`), or whatever else pydantic validates. A message from another
            process is validated; its class is recognised by its name.
        timeout: seconds to wait at most, by the Runtime's clock; 0 only looks, None waits for ever.

    Raises:
        TimeoutError: none came in that time.
        MissingContextError: not called in a body.
        CancelledRun: in a sync body, when the run is cancelled meanwhile.
        TypeError, ValueError: a timeout that cannot be.
    """
    context = within_reach()
    if context is None or context.in_hook:
        raise MissingContextError("receive() takes what was sent to a run: call it in the body of a flow or task.")
    receiving = _Receiving(context, Wanted(type), None if timeout is None else seconds("timeout of receive()", timeout))
    return receiving.in_async() if in_async_code() else receiving.in_sync()


class _Receiving:
    """One wait for a message."""

    def __init__(self, context: RunContext, wanted: Wanted, timeout: float | None) -> None:
        self._context = context
        self._run = context.run
        self._wanted = wanted
        self._timeout = timeout
        self._is_over = timeout == 0

    async def in_async(self) -> Any:
        news: Future[None] = Future()

        def wake() -> None:
            with suppress(InvalidStateError):  # two messages at once, from two threads
                news.set_result(None)

        # Before each look, and before anything raises, lest a body that has its messages there, or outlives an error,
        # hold up its loop. Between the look and the return there is none: a message that was taken would be lost.
        await checkpoint()
        with self._waking(wake):
            while not (found := self._look()):
                await until_done(news)
                await checkpoint()
                news = Future()
        return found[0]

    def in_sync(self) -> Any:
        inbox: SimpleQueue[None] = SimpleQueue()
        with blocking(), self._run.waking(self._context, inbox), self._waking(lambda: inbox.put(None)):
            while not (found := self._look()):
                take(inbox)
        return found[0]

    @contextmanager
    def _waking(self, wake: Callable[[], object]) -> Generator[None]:
        def over() -> None:
            self._is_over = True
            wake()

        self._run.raise_if_stopped(self._context)  # what an abandoned body outlives has no timers any more
        is_timed = self._timeout is not None and not self._is_over
        with self._run.inbox.waking(wake), self._run.after(self._timeout or 0, over) if is_timed else nullcontext():
            yield

    def _look(self) -> tuple[Any, ...]:
        self._run.raise_if_stopped(self._context)
        is_over = self._is_over  # before it looks: what came in time is taken
        found = self._run.inbox.take(self._wanted)
        if not found and is_over:
            raise TimeoutError(f"{self._run.snapshot.title} was sent no such message within {self._timeout:g} s.")
        return found
