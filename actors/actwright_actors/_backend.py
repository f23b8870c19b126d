"""The one module that knows which event loop is underneath.

Everything else is written against anyio. What anyio does not offer is gathered here: handing a call over from a
foreign thread, the loop's cheapest clock and wake-up, a task that no caller's scope can reach, and keeping Ctrl-C out
of actors.
asyncio and trio are imported inside the functions, so a program pays only for the one it runs on.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from functools import partial
from types import FunctionType
from typing import Any, Literal, Protocol

import anyio

from actwright_actors.waiting import wait_through

__all__ = [
    "BackendName",
    "TaskHost",
    "Wake",
    "backend_options",
    "current_backend_name",
    "escaped_cancellation_is_forged",
    "forget_event_loop",
    "loop_time",
    "open_task_host",
    "protect_from_keyboard_interrupt",
    "remember_event_loop",
    "start_detached",
    "task_identifier",
    "thread_safe_caller",
    "wake_maker",
]

BackendName = Literal["asyncio", "asyncio+uvloop", "trio"]


def current_backend_name() -> BackendName | None:
    """The back end whose loop runs in this thread, or None when none does."""
    backend = current_backend()
    if backend == "asyncio" and is_uvloop():
        return "asyncio+uvloop"
    return backend


def backend_options(name: BackendName) -> tuple[Literal["asyncio", "trio"], dict[str, Any]]:
    """What `anyio.run(fn, backend=..., backend_options=...)` wants in order to run on `name`."""
    if name == "asyncio+uvloop":
        return "asyncio", {"use_uvloop": True}
    return name, {}


def escaped_cancellation_is_forged(scope: anyio.CancelScope) -> bool:
    """Whether the cancellation that has just escaped `with scope:` was asked for by nobody.

    Call it where that exception is caught, in the task that left the scope. A cancellation is genuine when `scope`
    itself, or a scope around it, was cancelled. What remains is code that raised `asyncio.CancelledError` by hand,
    awaited a cancelled future, or called `task.cancel()` on its own task: a crash, which would otherwise pass
    silently for a cancel. Do not ask this of a *caller's* wait: there a native `task.cancel()` is legitimate.
    """
    return not scope.cancel_called and anyio.current_effective_deadline() != -float("inf")


def current_backend() -> Literal["asyncio", "trio"] | None:
    # trio first: a guest-mode trio runs on top of an asyncio loop, and then the task at hand is trio's.
    # While another thread imports it, it is there by halves, and nobody can be in it yet.
    in_trio_run = getattr(sys.modules.get("trio.lowlevel"), "in_trio_run", None)
    if in_trio_run is not None and in_trio_run():
        return "trio"
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return "asyncio"


def is_uvloop() -> bool:
    """Whether the asyncio loop running in this thread is uvloop's."""
    import asyncio

    return type(asyncio.get_running_loop()).__module__.partition(".")[0] == "uvloop"


def thread_safe_caller() -> Callable[[Callable[[], object]], object]:
    """A function that, from any thread, has the loop running here call its argument soon, first in first out.

    It raises RuntimeError once that loop is gone (`trio.RunFinishedError` is one).
    """
    if current_backend() == "trio":
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
    import asyncio

    loop, context = asyncio.get_running_loop(), Context()
    _say_library("asyncio", context)
    return lambda fn: loop.call_soon_threadsafe(fn, context=context)


def forget_event_loop(context: Context) -> None:
    """Say in `context` that no event loop runs: for a context copied in a loop, and about to be used in a thread.

    Without this, `anyio.run` in that thread takes it for the loop's.
    """
    _say_library(None, context)


def remember_event_loop(context: Context) -> None:
    """Say in `context` that the loop running here does: for a task that is started outside of any task."""
    _say_library(current_backend(), context)


def _say_library(name: str | None, context: Context) -> None:
    # sniffio, which anyio asks where it is installed, sees asyncio by its current task, and a callback has none.
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, name)


def loop_time() -> Callable[[], float]:
    """The cheapest exact source of the time that `anyio.current_time()` tells on this loop."""
    backend = current_backend()
    if backend is None:
        return anyio.current_time
    if backend == "trio":
        import trio

        return trio.current_time
    import asyncio
    import time

    # uvloop reads its clock once per iteration and in milliseconds; time.monotonic() has the same origin, exactly.
    return time.monotonic if is_uvloop() else asyncio.get_running_loop().time


class Wake(Protocol):
    """A one-shot wake-up of a single waiter."""

    def set(self) -> None:
        """Wake the waiter, now or when it comes. More than once is as good as once."""
        ...

    def wait(self) -> Awaitable[object]:
        """Wait for `set`. By one task at a time; whoever was cancelled here makes a new one to wait again."""
        ...


class _FutureWake:
    """asyncio's own: a future, where `anyio.Event` is an event, a deque and a future, and three calls more."""

    __slots__ = ("_future",)

    def __init__(self, create_future: Callable[[], Any]) -> None:
        self._future = create_future()

    def set(self) -> None:
        if not self._future.done():  # a cancelled wait cancels it
            self._future.set_result(None)

    def wait(self) -> Awaitable[object]:
        future: Awaitable[object] = self._future
        return future


def wake_maker() -> Callable[[], Wake]:
    """What makes the cheapest wake-up that there is for one waiter on the loop that runs here."""
    if current_backend() == "trio":
        import trio

        return trio.Event
    import asyncio

    return partial(_FutureWake, asyncio.get_running_loop().create_future)


def task_identifier() -> Callable[[], object]:
    """A function that tells, in a task of the loop that runs here, which task that is: a hashable object."""
    if current_backend() == "trio":
        import trio

        return trio.lowlevel.current_task
    import asyncio

    return asyncio.current_task


def start_detached(async_fn: Callable[[], Coroutine[Any, Any, None]], name: str) -> object:
    """Start a task that belongs to the loop: no cancel scope or task group of the caller reaches it.

    `async_fn` must not raise. Keep what is returned for as long as the task should live.
    """
    if current_backend() == "trio":
        import trio

        return trio.lowlevel.spawn_system_task(async_fn, name=name, context=copy_context())
    import asyncio

    return asyncio.get_running_loop().create_task(async_fn(), name=name)


class TaskHost(Protocol):
    """Where tasks run that tell of their ends themselves. Nobody else cancels them, or hears what they raise."""

    def start(self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str) -> object:
        """Have a task run `async_fn(*args)`, which must not raise, in a copy of the current context. It begins in a
        later step of the loop."""
        ...


class _AsyncioTaskHost:
    """Tasks of the loop's own. A task group of anyio's makes a handle, a scope and an event for each, and another
    coroutine around it: two thirds of the time that it takes to start an actor."""

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._create_late: Any = partial(asyncio.Task, loop=self._loop)
        # With a factory that starts tasks at once, an actor would be at work before its reference is returned.
        self._eager = getattr(getattr(asyncio, "eager_task_factory", None), "__code__", None)
        self._tasks: set[Any] = set()

    def start(self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str) -> object:
        factory = self._loop.get_task_factory()
        is_eager = factory is not None and getattr(factory, "__code__", self) is self._eager
        create: Any = self._create_late if is_eager else self._loop.create_task
        task = create(async_fn(*args), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def gone(self) -> None:
        import asyncio

        while self._tasks:
            await asyncio.wait(self._tasks)


class _TrioTaskHost:
    def __init__(self, nursery: Any) -> None:
        self._nursery = nursery

    def start(self, async_fn: Callable[..., Coroutine[Any, Any, None]], *args: Any, name: str) -> object:
        return self._nursery.start_soon(async_fn, *args, name=name)


@asynccontextmanager
async def open_task_host() -> AsyncGenerator[TaskHost]:
    """A host of tasks. Leaving the block, by whatever way, waits until all have ended: cancelled, on asyncio, through
    that, for nothing else ends them; on trio it cancels them."""
    if current_backend() == "trio":
        import trio

        async with trio.open_nursery() as nursery:
            yield _TrioTaskHost(nursery)
    else:
        host = _AsyncioTaskHost()
        try:
            yield host
        except GeneratorExit:  # the loop is gone, and they with it
            raise
        except BaseException:
            await wait_through(host.gone)
            raise
        await host.gone()


def protect_from_keyboard_interrupt(*functions: Callable[..., object]) -> None:
    """On trio, keep Ctrl-C from being raised while any of `functions` is on the stack: the main task gets it.

    asyncio behaves that way by itself (the first Ctrl-C cancels the main task). Trio notes protection per code object,
    which is why this is done once per system and costs a spawn nothing.
    """
    if current_backend() == "trio":
        import trio

        for function in functions:
            if isinstance(function, FunctionType):
                trio.lowlevel.enable_ki_protection(function)
