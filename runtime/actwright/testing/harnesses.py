"""Where flows under test run: history in a folder of its own, no understudy, and clocks that skip what is idle."""

from __future__ import annotations

import math
import os
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Unpack

import anyio.to_thread

from actwright.authoring.context import within_reach
from actwright.engine.kit import close_background_loops, hosts_get_clocks, is_a_runtime_open
from actwright.engine.runtime import Runtime
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings
from actwright.testing.clock import SkippingClock
from actwright.testing.template import put_empty_journal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping
    from contextlib import AbstractContextManager

    from actwright.engine.kit import WatchedHost
    from actwright.engine.runtime import RuntimeKeywords
    from actwright.journal.protocol import Journal

__all__ = ["Harness", "current_harness", "harness", "open_runtime"]


class Harness:
    """What is in force inside of `harness()`.

    Attributes:
        home: the folder that history is kept in.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._hosts: list[tuple[WatchedHost, SkippingClock]] = []

    def advance(self, seconds: float) -> None:
        """Have it be that much later for every run: what falls due until then happens now. In any thread.

        For what a test would wait for while a body is at work: its timeout, say. Time in which every run only waits
        (for a retry, above all) is skipped anyway.

        Raises:
            ValueError: a negative time, or none that there is.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"Time only moves forward: expected seconds, zero or more; got {seconds}.")
        for _, clock in list(self._hosts):
            clock.advance(seconds)

    def open_hosts(self) -> list[WatchedHost]:
        """What runs flows here now: each Runtime, and what sync code runs on."""
        return [host for host, _ in self._hosts if host.status in ("open", "draining")]

    def journals(self) -> list[Journal]:
        """What ran here was written to these, by Runtimes that are closed by now too."""
        return [host.journal for host, _ in self._hosts if host.status != "new"]

    def clock_for(self, host: WatchedHost) -> SkippingClock:
        """Take a new host in; its clock."""
        clock = SkippingClock(host.only_time_helps)
        self._hosts.append((host, clock))
        return clock


_harnesses: list[Harness] = []


def current_harness() -> Harness | None:
    """The innermost that is in force."""
    return _harnesses[-1] if _harnesses else None


@contextmanager
def harness(home: Path | str | None = None) -> Generator[Harness]:
    """While inside, what flows and tasks do in this process is kept in a folder of its own, which goes with the block.

    It is for all threads of the process, so for one test at a time. No understudy is started. Every Runtime that is
    opened inside, and what sync code runs on, skips the time in which runs wait for nothing but time. What sync code
    has started is drained: before the harness begins, so that nothing from before is in it, and at its end. Harnesses
    may be nested. Blocks for some milliseconds; in async code, `open_runtime` does it all.

    Args:
        home: a folder to use instead, which stays.

    Raises:
        RuntimeError: a Runtime is open, or this is the body or hook of a run: such runs would go on in their own
            history, by their own clock.
    """
    _refuse_what_is_under_way()
    with ExitStack() as stack:
        close_background_loops()  # they hold on to the history and the clock that they were opened with
        close_journals()
        folder = Path(home) if home is not None else _temporary_folder(stack)
        made = Harness(folder)
        stack.enter_context(_settings({"ACTWRIGHT_HOME": str(folder), "ACTWRIGHT_UNDERSTUDY": "false"}))
        put_empty_journal(get_current_settings().database)
        stack.callback(close_journals)
        stack.enter_context(hosts_get_clocks(made.clock_for))
        stack.callback(close_background_loops)
        _harnesses.append(made)
        stack.callback(_harnesses.remove, made)
        yield made


@asynccontextmanager
async def open_runtime(**options: Unpack[RuntimeKeywords]) -> AsyncGenerator[Runtime]:
    """A `Runtime` in a harness: in the one that is in force, and else in one of its own.

    Leaving it cancels what still runs: a test that failed should not wait for it.

    Args:
        **options: those of `Runtime`; `on_exit` is "cancel" where none is given.
    """
    async with AsyncExitStack() as stack:
        if current_harness() is None:
            await stack.enter_async_context(_in_a_thread(harness()))
        options.setdefault("on_exit", "cancel")
        yield await stack.enter_async_context(Runtime(**options))


@asynccontextmanager
async def _in_a_thread(blocking: AbstractContextManager[object]) -> AsyncGenerator[None]:
    """Entered and left in a thread: both block, and the end joins threads that may need this loop."""
    await anyio.to_thread.run_sync(blocking.__enter__)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(blocking.__exit__, None, None, None))


def _refuse_what_is_under_way() -> None:
    if within_reach() is not None:
        raise RuntimeError("A harness cannot begin in the body or hook of a run: open it around what calls the flow.")
    if is_a_runtime_open():
        raise RuntimeError(
            "A Runtime is open, and its runs would not be in this harness: neither in its history nor on its clock. "
            "Open the harness first, and the Runtime inside of it; or use `open_runtime()`, which does both."
        )


def _temporary_folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory(prefix="actwright-", ignore_cleanup_errors=True)))


@contextmanager
def _settings(variables: Mapping[str, str]) -> Generator[None]:
    """The environment with these, and the settings read from it anew."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    get_current_settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        get_current_settings.cache_clear()
