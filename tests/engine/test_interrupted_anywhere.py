"""Interrupting a body in the midst of whatever it does: nothing is left locked, half made, or poisoned."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.engine.watched import open_runtime, until

from actwright import Handle, as_completed, flow, get_run_logger, runtime, tags, task, wait
from actwright.exceptions import CancelledRun, Interrupted
from actwright_actors.backends import backend_options

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

TIMES = 4
"""How often each loop is interrupted: at another moment each time."""


@task
def nothing() -> int:
    return 1


@task
def doubled(number: int) -> int:
    return 2 * number


@task
async def nothing_async() -> int:
    return 1


Step = Callable[[], object]


class Tools:
    """What the loops take turns with: if an interrupt leaves one of these locked, the next body hangs."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.condition = threading.Condition()
        self.event = threading.Event()
        self.queue: queue.Queue[int] = queue.Queue(maxsize=2)
        self.semaphore = threading.Semaphore()
        self.finalized = 0

    def take(self) -> None:
        with self.lock:
            sum(range(20))

    def wait_for_event(self) -> None:
        self.event.wait(0.003)

    def notify(self) -> None:
        with self.condition:
            self.condition.notify_all()
        with self.condition:
            self.condition.wait(0.001)

    def pass_on(self) -> None:
        self.queue.put(1)
        self.queue.get()

    def poll(self) -> None:
        with contextlib.suppress(queue.Empty):
            self.queue.get(timeout=0.003)

    def semaphores(self) -> None:
        with self.semaphore:
            sum(range(20))

    def log(self) -> None:
        logging.getLogger("jobs").info("a line")

    def import_anew(self) -> None:
        sys.modules.pop("tests.engine.nesting", None)
        importlib.import_module("tests.engine.nesting")
        for _ in range(200_000):  # between two imports, or it would seldom be met in code of its own
            pass

    def finalize(self) -> None:
        tools = self

        class Closes:
            def __del__(self) -> None:
                with tools.lock:
                    sum(range(20))
                tools.finalized += 1

        cycle: list[object] = [Closes()]
        cycle.append(cycle)
        del cycle
        Closes()
        gc.collect(0)

    def enter_and_leave(self) -> None:
        with self.entered():
            sum(range(20))

    @contextlib.contextmanager
    def entered(self) -> Generator[None]:
        with self.lock:
            yield

    def run_a_process(self) -> None:
        subprocess.run([sys.executable, "-S", "-E", "-c", ""], check=True, capture_output=True, timeout=20)


# What the engine's functions do for a body


def calls_a_task() -> None:
    nothing()


def submits_and_waits() -> None:
    nothing.submit().result()


def submits_async_ones() -> None:
    list(as_completed([nothing_async.submit() for _ in range(3)]))


def submits_and_looks() -> None:
    handle = nothing.submit()
    while not handle.done():
        assert handle.state.name
    wait([handle])


def maps() -> None:
    with tags("mapped"):
        doubled.map([1, 2]).result()


def waits_a_moment() -> None:
    handle = nothing.submit()
    while not handle.wait(timeout=0.0001):
        pass


def says_something() -> None:
    get_run_logger().info("in %s", runtime.flow_run.name)


def prints() -> None:
    print("into the log")


ENGINE: list[Step] = [
    calls_a_task, submits_and_waits, submits_async_ones, submits_and_looks, maps, waits_a_moment, says_something,
    prints,
]  # fmt: skip
LOCKS: list[str] = [
    "take", "wait_for_event", "notify", "pass_on", "poll", "semaphores", "log", "import_anew", "finalize",
    "enter_and_leave", "run_a_process",
]  # fmt: skip


class Loop:
    """A body that does one thing for ever, and notes what ends it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.rounds = 0
        self.ends: list[type[BaseException]] = []

    def __call__(self) -> None:
        try:
            while True:
                self.step()
                self.rounds += 1
        except BaseException as error:
            self.ends.append(type(error))
            raise


async def is_ended_at_any_moment(loop: Loop, times: int = TIMES) -> None:
    """Cancel a run of it again and again, each time at another moment. All runs are final then, whoever made them."""
    dice = random.Random(7)
    async with open_runtime(worker_threads=2, logs_limit=100) as opened:
        for number in range(times):
            loop.rounds = 0
            handle = opened.submit(flow(loop, name="loop", log_prints=True))
            await until(lambda: loop.rounds > 0)
            await anyio.sleep(dice.random() * 0.01)
            await handle.cancel()
            await wait([handle])
            assert handle.state.is_cancelled()
            assert len(loop.ends) == number + 1
        assert all(run.state.is_final() for run in opened.journal.runs())
        assert await opened.submit(flow(lambda: "others go on", name="after")) == "others go on"
    assert set(loop.ends) <= {Interrupted, CancelledRun}


@pytest.mark.parametrize("step", ENGINE, ids=lambda step: step.__name__)
async def test_a_body_that_calls_the_engine_all_the_time_is_ended_and_no_run_is_left_half_made(step: Step) -> None:
    await is_ended_at_any_moment(Loop(step))


@pytest.mark.parametrize("name", LOCKS)
async def test_a_body_that_takes_locks_all_the_time_is_ended_and_leaves_none_locked(name: str) -> None:
    tools = Tools()
    loop = Loop(getattr(tools, name))
    with contextlib.ExitStack() as stack:
        if name == "log":
            stack.enter_context(logging_to_a_buffer("jobs"))
        await is_ended_at_any_moment(loop, 3 if name == "run_a_process" else TIMES)
        assert set(loop.ends) == {Interrupted}
        # From another thread, which an RLock that is left locked would keep out.
        thread = threading.Thread(target=getattr(tools, name), daemon=True)
        thread.start()
        await until(lambda: not thread.is_alive())
    gc.collect()
    assert not tools.lock.locked()


@contextlib.contextmanager
def logging_to_a_buffer(name: str) -> Generator[None]:
    from logging.handlers import MemoryHandler

    logger, handler = logging.getLogger(name), MemoryHandler(10)
    level, logger.propagate = logger.level, False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True


# Loops of a body's own


class OwnLoop:
    """A body that runs an event loop, and notes what its coroutines hear of the end."""

    def __init__(self, inner: str, step: Callable[[], Any]) -> None:
        self.inner = inner
        self.step = step
        self.began = threading.Event()
        self.unwound: list[str] = []

    async def main(self) -> None:
        self.began.set()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                while True:
                    await self.step()
        finally:
            self.unwound.append("main")

    def __call__(self) -> None:
        name, options = backend_options(self.inner)  # type: ignore[arg-type]
        try:
            anyio.run(self.main, backend=name, backend_options=options)
        finally:
            self.unwound.append("body")


async def works() -> None:
    sum(range(20_000))
    await anyio.lowlevel.checkpoint()


async def naps() -> None:
    await anyio.sleep(0.005)


@pytest.fixture
def short_turns() -> Generator[None]:
    """A thread that lets go of the GIL for an instant more often than every 5 ms keeps all others from it, for seconds:
    they are woken each time, come too late, and do not get to ask for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("short_turns")
@pytest.mark.parametrize("inner", ["asyncio", "asyncio+uvloop", "trio"])
async def test_a_coroutine_at_work_in_a_loop_of_a_bodys_own_is_interrupted_and_the_loop_unwinds(inner: str) -> None:
    body = OwnLoop(inner, works)
    async with open_runtime(worker_threads=1) as opened:
        for _ in range(3):
            body.unwound.clear()
            body.began.clear()
            handle = opened.submit(flow(body, name="own loop"))
            await until(body.began.is_set)
            await handle.cancel()
            await wait([handle])
            assert body.unwound == ["main", "body"]
        assert await opened.submit(flow(lambda: asyncio.run(answer()), name="another loop")) == 42
        assert await opened.submit(flow(lambda: anyio.run(answer, backend="trio"), name="of trio")) == 42


async def answer() -> int:
    await anyio.lowlevel.checkpoint()
    return 42


async def test_an_idle_loop_of_asyncio_in_a_body_is_interrupted_and_unwinds() -> None:
    body = OwnLoop("asyncio", naps)
    async with open_runtime() as opened:
        handle = opened.submit(flow(body, name="own loop"))
        await until(body.began.is_set)
        await handle.cancel()
        await wait([handle])
    assert body.unwound == ["main", "body"]


# What takes the exception


async def test_an_interrupt_that_a_finalizer_took_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    taken: list[BaseException] = []
    began = threading.Event()

    class Cuts:
        """Stands for a finalizer that is entered between the strike and its landing."""

        def __del__(self) -> None:
            if began.is_set() and not taken:
                taken.append(Interrupted())
                raise taken[0]

    def loses_one() -> None:
        began.set()
        try:
            while True:
                time.sleep(0.001)
        except Interrupted:
            from actwright.authoring.interrupts import innermost_body

            body = innermost_body()
            assert body is not None
            assert body.was_told
            Cuts()
            assert not body.was_told  # it is to be told again
            while True:
                time.sleep(0.001)

    async with open_runtime() as opened:
        handle = opened.submit(flow(loses_one))
        await until(began.is_set)
        await handle.cancel()
        await wait([handle])
    assert len(taken) == 1
    assert said == []


async def test_what_other_finalizers_raise_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[BaseException | None] = []

    def hear(lost: Any) -> None:
        said.append(lost.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", hear)
    began = threading.Event()

    class Fails:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

    def body() -> None:
        began.set()
        try:
            while True:
                time.sleep(0.001)
        finally:
            Fails()

    async with open_runtime() as opened:
        handle = opened.submit(flow(body))
        await until(began.is_set)
        await handle.cancel()
        await wait([handle])
    assert [str(error) for error in said] == ["in a finalizer"]
    await until(lambda: sys.unraisablehook is hear)


async def test_async_generators_of_a_bodys_own_loop_are_closed(tmp_path: Path) -> None:
    closed: list[str] = []
    began = threading.Event()

    async def numbers() -> AsyncGenerator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append("closed")

    async def main() -> None:
        async for _ in numbers():
            began.set()
            await asyncio.sleep(0)

    async with open_runtime() as opened:
        handle: Handle[None] = opened.submit(flow(lambda: asyncio.run(main()), name="own loop"))
        await until(began.is_set)
        await handle.cancel()
        await wait([handle])
    assert closed == ["closed"]
