"""Faults that a test brings about, and what it looks at to see that nothing was left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

import trio.lowlevel

from actwright import Handle, Runtime
from actwright.engine.host import Host
from actwright.engine.live_run import LiveRun
from actwright_actors import ActorRef
from actwright_actors.backends import current_backend_name

__all__ = [
    "ON_ASYNCIO",
    "Unspeakable",
    "host_of",
    "infrastructure",
    "kill",
    "leaks_no_task",
    "live",
    "names",
    "tasks_living",
]

ON_ASYNCIO: dict[str, Any] = {
    "argnames": "anyio_backend",
    "argvalues": [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    "ids": ["asyncio", "uvloop"],
}
"""For `pytest.mark.parametrize`: a test of what only asyncio's loops have."""


class Unspeakable(Exception):
    """An author's exception that cannot even be printed."""

    def __str__(self) -> str:
        raise SystemExit("from __str__")


def host_of(runtime: Runtime) -> Host:
    """What is behind a Runtime's public face."""
    return runtime._host  # pyright: ignore[reportPrivateUsage]


def live(runtime: Runtime, handle: Handle[Any]) -> LiveRun:
    """The engine's record of a run that is not done."""
    run = host_of(runtime).live_run(handle.id)
    assert run is not None, f"{handle!r} is done"
    return run


def kill(runtime: Runtime, handle: Handle[Any]) -> None:
    """End a run's actor as no code of a run's can."""
    ref = live(runtime, handle).ref
    assert ref is not None
    ref.kill()


def infrastructure(runtime: Runtime, name: Literal["hooks", "runs"]) -> ActorRef[Any]:
    """The hook actor, or the supervisor of runs."""
    ref = host_of(runtime)._system.lookup(name)  # pyright: ignore[reportPrivateUsage]
    assert ref is not None, f"there is no actor {name!r}"
    return ref


def names(runtime: Runtime, run: Handle[Any] | UUID) -> list[str]:
    """The names of the states that a run went through, as history has them."""
    run_id = run if isinstance(run, UUID) else run.id
    return [transition.run.state.name for transition in runtime.journal.transitions(run_id)]


def tasks_living() -> int:
    """How many tasks there are on the loop that runs here."""
    if current_backend_name() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


@contextmanager
def leaks_no_task() -> Generator[None]:
    """What is inside ends with as many tasks as it began with."""
    before = tasks_living()
    yield
    assert tasks_living() == before
