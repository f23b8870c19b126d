"""The one door from authoring into the engine.

A call of a flow or a task has to reach the engine, and the engine is built on flows and tasks. So the engine is
loaded by name, at the first call: the order of the layers holds, and `from actwright import flow, task` does not
pay for an engine that may never run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from actwright.authoring.replay_guard import refuse_while_loading
from actwright.exceptions import ActwrightError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from uuid import UUID

    from actwright.authoring.futures import Handle
    from actwright.authoring.runnable import Runnable
    from actwright.models.commands import Answer, Command
    from actwright.models.runs import FlowRun
    from actwright.models.slots import Claim, SlotRow

__all__ = [
    "Call",
    "EngineEntry",
    "Known",
    "Retry",
    "Store",
    "engine",
    "load_engine",
    "stand_in_for_engine",
    "waited_for",
]


@dataclass(frozen=True, slots=True)
class Retry:
    """What a call knows that tries an earlier run again.

    Attributes:
        of: that run.
        run_id: of the run that the call starts: whoever asked for it looks for that.
    """

    of: UUID
    run_id: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """What a call knows of its run, which is in history already: it was submitted, and is begun here.

    Attributes:
        run: as it is now, in Scheduled or AwaitingRetry.
        deaths: how many processes have died while its body ran.
        is_named: whoever submitted it gave it its name.
        asked: what other processes have asked of it, and how each is answered. It is done first.
    """

    run: FlowRun
    deaths: int = 0
    is_named: bool = False
    asked: tuple[tuple[Command, Callable[[Answer], object]], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A flow or a task called with arguments.

    Attributes:
        subject: the flow or task.
        parameters: name -> value, bound to the signature with its defaults, not yet validated; futures unresolved. Of a
            run that was submitted, as they were given.
        return_state: the caller wants the state, and no exception.
        wait_for: futures and states that must have completed before the body starts.
        retry: set where it tries an earlier run again.
        known: set where its run exists.
    """

    subject: Runnable[..., Any]
    parameters: dict[str, Any]
    return_state: bool = False
    wait_for: tuple[Any, ...] = ()
    retry: Retry | None = None
    known: Known | None = None


def waited_for(futures: object) -> tuple[Any, ...]:
    """What was given as `wait_for=`, in the form that a `Call` has it.

    Raises:
        TypeError: not a list of futures, but one future, say.
    """
    if futures is None:
        return ()
    name = type(futures).__name__
    if not isinstance(futures, Iterable) or isinstance(futures, str | Mapping):
        raise TypeError(f"wait_for must be a list of futures; got {name}. Write wait_for=[...].")
    return tuple(cast("Iterable[object]", futures))


class Store(Protocol):
    """What is kept beside history: variables, blocks, concurrency limits. A journal is one. Its methods block, for
    moments."""

    @property
    def own_key(self) -> bytes | None:
        """What its secrets are encrypted with if it ends with its process; None when it outlives that."""
        ...

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises KeyError when there is none, CorruptVariable when it cannot be read."""
        ...

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        """Set a variable. Raises FileExistsError when there is one and `overwrite` is false."""
        ...

    def unset_variable(self, name: str) -> bool:
        """Forget a variable; whether there was one."""
        ...

    def block(self, slug: str, name: str) -> bytes:
        """The document of a block, as it is kept. Raises KeyError when there is none."""
        ...

    def block_names(self) -> Sequence[tuple[str, str]]:
        """The slug and the name of each block, sorted."""
        ...

    def set_block(self, slug: str, name: str, document: str, *, overwrite: bool) -> None:
        """Keep a document. Raises FileExistsError when there is one of that name and `overwrite` is false."""
        ...

    def unset_block(self, slug: str, name: str) -> bool:
        """Forget a block; whether there was one."""
        ...

    def ask_slots(self, claim: Claim) -> Future[None]:
        """Ask for slots of concurrency limits. The answer comes when they are there, in whatever thread, and may be an
        error; until `free_slots` they are held. Never waits."""
        ...

    def free_slots(self, claim_id: str) -> None:
        """Give them back, or wait for them no longer. Never waits; in a forked child it does nothing."""
        ...

    def give_up_slots(self, claim_id: str) -> Future[list[SlotRow] | None]:
        """Wait for them no longer; tells what stood in the way. None: they have come by now, and are held."""
        ...

    def tag_limits(self) -> dict[str, int]:
        """Tag -> slots, of each tag that has a limit; sorted."""
        ...

    def set_tag_limit(self, tag: str, slots: int) -> None:
        """Limit a tag, or change its limit."""
        ...

    def unset_tag_limit(self, tag: str) -> bool:
        """Limit a tag no longer; whether it was."""
        ...


class EngineEntry(Protocol):
    """What authoring asks of the engine."""

    def call(self, call: Call) -> Any:
        """Run a sync body in this thread; return its result, or its state."""
        ...

    async def call_async(self, call: Call) -> Any:
        """Run a body and wait for it; cancelling the caller cancels the run."""
        ...

    def submit(self, call: Call) -> Handle[Any]:
        """Start a run and return at once."""
        ...

    def store(self) -> Store:
        """Where the code that asks keeps variables and blocks. It may block."""
        ...

    async def store_async(self) -> Store:
        """The same, and blocks no event loop."""
        ...


def engine() -> EngineEntry:
    """The engine, loaded at the first call.

    Raises:
        ActwrightError: on Windows.
        ReplayImportError: while code is loaded to replay a hook.
    """
    refuse_while_loading("A flow or task was called, or a Variable or Block changed,")
    return load_engine()


def load_engine() -> EngineEntry:
    """The same, also while code is loaded to replay a hook: loading the engine runs nothing yet.

    Raises:
        ActwrightError: on Windows.
    """
    if sys.platform == "win32":
        raise ActwrightError("Windows is not supported yet. Run this on Linux or macOS; WSL is a Linux.")
    return _stand_in or _engine()


_stand_in: EngineEntry | None = None


def stand_in_for_engine(entry: EngineEntry | None) -> None:
    """Have calls go to `entry` from now on, and no engine loaded; None takes that back.

    For a process that runs one body, whose engine is in another one.
    """
    global _stand_in
    _stand_in = entry


# Event loops load it, and once a script has ended it cannot be: but a thread that goes on may call for the first time.
import_module("concurrent.futures.thread")


@cache
def _engine() -> EngineEntry:
    return cast(EngineEntry, import_module("actwright.engine.entry"))
