"""How everything on a journal is, at one moment: its services, what waits for them, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Final

from actwright.control.documents import program_text
from actwright.control.liveness import KnownNode, NodeStatus, known_nodes
from actwright.control.output import short
from actwright.journal import services, submissions
from actwright.journal.queries import open_runs_by_state, unsettled_hooks_by_status
from actwright.models.health import Phase
from actwright.models.submissions import DEFAULT_QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actwright.journal.database import Database
    from actwright.journal.services import KnownService
    from actwright.models.submissions import Waiting

__all__ = ["QUIET_SECONDS", "Overview", "SeenService", "overview_of", "troubles"]

QUIET_SECONDS: Final = 15.0
"""A service says how it is every 5 s. Later than that, something keeps it from that."""

_MOST_UNSERVED: Final = 10
"""Of flows and queues that nobody serves, so many are told one by one."""


@dataclass(frozen=True, slots=True)
class SeenService:
    """A service, and the process that it is in."""

    known: KnownService
    node: KnownNode

    @property
    def is_alive(self) -> bool:
        return self.node.status is NodeStatus.ALIVE

    def quiet_seconds(self, at: datetime) -> float:
        """For how long it has said nothing."""
        return 0.0 if self.known.said_at is None else max((at - self.known.said_at).total_seconds(), 0.0)

    def takes(self, waiting: Waiting) -> bool:
        """Whether it would claim these submissions."""
        health = self.known.health
        if health is None:
            return self.is_alive  # which flows are its, nobody can tell
        offers = health.offers if self.is_alive and health.phase in (Phase.STARTING, Phase.SERVING) else ()
        return waiting.is_for(offers)


@dataclass(frozen=True, slots=True)
class Overview:
    """What was found.

    Attributes:
        nodes: the processes that are at work, and those that died with something left to do.
        open_runs: name of a state -> how many runs are in it and have not ended.
        hooks: "DUE", "RUNNING", "FAILED" -> how many deliveries are.
    """

    at: datetime
    services: Sequence[SeenService]
    nodes: Sequence[KnownNode]
    open_runs: Mapping[str, int]
    waiting: Sequence[Waiting]
    hooks: Mapping[str, int]

    def is_taken(self, waiting: Waiting) -> bool:
        """Whether a service that is alive would claim these submissions."""
        return any(service.takes(waiting) for service in self.services)


def overview_of(database: Database) -> Overview:
    """How a journal is now."""
    now = datetime.now(UTC)
    with database.reading() as connection:
        nodes = known_nodes(connection, database)
        by_id = {node.row.id: node for node in nodes}
        known = services.every(connection)
        return Overview(
            at=now,
            services=[SeenService(each, by_id[each.node_id]) for each in known if each.node_id in by_id],
            nodes=nodes,
            open_runs=open_runs_by_state(connection),
            waiting=submissions.waiting(connection, now),
            hooks=unsettled_hooks_by_status(connection),
        )


def troubles(found: Overview) -> list[str]:
    """What wants somebody to see to it, a sentence each; empty when all is well. A hook that failed is none: it is
    counted, and `actwright hooks ls --status failed` has it for as long as nobody retries it."""
    return [*_of_nodes(found), *_of_services(found), *_of_submissions(found)]


def _of_nodes(found: Overview) -> Iterator[str]:
    for node in found.nodes:
        who = f"Process {node.row.pid} on {node.row.host} ({program_text(node)})"
        match node.status:
            case NodeStatus.DEAD:
                left = f"open runs: {node.work.open_runs}, due hooks: {node.work.due_hooks}"
                yield f"{who} died ({left}): `actwright recover` sees to what it left."
            case NodeStatus.STOPPED:
                yield f"{who} is stopped: `actwright recover --force {short(node.row.id)}` takes over what it has."
            case NodeStatus.UNRESPONSIVE:
                yield f"{who} has an event loop that has not turned for {node.unresponsive_seconds or 0:.0f} s."
            case _:
                pass


def _of_services(found: Overview) -> Iterator[str]:
    for service in found.services:
        if not service.is_alive:
            continue
        who = f"Service {short(service.known.id)}"
        if service.known.health is None:
            yield f"{who} is of another version: how it is cannot be read."
        elif (quiet := service.quiet_seconds(found.at)) > QUIET_SECONDS:
            yield f"{who} has not said how it is for {quiet:.0f} s."
        else:
            yield from (f"{who}: {trouble}" for trouble in service.known.health.trouble)


def _of_submissions(found: Overview) -> Iterator[str]:
    unserved = [each for each in found.waiting if each.due and not found.is_taken(each)]
    for each in unserved[:_MOST_UNSERVED]:
        queue = "" if each.queue == DEFAULT_QUEUE else f"--queue={quote(each.queue)} "
        those = f"{each.due} submissions of {each.entry} are" if each.due > 1 else f"A submission of {each.entry} is"
        yield f"{those} due, and nobody serves that: `actwright serve {queue}{quote(each.entry)}` does."
    if (more := len(unserved) - _MOST_UNSERVED) > 0:
        yield f"So it is with {more} more flows or queues: `actwright status -o json` has them."
