"""A child task that waits for a test to run it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio.lowlevel

from actwright_actors._incarnation import Incarnation
from actwright_actors._latch import Latch
from actwright_actors._runner import run_child
from actwright_actors.actor import ChildTask

__all__ = ["RecordedTask"]


class RecordedTask:
    """A child task that an actor has started, with `function` and `args`, for the test to run or to leave."""

    def __init__(
        self,
        life: Incarnation,
        task: ChildTask,
        ended: Latch,
        function: Callable[..., Coroutine[Any, Any, object]],
        args: tuple[Any, ...],
        end_if_crashed: Callable[[], Awaitable[None]],
    ) -> None:
        self.function = function
        self.args = args
        self._life = life
        self._task = task
        self._ended = ended
        self._end_if_crashed = end_if_crashed
        self._has_run = False

    @property
    def done(self) -> bool:
        """Whether it has ended, or never will run because its actor has."""
        return self._task.done

    async def run(self) -> None:
        """Run it in the test's task, up to its end. If it crashes, so does the actor, and the exception is raised.

        It runs in the context of the test. Raises RuntimeError if it has run, or cannot because the actor has ended.
        """
        if self._has_run or self.done:
            raise RuntimeError(f"{self.function!r} cannot run: it has run before, or its actor has ended.")
        self._has_run = True
        await run_child(self._life, self._task, self._ended, self.function, self.args)
        # The test's own cancellation, which a child's task keeps to itself.
        await anyio.lowlevel.checkpoint_if_cancelled()
        await self._end_if_crashed()

    def forget(self) -> None:
        """Have it end without having run, as a task that is cancelled before its first step."""
        if not (self._has_run or self.done):
            self._has_run = True
            self._ended.set()
            self._life.child_ended(self._task, None)
