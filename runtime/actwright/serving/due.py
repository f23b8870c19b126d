"""Which times of a schedule are to be submitted now, and when to look again. Pure: clock and journal are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from actwright.serving.rules import following, latest
from actwright.serving.wall_clock import checked_moment

if TYPE_CHECKING:
    from actwright.serving.schedules import Schedule

__all__ = ["CLOCK_TOLERANCE", "Due", "Missed", "Occurrence", "due_now", "occurrence_key"]

CLOCK_TOLERANCE: Final = timedelta(hours=3)
"""What lies further ahead of the clock was written while the clock was wrong. As much as cron's."""

_LOOK_BACK: Final = timedelta(days=1)
"""How far times may lie back that are due after such a clock was set right."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a schedule.

    Attributes:
        schedule: its name.
        at: the time by the rule, in UTC.
        due: when the run is to begin: `at`, and its jitter.
    """

    schedule: str
    at: datetime
    due: datetime

    @property
    def key(self) -> str:
        """`occurrence_key` of it."""
        return occurrence_key(self.schedule, self.at)


@dataclass(frozen=True, slots=True)
class Missed:
    """Times that are not made up for: the first, the last, and whatever lies between them; in UTC."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What a service has to do for a schedule.

    Attributes:
        submit: what to submit now, each under its key, to begin when it is due; in order.
        missed: what was passed over; None if nothing was.
        through: up to this moment all is settled, once `submit` is submitted (or skipped, for an overlap). To be kept
            as the next `last`, also by the journal: else what was passed over is owed again after a restart. Several
            services write it, so it must never be moved back, but for `clock_was_wrong`.
        look_again: when the next time comes; None if none will. It is a time of a clock that may be set meanwhile:
            whoever waits for it a minute at a time, or less, notices.
        clock_was_wrong: `last` or `known_since` is so far ahead of `now` that it was left out of account. `through`
            takes the place of `last`, and `now` that of `known_since`; until that is written, each answer says so.
    """

    submit: tuple[Occurrence, ...]
    missed: Missed | None
    through: datetime
    look_again: datetime | None
    clock_was_wrong: bool = False


def due_now(schedule: Schedule, now: datetime, *, known_since: datetime, last: datetime | None = None) -> Due:
    """What is to be submitted at `now`, and when to look again.

    Asked again with the same arguments, by whatever process, it answers the same. Two processes that ask at once are
    told to submit the same times; the keys let one of them do it.

    A clock that is set forward has the effect of a pause: times were missed. After one that is set back nothing is due
    until `last` is past once more. But where `last` is over three hours ahead, the clock was wrong when that was
    written, and it counts no more: the latest time of the last day is due, and its key tells the journal whether it
    has been submitted already.

    Args:
        known_since: when the journal first saw this schedule, or its present rule: no earlier time is due.
        last: the `through` of the last answer that was carried out; None if none was.

    Raises:
        TypeError, ValueError: a moment is no datetime, or has no time zone.
    """
    now = checked_moment("due_now: now", now)
    known_since = checked_moment("due_now: known_since", known_since)
    last = None if last is None else checked_moment("due_now: last", last)
    marks = [known_since] if last is None else [known_since, last]
    sound = [mark for mark in marks if mark - now <= CLOCK_TOLERANCE]
    clock_was_wrong = sound != marks
    since = max([*sound, now - _LOOK_BACK]) if clock_was_wrong else max(sound)
    limit = schedule.catch_up_limit if schedule.catch_up == "all" and not clock_was_wrong else 1
    times = latest(schedule.rule, since, now, limit + 1)
    submit = tuple(_occurrence(schedule, at) for at in times[-limit:])
    if schedule.catch_up == "none":
        submit = tuple(one for one in submit if now - one.due <= timedelta(seconds=schedule.grace_seconds))
    return Due(
        submit=submit,
        missed=_missed(schedule, since, times, submit),
        through=times[-1] if times else since,
        look_again=following(schedule.rule, max(since, now)),
        clock_was_wrong=clock_was_wrong,
    )


def _missed(
    schedule: Schedule, since: datetime, times: tuple[datetime, ...], submit: tuple[Occurrence, ...]
) -> Missed | None:
    """`times` are the last ones later than `since`, one more than may be submitted."""
    passed = times[: len(times) - len(submit)]
    first = following(schedule.rule, since) if passed else None
    return Missed(first, passed[-1]) if first is not None else None


def _occurrence(schedule: Schedule, at: datetime) -> Occurrence:
    return Occurrence(schedule.name, at, at + _jitter(schedule, at))


def _jitter(schedule: Schedule, at: datetime) -> timedelta:
    """From 0 to `jitter_seconds`, evenly spread over times and names, and always the same for one of them."""
    digest = blake2b(occurrence_key(schedule.name, at).encode(), digest_size=8).digest()
    return timedelta(seconds=schedule.jitter_seconds * (int.from_bytes(digest) / 2**64))


def occurrence_key(schedule: str, at: datetime) -> str:
    """By which the journal knows a time of a schedule, so that it is submitted once: `nightly@2026-03-29T04:00:00Z`."""
    return f"{schedule}@{checked_moment('occurrence_key: at', at).replace(tzinfo=None).isoformat()}Z"
