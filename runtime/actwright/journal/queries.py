"""What people ask of history: which runs, which hooks, which nodes. Each function reads on a connection it is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import and_, case, exists, false, func, or_, select

from actwright.journal.reading import runs_with_cause
from actwright.journal.rows import delivery_of, iso, line_of, run_of, utf8
from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import logs as lines
from actwright.journal.schema import runs as r
from actwright.journal.schema import transitions as t
from actwright.models.deliveries import DeliveryStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Connection, Select

    from actwright.journal.protocol import LogLine
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun

__all__ = [
    "FoundDelivery",
    "FoundRun",
    "KeptLine",
    "RunFilters",
    "Work",
    "called_by",
    "deliveries_where",
    "find_deliveries",
    "find_runs",
    "has_open_hooks",
    "kept_lines",
    "last_line_seq",
    "last_seq",
    "lines_after",
    "matching_deliveries",
    "matching_runs",
    "node_deliveries",
    "node_of_run",
    "node_runs",
    "open_runs_by_state",
    "parameters_at_rest_of",
    "result_at_rest_of",
    "runs_where",
    "state_names",
    "tree_of",
    "unsettled_hooks_by_status",
    "work_of_nodes",
]

_OPEN = (DeliveryStatus.DUE.value, DeliveryStatus.RUNNING.value)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run, and the node whose process it runs (or ran) in."""

    run: FlowRun | TaskRun
    node_id: str


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    """A delivery, with whose run it is for: its kind ("flow"), the name of the flow or task, its own name."""

    delivery: HookDelivery
    node_id: str
    run_kind: str
    subject_name: str
    run_name: str


class KeptLine(NamedTuple):
    """A line that a run logged, and its place in the journal."""

    seq: int
    line: LogLine


class RunFilters(TypedDict, total=False):
    """Which runs are wanted; all top-level ones if nothing is said.

    Attributes:
        states: types or names of states, in any case: those that are in any of them.
        flow: those of this flow; with `called` also what was called within them.
        tags: those that have all of these.
        since: those that were to start then or later. A time without a zone is local.
        ended_before: those that have ended, and did before then.
        only_open: those that have not ended.
        called: also those that another run called; else top-level ones alone.
        limit: the most that are wanted.
    """

    states: Collection[str]
    flow: str | None
    tags: Collection[str]
    since: datetime | None
    ended_before: datetime | None
    only_open: bool
    called: bool
    limit: int | None


class Work(NamedTuple):
    """What is left to do for a node."""

    open_runs: int = 0
    due_hooks: int = 0


# Runs


def find_runs(connection: Connection, **wanted: Unpack[RunFilters]) -> list[FoundRun]:
    """Runs, newest first.

    Raises:
        TypeError: something else than `RunFilters` has is wanted, or one word in the place of several.
    """
    _check(wanted)
    newest_first = runs_with_cause().order_by(r.c.expected_start_at.desc(), t.c.seq.desc())
    return _runs(connection, newest_first.where(*_conditions(connection, wanted)).limit(wanted.get("limit")))


def _check(wanted: Mapping[str, object]) -> None:
    """Else a filter that is misspelt would leave all runs, and the letters of a word none."""
    for name, value in wanted.items():
        if name not in RunFilters.__optional_keys__:
            raise TypeError(
                f"Runs have no filter {name!r}. There are {', '.join(sorted(RunFilters.__optional_keys__))}."
            )
        if name in ("states", "tags") and isinstance(value, str):
            raise TypeError(f"{name} must be several; got {value!r}. Write {name}=[{value!r}].")
        if name == "flow" and not isinstance(value, str | None):
            raise TypeError(f"flow must be the name of a flow; got {value!r}.")


def _conditions(connection: Connection, wanted: RunFilters) -> Iterator[ColumnElement[bool]]:
    if states := wanted.get("states"):
        yield _in_state(connection, {state.upper() for state in states})
    if (flow := wanted.get("flow")) is not None:
        yield _of_flow(utf8(flow))
    for tag in wanted.get("tags", ()):
        readable = case((func.json_valid(r.c.tags) == 1, r.c.tags), else_="[]")
        each = func.json_each(readable).table_valued("value")
        yield exists(select(each.c.value).where(each.c.value == utf8(tag)))
    if since := wanted.get("since"):
        yield r.c.expected_start_at >= _at_rest(since)
    if wanted.get("only_open"):
        yield r.c.ended_at.is_(None)
    if ended_before := wanted.get("ended_before"):
        yield r.c.ended_at < _at_rest(ended_before)
    if not wanted.get("called"):
        yield r.c.parent_flow_run_id.is_(None)
        yield r.c.parent_task_run_id.is_(None)


def _in_state(connection: Connection, wanted: Collection[str]) -> ColumnElement[bool]:
    """In one whose type or name is among these, in capitals; which SQLite's `upper` makes of ASCII alone."""
    names = [name for name in state_names(connection) if name.upper() in wanted]
    return or_(r.c.state_type.in_(wanted), r.c.state_name.in_(names))


def state_names(connection: Connection) -> set[str]:
    """The names of the states that runs are in; a flow may return such as no other has."""
    return set(connection.scalars(select(r.c.state_name).distinct()))


def matching_runs(connection: Connection, given: str) -> list[FoundRun]:
    """The runs that somebody may mean: of that id; else of that name; else whose id begins so. Newest first."""
    newest_first = runs_with_cause().order_by(r.c.expected_start_at.desc())
    given = utf8(given)
    for condition in (r.c.id == given.lower(), r.c.name == given, _begins(r.c.id, given)):
        if found := _runs(connection, newest_first.where(condition)):
            return found
    return []


def runs_where(connection: Connection, condition: ColumnElement[bool]) -> list[FoundRun]:
    """The runs for which something holds, those that began first before others."""
    return _runs(connection, runs_with_cause().where(condition).order_by(r.c.expected_start_at))


def called_by(connection: Connection, run_id: str) -> list[FoundRun]:
    """All that a run called, directly or through others; callers before what they called."""
    return runs_where(connection, and_(r.c.id.in_(tree_of(run_id)), r.c.id != run_id))


def tree_of(run_id: str) -> Select[Any]:
    """The ids of a run and of all that it called, directly or through others."""
    tree = select(r.c.id).where(r.c.id == run_id).cte("tree", recursive=True)
    called = r.alias()
    by_it = or_(
        called.c.parent_task_run_id == tree.c.id,
        and_(called.c.parent_task_run_id.is_(None), called.c.parent_flow_run_id == tree.c.id),
    )
    return select(tree.union_all(select(called.c.id).join_from(tree, called, by_it)).c.id)


def node_of_run(connection: Connection, run_id: UUID) -> str | None:
    """The node whose process a run is in, or was; None when the run is unknown."""
    return connection.scalar(select(r.c.node_id).where(r.c.id == str(run_id)))


def result_at_rest_of(connection: Connection, run_id: str) -> str | None:
    """What a run returned, as JSON; None when history was not asked to keep it."""
    return connection.scalar(select(r.c.result).where(r.c.id == run_id))


def parameters_at_rest_of(connection: Connection, run_id: str) -> str:
    """Parameters as they are kept, as JSON: with the reasons why some are not, which reading a run takes away."""
    text: str = connection.execute(select(r.c.parameters).where(r.c.id == run_id)).scalar_one()
    return text


def open_runs_by_state(connection: Connection) -> dict[str, int]:
    """The name of a state -> how many runs, of flows and tasks, are in it and have not ended."""
    query = select(r.c.state_name, func.count().label("number")).where(r.c.ended_at.is_(None))
    found = connection.execute(query.group_by(r.c.state_name).order_by(r.c.state_name)).mappings()
    return {row["state_name"]: row["number"] for row in found}


def kept_lines(
    connection: Connection, run_id: str, *, called: bool = False, level: int = 0, limit: int | None = None
) -> list[KeptLine]:
    """What a run logged, oldest first.

    Args:
        called: also what the runs logged that it called.
        level: lines of this level and above.
        limit: the last so many.
    """
    of_run = lines.c.run_id.in_(tree_of(run_id)) if called else lines.c.run_id == run_id
    query = select(lines).where(of_run, lines.c.level >= level).order_by(lines.c.at.desc(), lines.c.seq.desc())
    return [KeptLine(row["seq"], line_of(row)) for row in connection.execute(query.limit(limit)).mappings()][::-1]


def lines_after(connection: Connection, seq: int, level: int = 0) -> list[KeptLine]:
    """What any run logged after that place in the journal, in the order in which it was kept."""
    query = select(lines).where(lines.c.seq > seq, lines.c.level >= level).order_by(lines.c.seq)
    return [KeptLine(row["seq"], line_of(row)) for row in connection.execute(query).mappings()]


def last_line_seq(connection: Connection) -> int:
    """The newest line's place in the journal."""
    return connection.scalar(select(func.max(lines.c.seq))) or 0


# Deliveries


def has_open_hooks(connection: Connection, run_id: str) -> bool:
    """Whether a hook of a run, or of what it called, is due or running."""
    is_open = and_(d.c.run_id.in_(tree_of(run_id)), d.c.status.in_(_OPEN))
    return bool(connection.scalar(select(exists().where(is_open))))


def find_deliveries(
    connection: Connection,
    *,
    statuses: Collection[DeliveryStatus] = (),
    run_id: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[FoundDelivery]:
    """Deliveries, newest first.

    Args:
        statuses: those in any of these.
        run_id: those of this run.
        since: those that became due then or later.
        limit: the most that are wanted.
    """
    conditions: list[ColumnElement[bool]] = []
    if statuses:
        conditions.append(d.c.status.in_([status.value for status in statuses]))
    if run_id is not None:
        conditions.append(d.c.run_id == run_id)
    if since is not None:
        conditions.append(d.c.due_at >= _at_rest(since))
    query = _deliveries_with_run().where(*conditions)
    newest_first = query.order_by(d.c.due_at.desc(), t.c.seq.desc(), d.c.position.desc())
    return _deliveries(connection, newest_first.limit(limit))


def deliveries_where(connection: Connection, condition: ColumnElement[bool]) -> list[FoundDelivery]:
    """The deliveries for which something holds, in the order in which they became due."""
    return _deliveries(connection, _deliveries_with_run().where(condition).order_by(t.c.seq, d.c.position))


def matching_deliveries(connection: Connection, given: str) -> list[FoundDelivery]:
    """The deliveries that somebody may mean: of that id; else whose id begins so."""
    given = utf8(given)
    for condition in (d.c.id == given.lower(), _begins(d.c.id, given)):
        if found := deliveries_where(connection, condition):
            return found
    return []


def unsettled_hooks_by_status(connection: Connection) -> dict[str, int]:
    """DUE, RUNNING, FAILED -> how many deliveries are."""
    statuses = [*_OPEN, DeliveryStatus.FAILED.value]
    query = select(d.c.status, func.count().label("number")).where(d.c.status.in_(statuses)).group_by(d.c.status)
    found = {row["status"]: row["number"] for row in connection.execute(query).mappings()}
    return {status: found.get(status, 0) for status in statuses}


# Nodes


def work_of_nodes(connection: Connection) -> dict[str, Work]:
    """What is left to do for each node that has something left."""
    runs = select(r.c.node_id, func.count()).where(r.c.ended_at.is_(None)).group_by(r.c.node_id)
    hooks = select(d.c.node_id, func.count()).where(d.c.status.in_(_OPEN)).group_by(d.c.node_id)
    found: dict[str, Work] = {node: Work(open_runs=count) for node, count in connection.execute(runs)}
    for node, count in connection.execute(hooks):
        found[node] = found.get(node, Work())._replace(due_hooks=count)
    return found


def last_seq(connection: Connection) -> int:
    """The newest transition's place in history."""
    return connection.scalar(select(func.max(t.c.seq))) or 0


def node_runs(connection: Connection, node_id: str, after_seq: int) -> list[FoundRun]:
    """The runs of a node that entered a state after that place in history; what was called before its caller."""
    query = runs_with_cause().where(r.c.node_id == node_id, t.c.seq > after_seq).order_by(t.c.seq)
    return _runs(connection, query)


def node_deliveries(
    connection: Connection, node_id: str, after_seq: int, among: Collection[str] = ()
) -> list[FoundDelivery]:
    """The deliveries of a node that became due after that place in history, and those of these ids."""
    of_node = d.c.node_id == node_id
    query = _deliveries_with_run().where(of_node, or_(t.c.seq > after_seq, d.c.id.in_(among)))
    return _deliveries(connection, query.order_by(t.c.seq, d.c.position))


def _of_flow(name: str) -> ColumnElement[bool]:
    its_runs = and_(r.c.kind == "flow", r.c.subject_name == name)
    within = r.alias()
    ids = select(within.c.id).where(within.c.kind == "flow", within.c.subject_name == name)
    return or_(its_runs, r.c.flow_run_id.in_(ids), r.c.parent_flow_run_id.in_(ids))


def _at_rest(given: datetime) -> str | None:
    """A time of any zone, and without one that of the clock on the wall, as the tables have it."""
    return iso(given.astimezone(UTC))


def _begins(column: Any, given: str) -> ColumnElement[bool]:
    begins: ColumnElement[bool] = column.startswith(given.lower(), autoescape=True)
    return begins if given else false()


def _runs(connection: Connection, query: Select[Any]) -> list[FoundRun]:
    return [FoundRun(run_of(row), row["node_id"]) for row in connection.execute(query).mappings()]


def _deliveries_with_run() -> Select[Any]:
    run = (r.c.kind.label("run_kind"), r.c.subject_name, r.c.name.label("run_name"))
    return select(d, *run).join(t, t.c.id == d.c.transition_id).join(r, r.c.id == d.c.run_id)


def _deliveries(connection: Connection, query: Select[Any]) -> list[FoundDelivery]:
    found: Sequence[Any] = connection.execute(query).mappings().all()
    return [
        FoundDelivery(delivery_of(row), row["node_id"], row["run_kind"], row["subject_name"], row["run_name"])
        for row in found
    ]
