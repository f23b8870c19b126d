"""Asking something of a run that lives in another process, and waiting for the answer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from actwright.authoring.checks import seconds
from actwright.exceptions import RunError, RunIsFinal, UnansweredCommand
from actwright.journal import commands, reading, submissions
from actwright.journal.queries import has_open_hooks, node_of_run
from actwright.models.commands import Command, CommandKind
from actwright.nodes import rows
from actwright.nodes.companion import recover_dead
from actwright.nodes.node import holder_of, recovery_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actwright.client.steps import Steps
    from actwright.journal.database import Database
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["ANSWER_SECONDS", "NodeOf", "ask", "known_run", "wait_for_end"]

ANSWER_SECONDS: Final = 10.0
"""How long a request waits for its answer: a living process gives it within about 0.1 s, a dead one's recovery within
about a second."""

_LOOK_SECONDS: Final = 0.01
_LOOK_AT_NODE_SECONDS: Final = 0.5


def known_run(database: Database, run_id: UUID) -> FlowRun | TaskRun:
    """A run as it is now. Blocks.

    Raises:
        RunError: the journal does not know it.
    """
    with database.reading() as connection:
        run = reading.run(connection, run_id)
    if run is None:
        raise RunError(f"There is no run {run_id} in {database.path}. Check the id, and ACTWRIGHT_HOME.", run_id)
    return run


def ask(database: Database, run_id: UUID, kind: CommandKind, payload: Mapping[str, Any], timeout: float) -> Steps[None]:
    """Ask something of a run, and wait for the answer for `timeout` seconds.

    The first step writes the request down and does no more: who asks something of many runs has written all of it down
    before one of them makes the recovery of a dead process begin, which meets what it finds then.

    Raises:
        RunError: there is no such run, or it refused; RunIsFinal: it has ended.
        UnansweredCommand: no answer came. The request is kept all the same.
    """
    command = Command(uuid4(), run_id, kind, datetime.now(UTC), payload)
    deadline = time.monotonic() + seconds("timeout", timeout)  # before it is written: what is refused is not asked
    node = NodeOf(database, run_id)
    title = _write_down(database, command)
    if title is None:
        return
    yield 0.0
    while True:
        with database.reading() as connection:
            answer = commands.answer_to(connection, command.id)
        if answer is not None:
            answer.raise_if_refused(title, run_id)
            return
        if time.monotonic() > deadline:
            raise UnansweredCommand(f"{title}: {_why_unanswered(database, run_id, timeout)}", run_id)
        node.recover_if_dead()
        yield _LOOK_SECONDS


def _why_unanswered(database: Database, run_id: UUID, timeout: float) -> str:
    with database.reading() as connection:
        if submissions.is_unclaimed(connection, run_id):
            return "no process serves its flow now. The request is kept: it is met once one does."
    return (
        f"its process has not answered for {timeout:g} s; it may be stopped, or blocked (see `actwright nodes`). The "
        "request is kept: it is met once the process goes on, or when it is recovered."
    )


def _write_down(database: Database, command: Command) -> str | None:
    """In one transaction with the look whether the run is open: whoever ends it after that sees the request. Its title;
    None where that was all there was to do."""
    known = known_run(database, command.run_id)
    with database.writing() as connection:
        run = reading.run(connection, command.run_id)
        if run is None:
            raise RunError(f"{known.title} was deleted from {database.path}: it had ended.", known.id)
        if run.state.is_final():
            raise RunIsFinal(run.title, run.state.name, run.id)
        if command.kind is CommandKind.CANCEL:
            return None if submissions.ask_to_cancel(connection, run, command) else run.title
        if submissions.is_unclaimed(connection, run.id):
            raise RunError(f"{run.title} waits to be claimed, and receives nothing before it begins.", run.id)
        commands.add(connection, command)
    return run.title


class NodeOf:
    """The node of a run, looked at now and then while somebody waits for that run."""

    def __init__(self, database: Database, run_id: UUID) -> None:
        self._database = database
        self._run_id = run_id
        self._next_look = 0.0

    def recover_if_dead(self) -> None:
        """Have it recovered, if its process is gone and nobody is at it. At most twice a second; else nothing."""
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + _LOOK_AT_NODE_SECONDS
        with self._database.reading() as connection:
            node_id = node_of_run(connection, self._run_id)
            node = None if node_id is None else rows.read(connection, node_id)
        if node is not None and node.settled_at is None and holder_of(node, self._database) is None:
            recover_dead(recovery_of(node.program, node.id, self._database))


def wait_for_end(
    database: Database, run_id: UUID, timeout: float | None, *, with_hooks: bool = False
) -> Steps[FlowRun | TaskRun | None]:
    """Wait until a run is final; None when `timeout` seconds have passed before. One whose process is dead is
    recovered.

    Args:
        with_hooks: and until no hook of it, or of what it called, is due or running.
    """
    deadline = None if timeout is None else time.monotonic() + seconds("timeout", timeout)
    node = NodeOf(database, run_id)
    while not (run := known_run(database, run_id)).state.is_final() or (with_hooks and _has_open_hooks(database, run)):
        if deadline is not None and time.monotonic() > deadline:
            return None
        node.recover_if_dead()
        yield _LOOK_SECONDS * 2
    return run


def _has_open_hooks(database: Database, run: FlowRun | TaskRun) -> bool:
    with database.reading() as connection:
        return has_open_hooks(connection, str(run.id))
