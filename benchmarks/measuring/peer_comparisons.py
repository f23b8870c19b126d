"""What is set beside what: works, peers, and on which terms. Nothing here runs anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["PEERS", "WORKS", "Ours", "Peer", "Until", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done many times. Its name is the same in each program that does it."""

    measure: str
    """What one is, in Actwright's words."""
    size: Literal["tasks", "flows"]
    """Of which of the two there are as many in a round."""


WORKS: Final[Mapping[str, Work]] = {
    "awaited": Work("async task run awaited in a flow, one after another", "tasks"),
    "gathered": Work("async task run awaited in a flow, all at once by asyncio.gather", "tasks"),
    "submitted": Work("async task run submitted in a flow, all at once, then awaited", "tasks"),
    "mapped": Work("async task run mapped in a flow, then awaited", "tasks"),
    "called": Work("sync task run called in a sync flow, one after another", "tasks"),
    "submitted sync": Work("sync task run submitted in a sync flow, all at once, then awaited", "tasks"),
    "awaited, with a hook": Work("async task run with an async on_completion hook, one after another", "tasks"),
    "retried": Work("async task run that fails once and is tried again at once, one after another", "tasks"),
    "flows": Work("empty async flow run, one after another", "flows"),
    "flows at once": Work("empty async flow run, all at once by asyncio.gather", "flows"),
    "flows with a hook": Work("empty async flow run with an async on_completion hook, one after another", "flows"),
    "subflows": Work("empty async subflow run awaited in a flow, one after another", "flows"),
}


@dataclass(frozen=True, slots=True)
class Ours:
    """How Actwright keeps its history beside a peer: as the peer keeps its own."""

    words: str
    settings: Mapping[str, str] = field(hash=False)


IN_A_FILE: Final = Ours("history in SQLite, WAL, synchronous=NORMAL", {"ACTWRIGHT_SYNCHRONOUS": "NORMAL"})
SAFE_FROM_POWER_LOSS: Final = Ours("history in SQLite, WAL, synchronous=FULL", {"ACTWRIGHT_SYNCHRONOUS": "FULL"})
IN_MEMORY: Final = Ours("history in memory", {"ACTWRIGHT_JOURNAL": "memory"})

Until = Literal["awaited", "settled"]
UNTIL_AWAITED: Final[Mapping[Until, str]] = {"awaited": ""}
UNTIL_COMMITTED: Final[Mapping[Until, str]] = {"settled": ", until all is committed"}
UNTIL_EITHER: Final[Mapping[Until, str]] = {
    "awaited": ", until the caller has the results",
    "settled": ", sustained: until all states are committed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A library with some settings."""

    package: str
    title: str
    variant: str = ""
    """Which settings, if there are several."""
    program: str
    arguments: tuple[str, ...] = ()
    keeps: str
    """What it keeps, and where."""
    works: Mapping[str, str]
    """Which works it has -> what one is, in its own words."""
    ours: Ours
    until: Mapping[Until, str]
    """What ends a round -> words for that."""

    def named(self, version: str) -> str:
        """What to call it in a table."""
        return " ".join(filter(None, [self.title, version, f"({self.variant})" if self.variant else ""]))


_DBOS: Final = {
    "awaited": "async step awaited in a workflow",
    "gathered": "async step, all at once by asyncio.gather",
    "called": "sync step called in a sync workflow",
    "retried": "async step with retries_allowed and interval_seconds=0, one record of both attempts",
    "flows": "empty async workflow",
    "flows at once": "empty async workflow, by asyncio.gather",
    "subflows": "empty async child workflow awaited in a workflow",
}
_DASK: Final = {
    "awaited": "async function submitted, one after another",
    "submitted": "async function, all at once",
    "mapped": "async function, by client.map()",
}

PEERS: Final = (
    Peer(
        package="prefect",
        title="Prefect",
        program="prefect_runs",
        keeps="its local server has SQLite, WAL, synchronous=NORMAL",
        works={
            "awaited": "async task run",
            "gathered": "async task run, by asyncio.gather",
            "submitted": "task.submit(), then wait()",
            "mapped": "task.map(), then wait()",
            "called": "sync task called in a sync flow",
            "awaited, with a hook": "async task run with such a hook",
            "retried": "async task run with retries=1",
            "flows": "empty async flow run",
            "flows at once": "empty async flow run, by asyncio.gather",
            "flows with a hook": "empty async flow run with such a hook",
            "subflows": "empty async flow run awaited in a flow",
        },
        ours=IN_A_FILE,
        until=UNTIL_EITHER,
    ),
    Peer(
        package="dbos",
        title="DBOS",
        variant="SQLite as it comes",
        program="dbos_workflows",
        arguments=("as-it-comes",),
        keeps="SQLite, rollback journal, synchronous=FULL, a commit for each step",
        works=_DBOS,
        ours=SAFE_FROM_POWER_LOSS,
        until=UNTIL_COMMITTED,
    ),
    Peer(
        package="dbos",
        title="DBOS",
        variant="SQLite as Actwright has it",
        program="dbos_workflows",
        arguments=("wal",),
        keeps="SQLite, WAL, synchronous=NORMAL, a commit for each step",
        works=_DBOS,
        ours=IN_A_FILE,
        until=UNTIL_COMMITTED,
    ),
    Peer(
        package="distributed",
        title="Dask",
        variant="processes=False",
        program="dask_futures",
        arguments=("threads",),
        keeps="nothing but memory",
        works=_DASK,
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
    Peer(
        package="distributed",
        title="Dask",
        variant="processes=True",
        program="dask_futures",
        arguments=("processes",),
        keeps="nothing but memory; work in other processes",
        works=_DASK,
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
    Peer(
        package="ray",
        title="Ray",
        program="ray_tasks",
        keeps="nothing but memory; work in other processes",
        works={
            "called": "ray.get of a remote task, one after another",
            "submitted sync": "one ray.get of remote tasks, all at once",
        },
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
)
