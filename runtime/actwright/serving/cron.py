"""Cron expressions. A library, cronsim, knows which times they mean; what a change of the clock does to these is here.

Given a zone, cronsim steps through daylight saving by itself, by whole hours: where clocks are changed by half an
hour (Australia/Lord_Howe) it loses times. Without a zone it is exact, and so it is asked; `wall_clock` does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from actwright.serving.wall_clock import EPOCH, checked_moment, checked_zone, each_shown, first_after, first_shown

__all__ = ["Cron"]

_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EXPECTED: Final = "expected minute, hour, day of the month, month, day of the week, as in Cron('0 6 * * MON-FRI')"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, by the clock of a time zone: `Cron("0 6 * * *", timezone="Europe/Berlin")` is six there.

    Five fields, read as Debian's cron reads them, or `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`. If neither
    the day of the month nor the day of the week begins with `*`, one that fits is enough. Also cronsim's `L` (last day
    of the month), `LW` (its last weekday), `5L` (its last Friday) and `MON#2` (its second Monday).

    Where clocks are changed it does as Debian's cron does. If the minute or the hour begins with `*`, it is due
    whenever the clock shows such a time: not at all in an hour that is skipped, twice in an hour that comes twice.
    Otherwise it is due once for each time of the day: at the moment of the change where that time is skipped, and the
    first time where it comes twice.

    Attributes:
        expression: the five fields, or a name.
        timezone: IANA name; UTC by default.

    Raises:
        TypeError, ValueError: one of them is something else, or there is no such time within 50 years.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        checked_zone("Cron", self.timezone)
        if not isinstance(self.expression, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Cron: {_EXPECTED}; got {self.expression!r}.")
        if len(self._fields.split()) != 5:
            raise ValueError(f"Cron({self.expression!r}): {_EXPECTED}. {_hint(self.expression)}")
        if next(self._times_after(EPOCH), None) is None:
            raise ValueError(f"Cron({self.expression!r}): no day within 50 years is like that.")

    def __str__(self) -> str:
        return f"{self.expression} {self.timezone}"

    def after(self, moment: datetime, /) -> datetime | None:
        """The first time that is later than `moment`, in UTC; None if there is none within 50 years."""
        moment = checked_moment("Cron.after: moment", moment)
        minute, hour, *_ = self._fields.split()
        reading = each_shown if minute.startswith("*") or hour.startswith("*") else first_shown
        return first_after(moment, checked_zone("Cron", self.timezone), self._times_after, reading)

    @property
    def _fields(self) -> str:
        return _NICKNAMES.get(self.expression.strip().lower(), self.expression)

    def _times_after(self, time: datetime) -> Iterator[datetime]:
        from cronsim import CronSim, CronSimError  # at first use: most programs have no schedule

        try:
            return CronSim(self._fields, time)
        except CronSimError as error:
            raise ValueError(f"Cron({self.expression!r}): {str(error).lower()}; {_EXPECTED}.") from None


def _hint(expression: str) -> str:
    if expression.strip().startswith("@"):
        return f"Of names it knows {', '.join(sorted(_NICKNAMES))}."
    if len(expression.split()) == 6:
        return "Seconds have no field here: for times less than a minute apart use Interval(seconds)."
    return f"It has {len(expression.split())} fields."
