"""Which run, and which hook, the code that asks is part of.

One context variable, set by the engine around each body and each hook, and copied by Python into whatever tasks and
threads that code starts.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from queue import SimpleQueue

    from actwright.authoring.runnable import Runnable
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["CURRENT", "ActiveRun", "Mailbox", "RunContext", "current", "in_async_code", "within_reach"]


class ActiveRun(Protocol):
    """What user code may learn of the run that it is part of; the engine's own record of a run is one."""

    @property
    def snapshot(self) -> FlowRun | TaskRun: ...
    @property
    def subject(self) -> Runnable[..., Any]: ...
    @property
    def parent(self) -> ActiveRun | None: ...
    @property
    def flow(self) -> ActiveRun | None:
        """The flow run around it: itself when it is one."""
        ...

    @property
    def logs_prints(self) -> bool:
        """Whether `print` in the body goes to the run's log."""
        ...

    def keep_line(self, level: int, logger: str, message: str, fields: str | None = None) -> None:
        """Keep a line of its log with its history."""
        ...

    def is_stopped(self, context: RunContext) -> bool:
        """Whether the body that `context` stands in was told to stop. Hooks are not."""
        ...

    def raise_if_stopped(self, context: RunContext) -> None:
        """Raise CancelledRun in that case."""
        ...

    def waking(self, context: RunContext, inbox: SimpleQueue[None]) -> AbstractContextManager[None]:
        """While inside: put None into `inbox` when the body that `context` stands in is told to stop."""
        ...

    @property
    def inbox(self) -> Mailbox:
        """What was sent to it, and was not received yet."""
        ...

    def after(self, seconds: float, fn: Callable[[], object]) -> AbstractContextManager[None]:
        """While inside: have `fn` called once so many seconds have passed, by the clock of its Runtime."""
        ...


class Mailbox(Protocol):
    """Messages, in the order in which they came; `engine.inbox` is it."""

    def take(self, wanted: Callable[[object], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Take out the first message of which `wanted` makes something, and return that; `()` if there is none."""
        ...

    def waking(self, wake: Callable[[], object]) -> AbstractContextManager[None]:
        """While inside: call `wake`, in whatever thread, for each message that comes."""
        ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """Where the code that asks stands.

    Attributes:
        run: the run whose body or hook this is.
        attempt: which attempt of the body, from 1; the engine tells by it a body that it has abandoned.
        blocks_loop: this is a sync body that was called directly in async code, so its thread has a loop that waits.
        delivery: in a hook, what is being delivered; None in a body.
        runtime_wide: in a hook that was registered with the Runtime, for every run.
        entered: in a hook, the run as it was when it entered the state that the hook is for.
        inherited: this process was forked from that of the run, which goes on there; it can be read here, not reached.
    """

    run: ActiveRun
    attempt: int = 0
    blocks_loop: bool = False
    delivery: HookDelivery | None = None
    runtime_wide: bool = False
    entered: FlowRun | TaskRun | None = None
    inherited: bool = False

    @property
    def in_hook(self) -> bool:
        return self.delivery is not None


CURRENT: ContextVar[RunContext | None] = ContextVar("actwright_run", default=None)


def current() -> RunContext | None:
    """The context of the code that asks, or None outside of runs and hooks."""
    return CURRENT.get()


def within_reach() -> RunContext | None:
    """The context of the code that asks, where its run lives in this process; None in a forked child."""
    context = CURRENT.get()
    return None if context is None or context.inherited else context


def in_async_code() -> bool:
    """Whether the code that asks may await: a loop runs in this thread, and no sync body holds it up."""
    context = CURRENT.get()
    return current_backend_name() is not None and not (context and context.blocks_loop)


def _inherit() -> None:
    context = CURRENT.get()
    if context is not None:
        CURRENT.set(replace(context, inherited=True))


os.register_at_fork(after_in_child=_inherit)
