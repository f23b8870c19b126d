"""Submitting a flow: its arguments are checked at once, and it is run by a process that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from actwright.authoring.checks import whole_number
from actwright.authoring.flows import Flow
from actwright.authoring.names import default_run_name
from actwright.authoring.registration import Registration
from actwright.authoring.stored import entry_of
from actwright.authoring.tags import current_tags
from actwright.exceptions import FlowNotFound, ParameterTypeError
from actwright.journal import submissions
from actwright.journal.rows import utf8
from actwright.models.ids import new_id
from actwright.models.runs import FlowRun
from actwright.models.states import Scheduled
from actwright.models.submissions import DEFAULT_QUEUE, Submission
from actwright.models.values_at_rest import kept_parameters, parameters_at_rest, why_not_kept
from actwright.settings import get_current_settings
from actwright.telemetry.carriers import context_to_carry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from actwright.journal.database import Database

__all__ = ["Prepared", "SubmitOptions", "entry_of_flow", "prepare", "submit"]

_MOST_BYTES: Final = 1 << 30
"""Of the arguments of one submission: SQLite keeps no longer text."""

_MOST_URGENT: Final = 1_000_000
"""Databases keep numbers of so many digits and no more."""


class SubmitOptions(TypedDict, total=False):
    """How a flow is to be run that is submitted.

    Attributes:
        at: not before then (aware); None: as soon as may be.
        queue: for those who serve this queue.
        priority: of what is due, the higher ones begin first; from -1,000,000 to 1,000,000.
        idempotency_key: a second submission of the same flow with the same key gives the first one's run.
        name: of the run; None: two words, or what `flow_run_name` makes.
        schedule: the name of the schedule that submits it.
        takes_turns: it begins once the earlier runs of that have ended.
    """

    at: datetime | None
    queue: str
    priority: int
    idempotency_key: str | None
    name: str | None
    schedule: str | None
    takes_turns: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission that was checked."""

    submission: Submission
    kept: str
    registration: Registration | None

    def submit(self, connection: Connection) -> FlowRun:
        """The run, or the one that was submitted with the same idempotency key before. In a transaction that writes."""
        return submissions.add(connection, self.submission, self.kept, self.registration)


def prepare(flow: Flow[..., Any], parameters: Mapping[str, Any], options: SubmitOptions) -> Prepared:
    """Check what is to be submitted. Raises as `submit` does."""
    submission = _submission(flow, parameters, options)
    kept = parameters_at_rest(submission.run.parameters, get_current_settings().parameters_limit_bytes)
    return Prepared(submission, kept, Registration.of(flow, {}) if flow.options.has_hooks else None)


def submit(database: Database, flow: Flow[..., Any], parameters: Mapping[str, Any], options: SubmitOptions) -> FlowRun:
    """Write down that a flow is to be run. Blocks.

    Args:
        parameters: name -> value, as keyword arguments of its function; what has no value here has its default.

    Raises:
        FlowNotFound: no other process could find the flow.
        ParameterBindError, ParameterTypeError: the arguments do not fit, or cannot be kept.
        TypeError, ValueError: an option that cannot be.
        JournalError: it was not written.
    """
    prepared = prepare(flow, parameters, options)
    with database.writing() as connection:
        return prepared.submit(connection)


def entry_of_flow(flow: Flow[..., Any]) -> str:
    """The name by which processes agree on a flow.

    Raises:
        FlowNotFound: it has none.
    """
    entry = entry_of(flow)
    if entry is None:
        raise FlowNotFound(
            f"Flow {flow.name!r} has no name by which another process finds it. Define it at the top level of a module "
            "or script."
        )
    return entry


def _submission(flow: Flow[..., Any], parameters: Mapping[str, Any], options: SubmitOptions) -> Submission:
    if not isinstance(cast("object", flow), Flow):
        raise TypeError(f"Only flows are submitted; got {flow!r}. Put @flow above the function.")
    now, run_id = datetime.now(UTC), new_id()
    at = _aware(options.get("at")) or now
    call = flow.prepare((), parameters)
    if flow.options.validate_parameters:
        flow.parameters.validate(call.parameters)
    run = FlowRun(
        id=run_id,
        name=_words_or_none("name", options.get("name")) or default_run_name(flow, run_id),
        state=Scheduled(timestamp=now),
        parameters=flow.parameters.concealed(call.parameters),
        tags=sorted(flow.options.tags | current_tags()),
        expected_start_time=at,
        entry=entry_of_flow(flow),
        flow_name=flow.name,
    )
    return Submission(
        run,
        _whole(flow, parameters),
        queue=_words("queue", options.get("queue", DEFAULT_QUEUE)),
        priority=whole_number("priority", options.get("priority", 0), least=-_MOST_URGENT, most=_MOST_URGENT),
        idempotency_key=_words_or_none("idempotency_key", options.get("idempotency_key")),
        schedule=options.get("schedule"),
        takes_turns=options.get("takes_turns", False),
        crash_retries=flow.options.crash_retries,
        is_named=options.get("name") is not None,
        caller_context=None if options.get("schedule") else context_to_carry(),  # a clock is part of no trace
    )


def _whole(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> str:
    """The arguments as JSON, of which nothing is missing.

    Raises:
        ParameterTypeError: one cannot be kept whole.
    """
    text = parameters_at_rest(parameters, _MOST_BYTES)
    lost = {name: why for name, value in kept_parameters(text).items() if (why := why_not_kept(value)) is not None}
    if lost:
        which = ", ".join(f"'{name}' ({why})" for name, why in lost.items())
        raise ParameterTypeError(
            f"Flow '{flow.name}' cannot be submitted with {which}: another process gets its arguments as JSON. Pass "
            "what JSON can hold; a secret is kept in a Block, whose name is passed."
        )
    return text


def _aware(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    if not isinstance(cast("object", at), datetime) or at.tzinfo is None:
        raise TypeError(f"at must be a datetime with a time zone, as datetime.now(UTC); got {at!r}.")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"at must be a time that UTC has too; got {at!r}.") from error


def _words(what: str, given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{what} must be text; got {given!r}.")
    if not given or utf8(given) != given:
        raise ValueError(f"{what} must be text that is not empty, in UTF-8; got {given!r}.")
    return given


def _words_or_none(what: str, given: object) -> str | None:
    return None if given is None else _words(what, given)
