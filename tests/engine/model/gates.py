"""Where scripts stand still, and how that is told from being at work: nobody else knows it of a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tests.engine.gate import Gate

from actwright.authoring import waiting
from actwright.engine.bodies import WorkerThread

# pyright: reportPrivateUsage=false
# What a thread of a pool does is nobody's business but a test's that has to wait for all of them.

if TYPE_CHECKING:
    from actwright.engine.host import Host
    from actwright.engine.live_run import LiveRun
    from actwright.engine.threads import Job, WorkerThreads

__all__ = ["Gates"]

_CALL: ContextVar[object] = ContextVar("call")
"""Which call of a script's in a thread a run descends from."""


class Gates:
    """Where scripts wait to be let go, and what scripts in threads wait for besides."""

    def __init__(self) -> None:
        self._standing: dict[str, tuple[Gate, Job | None, int]] = {}
        self._let_go: set[Job] = set()  # its pool counts no thread that was abandoned
        self._blocked: dict[object, tuple[Callable[[Host], bool], int]] = {}
        self._all_open = False
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """At which somebody stands."""
        with self._lock:
            return sorted(self._standing)

    def release(self, name: str) -> None:
        """Let go whoever stands there; from now on it counts as at work."""
        with self._lock:
            gate, job, _ = self._standing.pop(name)
            if job is not None:
                self._let_go.add(job)
        gate.open()

    def open_all(self) -> None:
        """Let everybody go, those who come later too."""
        self._all_open = True
        for name in self.names():
            self.release(name)

    @contextmanager
    def at(self, name: str) -> Generator[Gate]:
        """Around standing at a new gate."""
        gate, job = Gate(), getattr(waiting._thread, "slot", None)
        with self._lock:
            self._standing[name] = gate, job, threading.get_ident()
        if self._all_open:
            gate.open()
        try:
            yield gate
        finally:
            with self._lock:
                if self._standing.get(name, (None,))[0] is gate:
                    del self._standing[name]

    @contextmanager
    def blocked(self, is_woken: Callable[[], bool]) -> Generator[None]:
        """Around a wait in a thread, which gives its place in its pool back: until `is_woken` it stands still."""
        with self._blocked_until(lambda _: is_woken()):
            yield

    @contextmanager
    def calling(self) -> Generator[None]:
        """Around a call in a thread: that stands still for as long as the run goes on and its body does not begin."""
        call = object()
        token = _CALL.set(call)
        try:
            with self._blocked_until(lambda host: all(_call_of(run) is not call for run in host.live_runs())):
                yield
        finally:
            _CALL.reset(token)

    @contextmanager
    def _blocked_until(self, is_woken: Callable[[Host], bool]) -> Generator[None]:
        me = object()
        with self._lock:
            self._blocked[me] = is_woken, threading.get_ident()
        try:
            yield
        finally:
            with self._lock:
                del self._blocked[me]

    def all_stand_still(self, host: Host, has_begun: Callable[[LiveRun], bool]) -> bool:
        """Whether no thread is at work, or about to be.

        Args:
            has_begun: whether the script of a run's attempt has begun.
        """
        with self._lock:
            # What a thread calls may have been abandoned, and stand at a gate in that very thread.
            standing = {thread for _, _, thread in self._standing.values()}
            woken = [is_woken for is_woken, thread in self._blocked.values() if thread not in standing]
            jobs = [job for _, job, _ in self._standing.values() if job is not None]
            self._let_go = {job for job in self._let_go if not job.done}
            at_work = [job for job in self._let_go if not job.waits and job not in jobs]
        pools = (host.worker_threads, host.hook_threads)
        return (
            not at_work
            and not any(is_woken(host) for is_woken in woken)
            and all(_stands_still(pool, jobs) for pool in pools)
            and not any(_is_about_to_begin(run, has_begun) for run in host.live_runs())
        )


def _call_of(run: LiveRun) -> object:
    return run.origin.context.get(_CALL)


def _stands_still(pool: WorkerThreads, at_gates: Iterable[Job]) -> bool:
    """Whether each thread that holds a place stands at a gate, and no job can begin."""
    standing = sum(job.holds_place for job in at_gates if job._pool is pool)
    with pool._wake:
        can_begin = bool(pool._queue) and pool._busy < pool._limit
        return not can_begin and pool._busy <= standing


def _is_about_to_begin(run: LiveRun, has_begun: Callable[[LiveRun], bool]) -> bool:
    attempt: Any = run.attempt
    if attempt is None or attempt.over or has_begun(run):
        return False
    pool = run.host.worker_threads
    return not (isinstance(run.place, WorkerThread) and pool._busy >= pool._limit)
