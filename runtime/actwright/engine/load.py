"""How much a Runtime has to do, and what it has done: for whoever watches a process."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actwright.engine.host import Host
    from actwright.engine.outbox import Batch
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["Load", "Tally"]


@dataclass(frozen=True, slots=True)
class Load:
    """A Runtime at one moment.

    Attributes:
        open_runs: runs of flows and tasks that have not ended.
        due_hooks: hooks that are due or running.
        ended_runs: how many runs have ended so far, by kind ("flow", "task") and type of state ("COMPLETED", ...).
        ended_hooks: how many hooks have, by event ("on_failure", ...) and status ("SUCCEEDED", ...).
    """

    open_runs: int
    due_hooks: int
    ended_runs: Mapping[tuple[str, str], int]
    ended_hooks: Mapping[tuple[str, str], int]


class Tally:
    """Counts for a host, and for those that stand in for it on other loops, each in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: set[Host] = set()
        self._runs: Counter[tuple[str, str]] = Counter()
        self._hooks: Counter[tuple[str, str]] = Counter()

    def host_opened(self, host: Host) -> None:
        with self._lock:
            self._hosts.add(host)

    def host_closed(self, host: Host) -> None:
        with self._lock:
            self._hosts.discard(host)

    def run_ended(self, run: FlowRun | TaskRun) -> None:
        with self._lock:
            self._runs[run.kind, run.state.type.value] += 1

    def hooks_ended(self, batch: Batch) -> None:
        with self._lock:
            self._hooks.update((due.delivery.event, due.delivery.status.value) for due in batch.dues)

    def load(self) -> Load:
        """In any thread."""
        with self._lock:
            hosts = list(self._hosts)
            ended_runs, ended_hooks = dict(self._runs), dict(self._hooks)
        dues = [due for host in hosts for batch in host.released_batches() for due in batch.dues]
        return Load(
            open_runs=sum(len(host.live_runs()) for host in hosts),
            due_hooks=sum(not due.done for due in dues),
            ended_runs=ended_runs,
            ended_hooks=ended_hooks,
        )
