"""What is set beside what: works, peers, and on which terms. Nothing here runs anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["OUR_IMPORT", "OUR_SCRIPT", "PEERS", "WORKS", "Ours", "Peer", "Until", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done many times. Its name is the same in each program that does it."""

    measure: str
    """What one is, in Actwright's words."""
    size: Literal["tasks", "flows", "starts"]
    """Of which of the sizes there are as many in a round; it is one if a process is started for each."""
    loop: str = "asyncio"
    """What Actwright runs on."""


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
    "import": Work("from actwright import flow, task, from python to exit", "starts", "any"),
    "script": Work("a script with one empty flow, from python to exit, fresh home", "starts", "default"),
}


OUR_IMPORT: Final = "from actwright import flow, task"
OUR_SCRIPT: Final = "actwright_script"


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
UNTIL_EXIT: Final[Mapping[Until, str]] = {"settled": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A library with some settings."""

    package: str
    title: str
    variant: str = ""
    """Which settings, if there are several."""
    program: str
    script: str
    arguments: tuple[str, ...] = ()
    keeps: str
    """What it keeps, and where."""
    works: Mapping[str, str]
    """Which works it has -> what one is, in its own words. That of "import" is code."""
    ours: Ours
    until: Mapping[Until, str]
    """What ends a round -> words for that."""

    def until_of(self, work: str) -> Mapping[Until, str]:
        """What ends a round of that."""
        return UNTIL_EXIT if WORKS[work].size == "starts" else self.until

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
_DASK_SCRIPT: Final = "a script that makes a local cluster and runs one empty function"

PEERS: Final = (
    Peer(
        package="prefect",
        title="Prefect",
        program="prefect_runs",
        script="prefect_script",
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
            "import": "from prefect import flow, task",
            "script": "a script with one empty flow, which starts its server and stops it",
        },
        ours=IN_A_FILE,
        until=UNTIL_EITHER,
    ),
    Peer(
        package="dbos",
        title="DBOS",
        variant="SQLite as it comes",
        program="dbos_workflows",
        script="dbos_script",
        arguments=("as-it-comes",),
        keeps="SQLite, rollback journal, synchronous=FULL, a commit for each step",
        works=_DBOS | {"import": "from dbos import DBOS", "script": "a script with one empty workflow"},
        ours=SAFE_FROM_POWER_LOSS,
        until=UNTIL_COMMITTED,
    ),
    Peer(
        package="dbos",
        title="DBOS",
        variant="SQLite as Actwright has it",
        program="dbos_workflows",
        script="dbos_script",
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
        script="dask_script",
        arguments=("threads",),
        keeps="nothing but memory",
        works=_DASK | {"import": "import distributed", "script": _DASK_SCRIPT},
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
    Peer(
        package="distributed",
        title="Dask",
        variant="processes=True",
        program="dask_futures",
        script="dask_script",
        arguments=("processes",),
        keeps="nothing but memory; work in other processes",
        works=_DASK | {"script": _DASK_SCRIPT},
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
    Peer(
        package="ray",
        title="Ray",
        program="ray_tasks",
        script="ray_script",
        keeps="nothing but memory; work in other processes",
        works={
            "called": "ray.get of a remote task, one after another",
            "submitted sync": "one ray.get of remote tasks, all at once",
            "import": "import ray",
            "script": "a script that starts a local node and runs one empty remote task",
        },
        ours=IN_MEMORY,
        until=UNTIL_AWAITED,
    ),
)
