"""Submissions in the journal's database: each is claimed once. Each function works on a connection that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from sqlalchemy import and_, bindparam, case, exists, false, func, insert, or_, select, update

from actwright.journal import commands, reading
from actwright.journal.batch import Batch, Entry
from actwright.journal.commands import open_commands_of
from actwright.journal.protocol import Transition
from actwright.journal.rows import carried_at_rest, carried_from_rest, iso, run_of, time_or_none
from actwright.journal.schema import commands as c
from actwright.journal.schema import hook_deliveries as d
from actwright.journal.schema import runs as r
from actwright.journal.schema import submissions as s
from actwright.journal.schema import transitions as t
from actwright.journal.statements import write
from actwright.models.commands import CommandKind
from actwright.models.deliveries import DeliveryStatus
from actwright.models.states import Cancelled, Cancelling
from actwright.models.submissions import NOBODY, Claimed, Submission, Waiting
from actwright.models.values_at_rest import parameters_from_rest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from actwright.authoring.registration import Registration
    from actwright.models.commands import Command
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.submissions import Offer

__all__ = [
    "add",
    "ask_to_cancel",
    "cancel_unclaimed",
    "claim",
    "claimable",
    "crash_retries_left",
    "existing",
    "is_unclaimed",
    "open_of_schedule",
    "put_back",
    "waiting",
]

_OPEN_HOOK: Final = (DeliveryStatus.DUE.value, DeliveryStatus.RUNNING.value)
_CANCEL_ASKED: Final = exists().where(
    c.c.run_id == s.c.run_id, c.c.answered_at.is_(None), c.c.kind == CommandKind.CANCEL.value
)
_EARLIER: Final = s.alias()
_OF_EARLIER: Final = r.alias()
_WAITS_FOR_EARLIER: Final = and_(
    s.c.takes_turns,
    exists().where(
        _EARLIER.c.schedule == s.c.schedule,
        _EARLIER.c.seq < s.c.seq,
        _OF_EARLIER.c.id == _EARLIER.c.run_id,
        _OF_EARLIER.c.ended_at.is_(None),
    ),
)
_HOOKS_ARE_DUE: Final = exists().where(d.c.run_id == s.c.run_id, d.c.status.in_(_OPEN_HOOK))

_IN_ORDER: Final = select(s.c.run_id, s.c.priority, s.c.due_at, s.c.seq).order_by(
    s.c.priority.desc(), s.c.due_at, s.c.seq
)
_MOST_CANCELS: Final = 100
"""Of one claim: the next one has the others."""


def existing(connection: Connection, entry: str, idempotency_key: str) -> FlowRun | None:
    """The run that was submitted with that key, as it is now."""
    query = select(s.c.run_id).where(s.c.entry == entry, s.c.idempotency_key == idempotency_key)
    found: str | None = connection.execute(query).scalar()
    return None if found is None else cast("FlowRun", reading.run(connection, UUID(found)))


def add(connection: Connection, submission: Submission, kept: str, registration: Registration | None) -> FlowRun:
    """Submit; the run, or the one that was submitted with the same idempotency key before.

    Args:
        kept: the run's parameters, as history shows them.
        registration: its hooks: should it be cancelled before it begins, they are due.
    """
    run = submission.run
    if submission.idempotency_key is not None:
        known = existing(connection, str(run.entry), submission.idempotency_key)
        if known is not None:
            return known
    write(connection, Batch.of([Entry((Transition(run, registration=registration),), (kept,))], NOBODY))
    values = {
        "run_id": str(run.id), "entry": run.entry, "queue": submission.queue, "priority": submission.priority,
        "due_at": iso(run.expected_start_time), "parameters": submission.parameters,
        "idempotency_key": submission.idempotency_key, "schedule": submission.schedule,
        "takes_turns": submission.takes_turns,
        "crash_retries": submission.crash_retries, "deaths": 0, "is_open": True, "is_named": submission.is_named,
        "caller_context": carried_at_rest(submission.caller_context),
    }  # fmt: skip
    connection.execute(insert(s).values(values))
    return run


def claimable(connection: Connection, offers: Sequence[Offer], room: int, now: datetime) -> bool:
    """Whether `claim` would claim something. Only reads."""
    return bool(_asked(connection, offers) or _due(connection, offers, room, now))


def claim(connection: Connection, node_id: str, offers: Sequence[Offer], room: int, now: datetime) -> list[Claimed]:
    """Claim what is due, those of higher priority first, then those that were due first.

    A cancel of a run that waits does not wait for its time, nor for a place.

    Args:
        node_id: whose they are from now on.
        room: how many may begin.
        now: the time of day, UTC.
    """
    asked = _asked(connection, offers)
    chosen = [*asked, *_due(connection, offers, room, now)]
    _give(connection, chosen, node_id)
    return [_claimed(connection, row, is_cancelled=row["run_id"] in asked) for row in _rows(connection, chosen)]


def _asked(connection: Connection, offers: Sequence[Offer]) -> list[str]:
    """Those that somebody asked to cancel. Found by what was asked, which is little, and not by what waits."""
    waits = exists().where(s.c.run_id == c.c.run_id, _is_offered(offers), ~_HOOKS_ARE_DUE)
    query = select(c.c.run_id).where(c.c.answered_at.is_(None), c.c.kind == CommandKind.CANCEL.value, waits)
    return list(dict.fromkeys(connection.scalars(query.order_by(c.c.seq).limit(_MOST_CANCELS))))


def _due(connection: Connection, offers: Sequence[Offer], room: int, now: datetime) -> list[str]:
    """Those that may begin, the first ones first."""
    if room <= 0:
        return []
    found = [
        row
        for each, limit in _with_limits(offers, _begun(connection, offers), room)
        if each and limit > 0
        for row in connection.execute(_IN_ORDER.where(_is_due(each, now)).limit(limit))
    ]
    found.sort(key=lambda row: (-row.priority, row.due_at, row.seq))
    return [row.run_id for row in found[:room]]


def _with_limits(offers: Sequence[Offer], begun: Mapping[str, int], room: int) -> Iterator[tuple[Sequence[Offer], int]]:
    """Offers, and how many of their runs may begin: each limited one by itself, all others together."""
    yield [offer for offer in offers if offer.limit is None], room
    for offer in offers:
        if offer.limit is not None:
            yield [offer], min(room, offer.limit - begun.get(offer.entry, 0))


def put_back(connection: Connection, run_ids: Iterable[UUID], *, deaths: int = 0) -> None:
    """What was claimed, and is open, may be claimed again. `deaths` are added to those that it has had."""
    ids = [str(each) for each in run_ids]
    changes = {"is_open": True, "deaths": s.c.deaths + deaths}
    connection.execute(update(s).where(s.c.run_id.in_(ids)).values(changes))
    connection.execute(update(r).where(r.c.id.in_(ids)).values(node_id=NOBODY))


def crash_retries_left(connection: Connection, run_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Of each of these runs that was submitted, how many more processes may die while its body runs."""
    query = select(s.c.run_id, s.c.crash_retries - s.c.deaths).where(s.c.run_id.in_([str(each) for each in run_ids]))
    return {UUID(run_id): left for run_id, left in connection.execute(query)}


def open_of_schedule(connection: Connection, schedule: str) -> list[FlowRun]:
    """The runs of a schedule that have not ended, oldest first."""
    query = reading.runs_with_cause().join(s, s.c.run_id == r.c.id).where(s.c.schedule == schedule)
    rows = connection.execute(query.where(r.c.ended_at.is_(None)).order_by(s.c.due_at)).mappings()
    return [cast("FlowRun", run_of(row)) for row in rows]


def is_unclaimed(connection: Connection, run_id: UUID) -> bool:
    """Whether a run was submitted, and waits to be claimed."""
    query = select(s.c.run_id).where(s.c.run_id == str(run_id), s.c.is_open)
    return connection.execute(query).first() is not None


def waiting(connection: Connection, now: datetime) -> list[Waiting]:
    """What nobody has claimed, by flow and queue."""
    due_at = case((_may_begin(now), s.c.due_at))
    query = select(s.c.entry, s.c.queue, func.count(due_at), func.count(), func.min(due_at)).where(s.c.is_open)
    return [
        Waiting(entry, queue, due, number - due, time_or_none(first))
        for entry, queue, due, number, first in connection.execute(query.group_by(s.c.entry, s.c.queue))
    ]


def cancel_unclaimed(connection: Connection, run: FlowRun | TaskRun, reason: str | None, at: datetime) -> bool:
    """Cancel a run that waits to be claimed, if it has no hooks; whether it had none. One that has is cancelled by
    whoever claims it."""
    query = select(r.c.registration, r.c.parameters).where(r.c.id == str(run.id))
    row = connection.execute(query).mappings().one()
    if row["registration"] is not None:
        return False
    cancelling = run.entered(Cancelling(message=reason, timestamp=at))
    cancelled = cancelling.entered(Cancelled(message=reason, timestamp=at))
    records = (Transition(cancelling), Transition(cancelled))
    write(connection, Batch.of([Entry(records, (row["parameters"],) * 2)], NOBODY))
    _give(connection, [str(run.id)], NOBODY)
    return True


def ask_to_cancel(connection: Connection, run: FlowRun | TaskRun, command: Command) -> bool:
    """Have an open run cancelled; whether that was all there was to do, since nobody has it and it has no hooks."""
    if is_unclaimed(connection, run.id) and cancel_unclaimed(connection, run, command.reason, command.at):
        return True
    commands.add(connection, command)
    return False


def _is_due(offers: Sequence[Offer], now: datetime) -> ColumnElement[bool]:
    return and_(_is_offered(offers), _may_begin(now))


def _may_begin(now: datetime) -> ColumnElement[bool]:
    """Hooks of an earlier attempt come before the next one."""
    return and_(s.c.due_at <= iso(now), ~_WAITS_FOR_EARLIER, ~_CANCEL_ASKED, ~_HOOKS_ARE_DUE)


def _is_offered(offers: Sequence[Offer]) -> ColumnElement[bool]:
    offered = [and_(s.c.entry == offer.entry, s.c.queue.in_(sorted(offer.queues))) for offer in offers]
    return and_(s.c.is_open, or_(*offered) if offered else false())  # an index is used for it as it stands


def _rows(connection: Connection, run_ids: Sequence[str]) -> list[Any]:
    """In that order, with all that they are begun with."""
    whole = s.c.parameters.label("whole")
    query = select(r, t.c.cause, s.c.run_id, s.c.deaths, s.c.is_named, s.c.caller_context, whole)
    query = query.join(t, t.c.id == r.c.state_id).join(s, s.c.run_id == r.c.id)
    found = connection.execute(query.where(r.c.id.in_(run_ids))).mappings()
    by_id = {row["run_id"]: row for row in found}
    return [by_id[run_id] for run_id in run_ids]


def _begun(connection: Connection, offers: Sequence[Offer]) -> dict[str, int]:
    """How many runs of each limited flow have begun and not ended, in all processes. Found by what is at work, which
    is little, and not by all that was ever submitted."""
    limited = [offer.entry for offer in offers if offer.limit is not None]
    if not limited:
        return {}
    was_claimed = exists().where(s.c.run_id == r.c.id, ~s.c.is_open)
    query = select(r.c.entry, func.count()).where(r.c.ended_at.is_(None), r.c.node_id > NOBODY, was_claimed)
    found = connection.execute(query.where(r.c.entry.in_(limited)).group_by(r.c.entry))
    return {entry: count for entry, count in found}  # noqa: C416  # rows are no pairs to a type checker


_CLAIM: Final = update(s).where(s.c.run_id == bindparam("claimed")).values(is_open=False)
_OWN: Final = update(r).where(r.c.id == bindparam("claimed")).values(node_id=bindparam("whose"))


def _give(connection: Connection, run_ids: Sequence[str], node_id: str) -> None:
    if run_ids:
        connection.execute(_CLAIM, [{"claimed": run_id} for run_id in run_ids])
        connection.execute(_OWN, [{"claimed": run_id, "whose": node_id} for run_id in run_ids])


def _claimed(connection: Connection, row: Any, *, is_cancelled: bool) -> Claimed:
    run = cast("FlowRun", run_of(row))
    asked = open_commands_of(connection, run.id) if is_cancelled else ()
    cancels = [each for each in asked if each.kind is CommandKind.CANCEL]
    parameters, caller = parameters_from_rest(row["whole"]), carried_from_rest(row["caller_context"])
    return Claimed(run, parameters, row["deaths"], row["is_named"], tuple(cancels), caller)
