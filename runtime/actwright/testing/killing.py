"""A death on demand: what a SIGKILL does to runs, and what follows it, in the process of the test."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import Context
from typing import TYPE_CHECKING

import anyio.to_thread

from actwright.exceptions import Fenced, InternalError
from actwright.journal.database import Database
from actwright.journal.sql_journal import SqlJournal
from actwright.models.deliveries import DeliveryStatus
from actwright.nodes import rows
from actwright.nodes.journal import close_journals, journal_of_this_process
from actwright.replay.loading import NotLoadable
from actwright.replay.main import MORE, NOTHING_LEFT, replay
from actwright.testing.harnesses import current_harness
from actwright.testing.history import runs_meant, told

if TYPE_CHECKING:
    from pathlib import Path

    from actwright.journal.protocol import Journal
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.testing.history import RunOrName

__all__ = ["kill", "kill_sync"]


async def kill(run: RunOrName) -> FlowRun | TaskRun:
    """Do to this process's runs what a SIGKILL does, and then what another process does about it; the run after that.

    A process dies as a whole, so all that runs in it is cut off, not this run alone: bodies and hooks get no further
    commit, no retry and no new run, and history takes nothing of them any more; whoever awaits a run from outside gets
    `Fenced`. No body is told: what a body still does by itself, nobody sees; a suspended one is cancelled when its
    Runtime is left. Then runs are settled, and due hooks run, in another thread and loop, as a replay process does it:
    each hook is found again by what was stored of it, so one that is a closure works on a *copy* of what it closes
    over. When this returns, all of it is done; cancelled, it is done all the same before that is raised.

    Args:
        run: one that goes on: its handle, the run, its id or its name.

    Raises:
        AssertionError: no harness is in force; or there is no such run; or it and its hooks had ended; or a hook could
            not be found by another process, and the message says why.
        TypeError: its history is in memory, where nothing outlives a process.
    """
    __tracebackhide__ = True
    return await anyio.to_thread.run_sync(kill_sync, run)


def kill_sync(run: RunOrName) -> FlowRun | TaskRun:
    """The same as `kill`, for sync code: it blocks."""
    __tracebackhide__ = True
    journal, killed = _looked_up(run)
    journal.flush()  # as if the death had come a moment later: a test wants to know what was committed
    node_id, path = journal.node_id, journal.database.path
    _die(journal)
    close_journals()
    # A thread of its own: the replay has its own event loop, and none of the context variables of the test.
    with ThreadPoolExecutor(1, "actwright-replay") as thread:
        thread.submit(Context().run, _replay, path, node_id).result()
    after = journal_of_this_process()
    _see_that_hooks_were_found(after)
    return runs_meant(killed.id, after)[0]


def _looked_up(run: RunOrName) -> tuple[SqlJournal, FlowRun | TaskRun]:
    """The journal that a run is written to, and the run."""
    harness = current_harness()
    if harness is None:
        raise AssertionError(
            "kill() ends all that runs in this process, and so works in a harness alone: use `with harness():`, "
            "`async with open_runtime():`, or the fixture `actwright_runtime`."
        )
    journal = journal_of_this_process()
    in_memory = not all(host.journal.is_durable for host in harness.open_hosts())
    if in_memory or not isinstance(journal, SqlJournal):
        raise TypeError('kill() needs a history that outlives a process: leave journal="memory" out.')
    found = [each for each in runs_meant(run, journal) if _goes_on(each, journal)]
    if len(found) != 1:
        raise AssertionError(
            f"Expected one run that goes on, to kill it; {run!s} means {len(found)}.\n"
            f"{told(runs_meant(run, journal), journal)}"
        )
    return journal, found[0]


def _goes_on(run: FlowRun | TaskRun, journal: Journal) -> bool:
    """Whether there is anything of it to cut off: itself, or a hook."""
    open_statuses = (DeliveryStatus.DUE, DeliveryStatus.RUNNING)
    return not run.state.is_final() or any(each.status in open_statuses for each in journal.deliveries(run.id))


def _die(journal: SqlJournal) -> None:
    """Cut off what runs: from here on nothing of it is committed, and so no hook of it begins."""
    harness, fenced = current_harness(), threading.Event()
    error = Fenced("The process of this run was killed by its test: its history goes on without it.")
    for host in harness.open_hosts() if harness else []:
        host.abandon(error)
    with journal.database.writing() as connection:
        rows.take_over(connection, journal.node_id)
    stop_watching = journal.on_fenced(lambda _: fenced.set())
    journal.append()  # which it now learns by
    fenced.wait()
    stop_watching()


def _replay(path: Path, node_id: str) -> None:
    left = MORE
    with closing(Database.open(path, create=False)) as database:
        while left == MORE:
            left = replay(database, node_id)
    if left != NOTHING_LEFT:
        raise InternalError(f"The replay of node {node_id} ended with {left}.")


def _see_that_hooks_were_found(journal: Journal) -> None:
    lost = [
        delivery
        for delivery in journal.deliveries()
        if delivery.replayed and delivery.status is DeliveryStatus.FAILED and _not_found(delivery.error)
    ]
    if lost:
        names = "\n".join(f"  {delivery.event} {delivery.hook_name!r}: {delivery.error}" for delivery in lost)
        raise AssertionError(f"Hooks could not be found again by another process than their own.\n{names}")


def _not_found(error: str | None) -> bool:
    return error is not None and error.startswith(NotLoadable.__name__)
