"""What is over is deleted, in small transactions, so that nobody who writes waits for long."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, literal, or_, select, update

from actwright.journal.schema import (
    commands,
    hook_deliveries,
    logs,
    nodes,
    runs,
    stored_objects,
    submissions,
    transitions,
)
from actwright.models.deliveries import DeliveryStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from sqlalchemy import CTE, Connection, Select

    from actwright.journal.database import Database

__all__ = ["Columns", "Counts", "Obstacles", "delete_runs", "obstacles", "prune", "size_of_next_slice", "still_there"]

_ENDED_WELL: Final = (DeliveryStatus.SUCCEEDED.value, DeliveryStatus.SKIPPED.value)
_ENDED: Final = (*_ENDED_WELL, DeliveryStatus.FAILED.value)
_PAGE: Final = 200  # top-level runs that are looked at in one go
_SLICE_SECONDS: Final = 0.02  # what deleting may hold up those who write
_LARGEST_SLICE: Final = 1_000  # well below the number of variables that a statement may have
_HASH: Final = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of each table were deleted."""

    runs: int = 0
    transitions: int = 0
    hook_deliveries: int = 0
    submissions: int = 0
    commands: int = 0
    logs: int = 0
    nodes: int = 0
    stored_objects: int = 0


def prune(database: Database, older_than: datetime) -> Counts:
    """Delete what is over: top-level runs that ended before `older_than` (aware), with all that they called.

    A run of which something has not ended, or a hook failed or is due, is kept with all that belongs to it. So is what
    is not history: variables, blocks. Nodes that are settled and have no run left go too, and stored objects (hooks
    and flows) that no run refers to: programs that have stored them are told, and store what they need again.

    It deletes in small transactions and pauses between them, so that nobody who writes waits for long. Cut short, it
    leaves a valid journal: what is called goes before its caller.

    Raises:
        JournalUnavailable, JournalCorrupt: what was deleted before stays deleted.
    """
    limit = older_than.astimezone(UTC).isoformat(timespec="microseconds")
    broom = _Broom(database)
    for page in _pages_of_finished_runs(database, limit):
        with database.reading() as connection:
            doomed = _doomed(connection, page)
        broom.sweep(doomed, _OF_RUNS)
    broom.sweep(_orphaned_logs(database, limit), ((logs, logs.c.seq),))
    broom.sweep(_nodes_without_runs(database, limit), ((nodes, nodes.c.id),))
    _sweep_objects(broom, database)
    return Counts(**broom.counts)


def delete_runs(database: Database, run_ids: Sequence[str], *, with_failed_hooks: bool = False) -> Counts:
    """Delete these runs, with all that they called and all that belongs to them, and stored objects that no run refers
    to any more.

    A run that has an obstacle when its turn comes stays, with all that it called. Each transaction deletes a few runs,
    whole: cut short, it leaves a valid journal.

    Args:
        with_failed_hooks: also those of which a hook failed, which an operator may not have seen yet.

    Raises:
        JournalUnavailable, JournalCorrupt: what was deleted before stays deleted.
    """
    broom = _Broom(database)
    which = partial(_doomed, spared=_ENDED if with_failed_hooks else _ENDED_WELL)
    broom.sweep(run_ids, _OF_RUNS, which)
    _sweep_objects(broom, database)
    return Counts(**broom.counts)


class Obstacles(NamedTuple):
    """Why a run cannot be deleted: how many of it and of what it called have not ended, and how many of their hooks."""

    open_runs: int = 0
    open_hooks: int = 0
    failed_hooks: int = 0


def obstacles(connection: Connection, run_ids: Sequence[str]) -> dict[str, Obstacles]:
    """What stands in the way of deleting these runs, for each that has something."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for start in range(0, len(run_ids), _LARGEST_SLICE):
        tree = _trees(run_ids[start : start + _LARGEST_SLICE])
        count = func.count(tree.c.id.distinct())
        open_runs = select(tree.c.root, count).join_from(tree, runs, runs.c.id == tree.c.id)
        for root, number in connection.execute(open_runs.where(runs.c.ended_at.is_(None)).group_by(tree.c.root)):
            found[root]["open_runs"] = number
        hooks = select(tree.c.root, hook_deliveries.c.status, func.count(hook_deliveries.c.id.distinct()))
        hooks = hooks.join_from(tree, hook_deliveries, hook_deliveries.c.run_id == tree.c.id)
        hooks = hooks.where(hook_deliveries.c.status.not_in(_ENDED_WELL))
        for root, status, number in connection.execute(hooks.group_by(tree.c.root, hook_deliveries.c.status)):
            found[root]["failed_hooks" if status in _ENDED else "open_hooks"] += number
    return {root: Obstacles(**counts) for root, counts in found.items()}


def still_there(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Those of these runs that are there."""
    found: set[str] = set()
    for start in range(0, len(run_ids), _LARGEST_SLICE):
        found.update(
            connection.scalars(select(runs.c.id).where(runs.c.id.in_(run_ids[start : start + _LARGEST_SLICE])))
        )
    return found


Columns = tuple[tuple[Table, ColumnElement[Any]], ...]
_Which: TypeAlias = "Callable[[Connection, Sequence[Any]], Sequence[Any]]"
_OF_RUNS: Final[Columns] = (  # what belongs to a run goes before it
    (logs, logs.c.run_id),
    (submissions, submissions.c.run_id),
    (commands, commands.c.run_id),
    (hook_deliveries, hook_deliveries.c.run_id),
    (transitions, transitions.c.run_id),
    (runs, runs.c.id),
)


class _Broom:
    """Deletes rows by key, in slices that each take about `_SLICE_SECONDS`."""

    def __init__(self, database: Database) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._size = 10

    def sweep(self, keys: Sequence[Any], columns: Columns, which: _Which = lambda _, keys: keys) -> None:
        """Delete these; `which` of a slice is asked in the transaction that deletes it."""
        done = 0
        while done < len(keys):
            began = time.monotonic()
            self._delete(keys[done : done + self._size], columns, which)
            took = time.monotonic() - began
            done += self._size
            self._size = size_of_next_slice(self._size, took)
            time.sleep(took)  # half of the time is others', however many runs there are

    def _delete(self, keys: Sequence[Any], columns: Columns, which: _Which) -> None:
        deleted: Counter[str] = Counter()
        with self._database.writing() as connection:
            doomed = which(connection, keys)
            for start in range(0, len(doomed), _LARGEST_SLICE):
                part = doomed[start : start + _LARGEST_SLICE]
                for table, column in columns:
                    deleted[table.name] += connection.execute(delete(table).where(column.in_(part))).rowcount
        self.counts.update(deleted)


def size_of_next_slice(size: int, took_seconds: float) -> int:
    """Twice as many while that is quick, half as many when it was slow."""
    if took_seconds > _SLICE_SECONDS:
        return max(1, size // 2)
    return min(_LARGEST_SLICE, size * 2) if took_seconds < _SLICE_SECONDS / 2 else size


def _pages_of_finished_runs(database: Database, limit: str) -> Iterator[Sequence[str]]:
    """The ids of top-level runs that ended before `limit`, by id: one walk along the primary key in all."""
    after = ""
    while True:
        page = (
            select(runs.c.id)
            .where(
                runs.c.id > after,
                runs.c.parent_flow_run_id.is_(None),
                runs.c.parent_task_run_id.is_(None),
                runs.c.ended_at < limit,
            )
            .order_by(runs.c.id)
            .limit(_PAGE)
        )
        with database.reading() as connection:
            found = connection.scalars(page).all()
        if not found:
            return
        yield found
        after = found[-1]


def _doomed(connection: Connection, roots: Sequence[str], spared: Collection[str] = _ENDED_WELL) -> Sequence[str]:
    """Those of these runs that may go, and all that they called, what is called before its caller.

    What was found stays true: a final state is final, and one who has ended calls nobody.

    Args:
        spared: where deliveries stand that are no obstacle.
    """
    tree = _trees(roots)
    kept = (
        select(tree.c.root)
        .join_from(tree, runs, runs.c.id == tree.c.id)
        .where(runs.c.ended_at.is_(None))
        .union_all(
            select(tree.c.root)
            .join_from(tree, hook_deliveries, hook_deliveries.c.run_id == tree.c.id)
            .where(hook_deliveries.c.status.not_in(spared))
        )
    )
    doomed = select(tree.c.id).where(tree.c.root.not_in(kept)).order_by(tree.c.depth.desc())
    return list(dict.fromkeys(connection.scalars(doomed)))


def _trees(roots: Sequence[str]) -> CTE:
    """These runs and all that they called: `id`, the `root` that it belongs to, and how `depth` below that."""
    tree = (
        select(runs.c.id, runs.c.id.label("root"), literal(0).label("depth"))
        .where(runs.c.id.in_(roots))
        .cte("tree", recursive=True)
    )
    called = runs.alias()
    called_by_it = or_(
        called.c.parent_task_run_id == tree.c.id,
        and_(called.c.parent_task_run_id.is_(None), called.c.parent_flow_run_id == tree.c.id),
    )
    return tree.union_all(select(called.c.id, tree.c.root, tree.c.depth + 1).join_from(tree, called, called_by_it))


def _orphaned_logs(database: Database, limit: str) -> Sequence[int]:
    orphaned = select(logs.c.seq).where(logs.c.at < limit, ~exists().where(runs.c.id == logs.c.run_id))
    with database.reading() as connection:
        return connection.scalars(orphaned).all()


def _nodes_without_runs(database: Database, limit: str) -> Sequence[str]:
    empty = select(nodes.c.id).where(
        nodes.c.settled_at < limit,
        ~exists().where(runs.c.node_id == nodes.c.id),
        ~exists().where(hook_deliveries.c.node_id == nodes.c.id),
    )
    with database.reading() as connection:
        return connection.scalars(empty).all()


def _sweep_objects(broom: _Broom, database: Database) -> None:
    """What no run refers to. A program may begin such a run at any moment, and know an object of it as stored."""
    with database.reading() as connection:
        seen = connection.scalar(select(func.max(transitions.c.seq))) or 0
        used = _used(connection, select(runs.c.registration))
        orphaned = [each for each in connection.scalars(select(stored_objects.c.hash)) if each not in used]
    broom.sweep(orphaned, ((stored_objects, stored_objects.c.hash),), partial(_still_orphaned, seen))


def _still_orphaned(seen: int, connection: Connection, hashes: Sequence[str]) -> Sequence[str]:
    """Those that no run refers to which was written since a transition was `seen`. Who begins one after this
    transaction is told by it to store its objects again."""
    connection.execute(update(nodes).where(nodes.c.settled_at.is_(None)).values(prunings=nodes.c.prunings + 1))
    written_since = select(transitions.c.run_id).where(transitions.c.seq > seen)
    used = _used(connection, select(runs.c.registration).where(runs.c.id.in_(written_since)))
    return [each for each in hashes if each not in used]


def _used(connection: Connection, registrations: Select[Any]) -> set[str]:
    """A run refers to its registration by hash, and a registration, which is JSON, to payloads by theirs."""
    registrations = registrations.where(runs.c.registration.is_not(None)).distinct()
    used = set[str](connection.scalars(registrations))
    payloads = select(stored_objects.c.payload).where(stored_objects.c.hash.in_(registrations))
    for payload in connection.scalars(payloads):
        used.update(_HASH.findall(payload.decode("utf-8", errors="replace")))
    return used
