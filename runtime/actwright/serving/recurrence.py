"""Recurrence rules of calendars (RFC 5545). python-dateutil knows which times they mean, as long as no clock changes.

It is asked for times on the wall, without a zone; what a change of the clock does to these is in `wall_clock`. It steps
through all times since the start, and for ever where no time fits: so it is given a start near to the times that are
wanted, and an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from actwright.exceptions import AuthoringError
from actwright.serving.wall_clock import (
    EPOCH,
    HORIZON,
    checked_moment,
    checked_zone,
    each_shown,
    first_after,
    first_shown,
)

if TYPE_CHECKING:
    from dateutil.rrule import rrule as LibraryRule

__all__ = ["RRule"]

_STEPS: Final = {
    "YEARLY": None,
    "MONTHLY": None,
    "WEEKLY": timedelta(weeks=1),
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
}
"""Each FREQ, with how long it is; None where that differs."""

_PARTS: Final = frozenset({
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR",
    "BYMINUTE", "BYSECOND", "BYSETPOS",
})  # fmt: skip

_MOST: Final = 10_000
"""Of COUNT and INTERVAL. Times that are counted are counted from the first, whenever one is asked for."""

_UNTIL_FORMS: Final = ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d")

_EXPECTED: Final = "expected the parts of an RRULE, as in RRule('FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=6')"


@dataclass(frozen=True, slots=True)
class RRule:
    """A recurrence rule as calendars have them: `RRule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", timezone="Europe/Berlin")`.

    Needs python-dateutil: `pip install 'actwright[rrule]'`. One RRULE of RFC 5545, without DTSTART, EXDATE and RDATE;
    FREQ is YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY or MINUTELY. COUNT counts times on the clock; an UNTIL that ends with
    Z is in UTC, another is a time on the clock.

    Where clocks are changed, HOURLY and MINUTELY are due whenever the clock shows such a time: not at all in an hour
    that is skipped, twice in an hour that comes twice. Others are due once for each time: at the moment of the change
    where that time is skipped, and the first time where it comes twice.

    Attributes:
        rule: the parts of an RRULE.
        start: DTSTART, by the clock in `timezone` if it has no zone of its own. Nothing is due before it, INTERVAL and
            COUNT count from it, and what the rule leaves open (the time of day, say) is taken from it. By default
            Monday, 1 January 2001, midnight, and not the moment of the call: two processes must come to the same times.
        timezone: IANA name; UTC by default.

    Raises:
        TypeError, ValueError: one of them is something else, or no time within 50 years is like that.
        AuthoringError: python-dateutil is not installed.
    """

    rule: str
    start: datetime | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        checked_zone("RRule", self.timezone)
        if self.start is not None and not isinstance(self.start, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"RRule: start must be a datetime, as datetime(2026, 1, 1, 6); got {self.start!r}.")
        try:
            first = next(self._times_after(self._start() - timedelta(seconds=1)), None)
        except ValueError as error:
            raise ValueError(f"RRule({self.rule!r}): {str(error).rstrip('.')}; {_EXPECTED}.") from None
        if first is None:
            raise ValueError(f"RRule({self.rule!r}): no time within 50 years of its start ({self._start()}) fits.")

    def __str__(self) -> str:
        return f"{self.rule} {self.timezone}" + (f" from {self.start.isoformat()}" if self.start else "")

    def after(self, moment: datetime, /) -> datetime | None:
        """The first time that is later than `moment`, in UTC; None if there is none within 50 years."""
        moment = checked_moment("RRule.after: moment", moment)
        reading = each_shown if _parts(self.rule)["FREQ"] in ("HOURLY", "MINUTELY") else first_shown
        return first_after(moment, checked_zone("RRule", self.timezone), self._times_after, reading)

    def _start(self) -> datetime:
        """As the clock on the wall shows it."""
        start = self.start or EPOCH
        if start.tzinfo is not None:
            start = start.astimezone(checked_zone("RRule", self.timezone))
        return start.replace(tzinfo=None, fold=0, microsecond=0)

    def _times_after(self, time: datetime) -> Iterator[datetime]:
        parts, start = _parts(self.rule), self._start()
        horizon = max(time, start) + HORIZON
        until = min(self._until(parts.pop("UNTIL", None)) or horizon, horizon)
        count = int(parts.pop("COUNT", "0"))
        times = _library_rule(parts, start if count else _nearer(start, parts, time), until)
        return (one for one in islice(times, count or None) if one > time)

    def _until(self, text: str | None) -> datetime | None:
        """As the clock on the wall shows it."""
        if text is None:
            return None
        for form in _UNTIL_FORMS:
            try:
                until = datetime.strptime(text, form)
            except ValueError:
                continue
            if not form.endswith("Z"):
                return until
            return until.replace(tzinfo=UTC).astimezone(checked_zone("RRule", self.timezone)).replace(tzinfo=None)
        raise ValueError(f"UNTIL must be like 20271231T235959, or like 20271231T235959Z; got {text!r}")


def _parts(rule: object) -> dict[str, str]:
    """FREQ, INTERVAL, ... in upper case. Values that are only read by the library are checked by the library."""
    if not isinstance(rule, str):
        raise TypeError(f"RRule: {_EXPECTED}; got {rule!r}.")
    parts: dict[str, str] = {}
    for part in rule.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if name not in _PARTS or name in parts or not value or len(value.split()) != 1:
            raise ValueError(f"cannot read {part!r}")
        parts[name] = value
    if parts.get("FREQ") not in _STEPS:
        raise ValueError(f"FREQ must be one of {', '.join(_STEPS)} (for seconds there is Interval)")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL cannot both end it")
    for name in ("INTERVAL", "COUNT"):
        number = parts.get(name, "1")
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _MOST):
            raise ValueError(f"{name} must be a whole number from 1 to {_MOST}; got {number!r}")
    return parts


def _nearer(start: datetime, parts: dict[str, str], time: datetime) -> datetime:
    """A start that gives the same times after `time`, and fewer before: some INTERVALs later.

    Short by one: of the week with the start in it the library leaves out what is before, and BYSETPOS counts the rest.
    """
    interval = int(parts.get("INTERVAL", "1"))
    step = _STEPS[parts["FREQ"]]
    if step is not None:
        step *= interval
        return start + max((time - start) // step - 1, 0) * step
    if start.day > 28:
        return start  # some months have no such day
    interval *= 12 if parts["FREQ"] == "YEARLY" else 1
    passed = (time.year - start.year) * 12 + time.month - start.month
    month = start.month - 1 + max(passed // interval - 1, 0) * interval
    return start.replace(year=start.year + month // 12, month=month % 12 + 1)


def _library_rule(parts: dict[str, str], start: datetime, until: datetime) -> LibraryRule:
    try:
        from dateutil.rrule import rrule, rrulestr
    except ImportError as error:
        raise AuthoringError(
            "RRule needs python-dateutil, which is not installed. Install it with: pip install 'actwright[rrule]'"
        ) from error
    rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    assert isinstance(rule, rrule)  # a set of rules comes of several lines alone
    return rule.replace(until=until.replace(microsecond=0))  # as text, most of the time would go into reading it
