"""When something is due: what every rule has, and what is asked of any of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol, runtime_checkable

from actwright.serving.wall_clock import checked_moment

__all__ = ["Rule", "following", "latest", "next_times", "times_between"]

_FINEST: Final = timedelta(microseconds=1)


@runtime_checkable
class Rule(Protocol):
    """The times at which something is due: `Interval`, `Cron`, `RRule`, or a class of your own."""

    def after(self, moment: datetime, /) -> datetime | None:
        """The first time that is later than `moment`, in UTC; None if there is none.

        It must depend on nothing but the rule and the moment, so that each process with the rule knows the same times.
        """
        ...


def following(rule: Rule, moment: datetime) -> datetime | None:
    """`rule.after(moment)`, in UTC.

    Raises:
        TypeError, ValueError: what a rule of a user's gave is no such time: it would be asked for it for ever.
    """
    at = rule.after(moment)
    if at is None:
        return None
    at = checked_moment(f"what {rule!r}.after() returns", at)
    if at <= moment:
        raise ValueError(f"{rule!r}.after({moment}) must return a later time, or None; it returned {at}.")
    return at


def times_between(rule: Rule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The times later than `after` and not later than `until`, in order."""
    at = following(rule, after)
    while at is not None and at <= until:
        yield at
        at = following(rule, at)


def next_times(rule: Rule, moment: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` times after a moment, in order and in UTC; fewer if there are no more."""
    found: list[datetime] = []
    while len(found) < count and (at := following(rule, found[-1] if found else moment)) is not None:
        found.append(at)
    return tuple(found)


def latest(rule: Rule, after: datetime, until: datetime, count: int) -> tuple[datetime, ...]:
    """Of the times later than `after` and not later than `until` the last `count`, in order.

    However many there are, it looks at few more than it gives: a program may have been away for a year.
    """
    found = list(islice(times_between(rule, after, until), count + 1))
    if len(found) <= count:
        return tuple(found)
    backwards: list[datetime] = []
    step = timedelta(seconds=1)
    while len(backwards) < count:
        backwards.append(_last(rule, found[0], until, step))
        until = backwards[-1] - _FINEST
        if len(backwards) > 1:
            step = (backwards[-2] - backwards[-1]) * 3 // 2  # most rules are regular: the one before is within that
    return tuple(reversed(backwards))


def _last(rule: Rule, known: datetime, until: datetime, step: timedelta) -> datetime:
    """The last time that is not later than `until`; `known` is one of them. First looked for a `step` back."""
    while until - known > step:
        at = following(rule, until - step)
        if at is not None and at <= until:
            known = at
        else:
            step *= 2
    none_after = until
    while (later := following(rule, known)) is not None and later <= until:
        known = later
        middle = known + (none_after - known) // 2
        at = following(rule, middle)
        if at is not None and at <= until:
            known = at
        else:
            none_after = middle
    return known
