"""`concurrency`: so many at once, in all processes on a journal, as a block of code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from contextvars import Context, ContextVar, copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast
from uuid import uuid4

from anyio.lowlevel import checkpoint

from actwright.authoring.checks import seconds, whole_number
from actwright.authoring.context import CURRENT, RunContext, in_async_code, within_reach
from actwright.authoring.entry import engine
from actwright.authoring.waiting import blocking, take, until_done
from actwright.exceptions import SlotTimeout, WouldDeadlock
from actwright.models.slots import Claim, Limit, LimitKind, SlotRow, Want

if TYPE_CHECKING:
    from types import TracebackType

    from actwright.authoring.context import ActiveRun
    from actwright.authoring.entry import Store

__all__ = ["concurrency", "surroundings"]

_BLOCKS: ContextVar[frozenset[str]] = ContextVar("actwright_concurrency", default=frozenset())
"""The claims of the blocks around the code that asks."""

# A forked child is another process, and holds nothing of what its parent does.
os.register_at_fork(after_in_child=lambda: _BLOCKS.set(frozenset()))

_Waits: TypeAlias = "Generator[Future[Any]]"
"""What is to be waited for, one after another; closed, it waits no longer and leaves nothing."""


class concurrency:
    """`with concurrency("db", limit=3):` in sync code, `async with` in async code: at most three are inside of a block
    of that name at once, in all processes that share this one's journal. The others wait, first come, first served.

    In flows, tasks and hooks, and outside of them. A slot is free again when its block is left, in whatever way, and at
    once when its process dies; a process that is merely stopped keeps its own. A body that was given up after its
    cancel keeps its slot until it leaves the block, since it may still use what the slot is for. With
    `journal="memory"` the limit holds within the process.

    A block inside of another one of the same name, here or in what is called here, takes over the outer one's slot: so
    it does not wait for itself. Of several that begin at once, one does; the others need slots of their own. Where two
    limits are needed, take them in one block: two blocks, one in the other, can wait for each other.

    Who waits and is cancelled, in sync code too, leaves nothing behind. Entering in async code is a checkpoint, and
    leaving waits for nothing. A block object is for one block at a time.

    Args:
        names: one name, several, or name -> limit. Of several, slots of all are had at once, or none.
        limit: how many slots there are of each name; at least 1. Each that waits is let in by the limit that it gives
            itself: where two callers give different ones, one with `limit=2` comes in while fewer than 2 are taken.
        occupy: how many slots of each this block takes.
        timeout_seconds: how long to wait at most, by the clock of the run's Runtime; 0 only tries, None has no limit.

    Raises:
        TypeError, ValueError: arguments that cannot be, such as an `occupy` above the limit.
        SlotTimeout: on entering, when no slot came in that time; it names the holders. It is a TimeoutError.
        WouldDeadlock: on entering, an inner block that asks for more slots than the outer one has; or `with` in async
            code, which would block the event loop.
        CancelledRun: on entering in sync code, when the run is cancelled meanwhile.
        JournalError: on entering, the journal cannot be opened, or written.
    """

    def __init__(
        self,
        names: str | Iterable[str] | Mapping[str, int],
        *,
        limit: int | None = None,
        occupy: int = 1,
        timeout_seconds: float | None = None,
    ) -> None:
        self._wants = _wants_of(names, limit, whole_number("occupy", occupy, least=1))
        self._timeout = None if timeout_seconds is None else seconds("timeout_seconds", timeout_seconds)
        self._inside: tuple[Store, str] | None = None

    def __enter__(self) -> Self:
        if in_async_code():
            raise WouldDeadlock(f"`with {self!r}` in async code would block the event loop: use `async with`.")
        self._see_that_it_is_free()
        context = within_reach()
        with closing(self._entering(engine().store(), context)) as waits:
            for future in waits:
                _block_on(future, context)
        return self

    async def __aenter__(self) -> Self:
        self._see_that_it_is_free()
        await checkpoint()
        with closing(self._entering(await engine().store_async(), within_reach())) as waits:
            for future in waits:
                await until_done(future)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._inside is not None:
            store, claim_id = self._inside
            self._inside = None
            _BLOCKS.set(_BLOCKS.get() - {claim_id})
            store.free_slots(claim_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def _entering(self, store: Store, context: RunContext | None) -> _Waits:
        claim = Claim(str(uuid4()), self._wants, _title(context), _id_of(context), *surroundings(copy_context()))
        try:
            decided: Future[None] = Future()
            with self._timing(context, lambda: _settle(decided)):
                answer = store.ask_slots(claim)
                answer.add_done_callback(lambda _: _settle(decided))
                if not decided.done():
                    yield decided
            if not answer.done():
                in_the_way = store.give_up_slots(claim.id)
                yield in_the_way
                if (rows := in_the_way.result()) is not None:
                    raise self._too_late(rows)
            answer.result()
        except BaseException:  # also when what it yields is not waited for to the end
            store.free_slots(claim.id)
            raise
        self._inside = store, claim.id
        _BLOCKS.set(_BLOCKS.get() | {claim.id})

    def _timing(self, context: RunContext | None, too_late: Callable[[], object]) -> AbstractContextManager[None]:
        """While inside: have it called when the time is over, by the clock of the run's Runtime, else the system's."""
        if self._timeout is None:
            return nullcontext()
        if self._timeout == 0:
            too_late()
            return nullcontext()
        return _timer(self._timeout, too_late) if context is None else context.run.after(self._timeout, too_late)

    def _see_that_it_is_free(self) -> None:
        if self._inside is not None:
            raise RuntimeError(f"{self!r} was entered, and not left: each block needs one of its own.")

    def _too_late(self, rows: list[SlotRow]) -> SlotTimeout:
        holders = tuple(dict.fromkeys(row.title for row in rows if row.is_held))
        ahead = len({row.claim_id for row in rows if not row.is_held})
        held = f"held by {', '.join(holders)}" if holders else "nobody holds one just now"
        queue = f"; {ahead} waited before it" if ahead else ""
        return SlotTimeout(f"{self!r}: no slot came within {self._timeout:g} s: {held}{queue}.", holders)

    def __repr__(self) -> str:
        of = {want.limit.name: want.slots for want in self._wants}
        (name, limit), *more = of.items()
        return f"concurrency({of!r})" if more else f"concurrency({name!r}, limit={limit})"


def surroundings(caller: Context) -> tuple[frozenset[str], frozenset[str]]:
    """What may lend slots to what is called there: the runs, and the claims of blocks, that the caller is part of."""
    context = caller.get(CURRENT)
    runs: set[str] = set()
    run: ActiveRun | None = None if context is None or context.inherited else context.run
    while run is not None:
        runs.add(str(run.snapshot.id))
        run = run.parent
    return frozenset(runs), caller.get(_BLOCKS) or frozenset()


def _wants_of(names: object, limit: int | None, occupy: int) -> tuple[Want, ...]:
    limits: dict[object, object]
    if isinstance(names, Mapping):
        if limit is not None:
            raise TypeError("concurrency() takes a limit for each name, or limit=, not both.")
        limits = dict(cast("Mapping[object, object]", names))
    elif isinstance(names, Iterable):
        limits = dict.fromkeys([names] if isinstance(names, str) else cast("Iterable[object]", names), limit)
    else:
        raise TypeError(f"concurrency() takes a name, several, or name -> limit; got {names!r}.")
    if not limits:
        raise ValueError("concurrency() takes at least one name; got none.")
    return tuple(_want(name, slots, occupy) for name, slots in limits.items())


def _want(name: object, slots: object, occupy: int) -> Want:
    if not isinstance(name, str):
        raise TypeError(f"concurrency() takes names that are strings; got {name!r}.")
    if not name or not name.isprintable() or len(name) > 255:
        raise ValueError(f"concurrency() takes names of 1 to 255 printable characters; got {name!r}.")
    if slots is None:
        raise TypeError(f"concurrency({name!r}) needs a limit, as in concurrency({name!r}, limit=3).")
    slots = whole_number(f"The limit of {name!r}", slots, least=1)
    if occupy > slots:
        raise ValueError(f"occupy={occupy} is more than the {slots} slots of {name!r}: it could never come in.")
    return Want(Limit(LimitKind.NAME, name), occupy, slots)


def _title(context: RunContext | None) -> str:
    if context is None:
        return f"process {os.getpid()}"
    title = context.run.snapshot.title
    return title if context.delivery is None else f"hook {context.delivery.hook_name!r} of {title}"


def _id_of(context: RunContext | None) -> str | None:
    return None if context is None else str(context.run.snapshot.id)


def _settle(future: Future[None]) -> None:
    with suppress(InvalidStateError):  # both at once, in two threads
        future.set_result(None)


@contextmanager
def _timer(delay: float, fn: Callable[[], object]) -> Generator[None]:
    timer = threading.Timer(delay, fn)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _block_on(future: Future[Any], context: RunContext | None) -> None:
    """Block this thread until it is done, or the body that waits is told to stop, which raises CancelledRun."""
    inbox: SimpleQueue[None] = SimpleQueue()
    future.add_done_callback(lambda _: inbox.put(None))
    with blocking(), context.run.waking(context, inbox) if context is not None else nullcontext():
        while not future.done():
            if context is not None:
                context.run.raise_if_stopped(context)
            take(inbox)
