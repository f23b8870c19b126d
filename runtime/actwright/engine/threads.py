"""Worker threads for sync bodies and sync hooks.

Unlike the limiters of asyncio, trio and anyio, a place here can be given back by the thread that holds it, while that
thread waits for a run, a future or a hook, and is regained without queueing. So sync code that waits for sync code
never runs out of threads, at any depth and with any limit. Threads are daemons: one that never returns (it is
*abandoned*) cannot keep its process alive.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from actwright.authoring.waiting import event_of, set_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["IDLE_SECONDS", "MAX_ABANDONED", "Job", "WorkerThreads", "retire_this_thread", "settle"]

logger = logging.getLogger("actwright.engine")

T = TypeVar("T")

IDLE_SECONDS = 5.0
MAX_ABANDONED = 100


_local = threading.local()


def retire_this_thread() -> None:
    """End the worker thread that calls once its job is done. No other thread minds.

    For one in which something may have been left half done: an interrupted body's own event loop, say.
    """
    _local.is_retired = True


def _nothing() -> None: ...


def settle(future: Future[T], fn: Callable[[], T]) -> None:
    """Call `fn`, and have the future hold what it returns or raises."""
    try:
        future.set_result(fn())
    except BaseException as error:
        future.set_exception(error)


class Job:
    """One call in a worker thread. It can be withdrawn until it starts, and abandoned after."""

    __slots__ = ("_pool", "abandoned", "done", "fn", "holds_place", "thread", "waits")

    def __init__(self, pool: WorkerThreads, fn: Callable[[], object]) -> None:
        self._pool = pool
        self.fn = fn
        self.thread: threading.Thread | None = None
        self.holds_place = False
        self.waits = 0
        self.abandoned = False
        self.done = False

    def withdraw(self) -> bool:
        """Take it out of the queue. False when it is not there: it has started, and runs to its end, or is out."""
        return self._pool.withdraw(self)

    def abandon(self) -> None:
        """Give up waiting for it: its place goes to the next job, and its thread is counted until it ends."""
        self._pool.abandon(self)

    @contextmanager
    def given_back(self) -> Generator[None]:
        """Around a wait in the job's thread: its place is free meanwhile, and its own again at once after it."""
        self._pool.give_back(self)
        try:
            yield
        finally:
            self._pool.regain(self)


class WorkerThreads:
    """Up to `limit` jobs at once, in daemon threads that are kept for a few idle seconds.

    Args:
        limit: how many may run at once; those that wait (see `waiting.blocking`) do not count.
        name: the prefix of its threads' names.
    """

    def __init__(self, limit: int, name: str) -> None:
        if limit < 1:
            raise ValueError(f"{name}: expected a limit of at least 1 thread, got {limit}.")
        self._limit = limit
        self._name = name
        self._queue: deque[Job] = deque()
        self._wake = threading.Condition()
        self._busy = 0
        self._idle = 0
        self._started = 0
        self._closed = False
        self._threads: set[threading.Thread] = set()
        self._stuck: set[threading.Thread] = set()
        self.abandoned = 0

    def submit(self, fn: Callable[[], object]) -> Job:
        """Call `fn` in a thread, as soon as there is a place. `fn` must not raise. Any thread may call this."""
        job = Job(self, fn)
        with self._wake:
            if self._closed:
                raise RuntimeError(f"{self._name}: these threads are closed.")
            self._queue.append(job)
            self._see_to_the_queue()
        return job

    @property
    def is_busy(self) -> bool:
        """Whether a job is at work, or about to be: those that wait, and those that were abandoned, are not."""
        with self._wake:
            return self._busy > 0 or bool(self._queue)

    async def run(self, fn: Callable[[], T]) -> T:
        """Call `fn` in a thread and wait for what it returns or raises. Cancelled meanwhile, its thread goes on."""
        job, future = self.start(fn)
        try:
            await event_of(future).wait()
        except BaseException:
            if not job.withdraw():
                job.abandon()
            raise
        return future.result()

    def start(self, fn: Callable[[], T]) -> tuple[Job, Future[T]]:
        """Call `fn` in a thread, whatever becomes of the caller; the future is what it returns or raises."""
        future: Future[T] = Future()
        return self.submit(partial(settle, future, fn)), future

    def close(self) -> None:
        """Do what is left in the queue and let the threads end. Blocks, but not for those of abandoned jobs."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        while threads := self._at_work():
            for thread in threads:
                thread.join()

    def _at_work(self) -> set[threading.Thread]:
        with self._wake:
            return self._threads - self._stuck

    def withdraw(self, job: Job) -> bool:
        with self._wake:
            if job not in self._queue:
                return False
            self._queue.remove(job)
            return True

    def abandon(self, job: Job) -> None:
        with self._wake:
            if job in self._queue:
                self._queue.remove(job)
            if job.thread is None or job.done or job.abandoned:
                return
            job.abandoned = True
            self.abandoned += 1
            self._stuck.add(job.thread)
            if self.abandoned <= MAX_ABANDONED:
                self._release(job)
                return
        # Each holds a stack and whatever its job holds: past this, better slow than out of memory.
        logger.error(
            "%s: %d threads are abandoned, in code that does not return. From now on each of them keeps its place, "
            "of %d in all, until it ends.",
            self._name, self.abandoned, self._limit,
        )  # fmt: skip

    def give_back(self, job: Job) -> None:
        with self._wake:
            job.waits += 1
            self._release(job)

    def regain(self, job: Job) -> None:
        with self._wake:
            job.waits -= 1
            if not (job.waits or job.abandoned):
                job.holds_place = True
                self._busy += 1

    def _release(self, job: Job) -> None:
        """Under the lock."""
        if job.holds_place:
            job.holds_place = False
            self._busy -= 1
            self._see_to_the_queue()

    def _see_to_the_queue(self) -> None:
        """Wake or start a thread if there is a job and a place for it. Under the lock.

        One that is woken calls this again once it has taken its job, so two jobs that came before it woke both start.
        """
        if not self._queue or self._busy >= self._limit:
            return
        if self._idle:
            self._wake.notify()
            return
        self._started += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        try:
            while not hasattr(_local, "is_retired") and (job := self._next_job()):
                set_slot(job)
                job.fn()
                self._finish(job)
        finally:
            with self._wake:
                self._threads.discard(threading.current_thread())
                self._see_to_the_queue()  # it is not there to look itself

    def _next_job(self) -> Job | None:
        """The next job, its place taken; None when this thread is to end, being idle or at the close."""
        with self._wake:
            self._idle += 1
            try:
                self._wake.wait_for(lambda: self._closed or self._can_start_one(), IDLE_SECONDS)
            finally:
                self._idle -= 1
            if not self._can_start_one():
                return None
            job = self._queue.popleft()
            job.thread = threading.current_thread()
            job.holds_place = True
            self._busy += 1
            self._see_to_the_queue()
            return job

    def _can_start_one(self) -> bool:
        return bool(self._queue) and self._busy < self._limit

    def _finish(self, job: Job) -> None:
        job.fn = _nothing  # who waited for the job may be what it called: each would keep the other from being freed
        with self._wake:
            job.done = True
            if job.abandoned:
                self.abandoned -= 1
                self._stuck.discard(threading.current_thread())
            if job.holds_place:
                job.holds_place = False
                self._busy -= 1  # and this thread itself looks into the queue now
