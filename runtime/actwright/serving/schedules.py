"""Schedules: a rule that says when a flow is due, and what is to happen around those times. Frozen data, without I/O.

    Schedule(Cron("0 6 * * *", timezone="Europe/Berlin"), name="mornings", catch_up="none", overlap="queue")

`due.due_now` says of a schedule what is to be submitted now, `overlaps.meet` what to do if its last run still goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self, TypeAlias, cast, get_args

from actwright.authoring.checks import seconds, whole_number
from actwright.serving.cron import Cron
from actwright.serving.intervals import Interval
from actwright.serving.recurrence import RRule
from actwright.serving.rules import Rule, next_times

__all__ = ["CatchUp", "Cron", "Interval", "Overlap", "RRule", "Rule", "Schedule", "as_schedule", "next_times"]

CatchUp: TypeAlias = Literal["latest", "none", "all"]
Overlap: TypeAlias = Literal["skip", "queue", "cancel", "allow"]

_MOST_CAUGHT_UP: Final = 1000
_EXPECTED: Final = 'a rule, as Interval(3600) or Cron("0 6 * * *"), with a method after(moment)'


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a flow is due, with which parameters, and what happens if a time was missed or the last run still goes on.

    Attributes:
        rule: `Interval`, `Cron`, `RRule`, or anything with their `after`. The one argument without a name.
        name: by which history knows it. Processes with a schedule of that name on one journal share it: each of its
            times fires once. By default the rule as text, as `0 6 * * * Europe/Berlin`; a rule of your own needs one.
        parameters: what the flow is called with.
        jitter_seconds: each run begins by up to so many seconds later than its time, so that not all begin at once. How
            many depends on the name and the time alone: in every process, and after a restart, it is the same.
        catch_up: what becomes of times at which nothing looked, since no process served the flow, or a clock was set
            forward. "latest": the last of them is made up for, at once. "none": none is, unless the last is no more
            than `grace_seconds` late. "all": each is, but no more than the last `catch_up_limit` of them.
        catch_up_limit: of "all"; from 1 to 1000.
        grace_seconds: of "none": how late is not missed yet. Less than a busy machine may take to look is unwise.
        overlap: what happens if an earlier run of this schedule has not ended. "skip": the new one does not take place.
            "queue": it waits until all earlier ones have ended. "cancel": these are cancelled, and it begins once they
            have ended. "allow": it begins beside them.
        queue_limit: of "queue": if already so many wait, the new one does not take place. With "all" caught up it must
            be at least `catch_up_limit`.

    Raises:
        TypeError, ValueError: one of them is something else.
    """

    rule: Rule = field(kw_only=False)
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    jitter_seconds: float = 0.0
    catch_up: CatchUp = "latest"
    catch_up_limit: int = 100
    grace_seconds: float = 60.0
    overlap: Overlap = "skip"
    queue_limit: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.rule, type) or not isinstance(self.rule, Rule):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Schedule: rule must be {_EXPECTED}; got {self.rule!r}.")
        if not isinstance(self.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Schedule: name must be text; got {self.name!r}.")
        self._set("name", self.name or _text_of(self.rule))
        self._set("parameters", _checked_parameters(self.parameters))
        self._set("jitter_seconds", seconds("Schedule: jitter_seconds", self.jitter_seconds))
        self._set("grace_seconds", seconds("Schedule: grace_seconds", self.grace_seconds))
        whole_number("Schedule: queue_limit", self.queue_limit, least=1)
        if whole_number("Schedule: catch_up_limit", self.catch_up_limit, least=1) > _MOST_CAUGHT_UP:
            raise ValueError(f"Schedule: catch_up_limit must be at most {_MOST_CAUGHT_UP}; got {self.catch_up_limit}.")
        _check_choice("catch_up", self.catch_up, CatchUp)
        _check_choice("overlap", self.overlap, Overlap)
        if self.catch_up == "all":
            self._check_room_for_all()

    def within(self, scope: str) -> Self:
        """The same, with a name that no schedule of another flow has: `nightly/every morning`."""
        return replace(self, name=f"{scope}/{self.name}")

    def _check_room_for_all(self) -> None:
        if self.overlap in ("skip", "cancel"):
            raise ValueError(
                f'Schedule: of the runs that catch_up="all" submits at once, overlap="{self.overlap}" would leave one; '
                'use overlap="queue" or "allow" with it, or catch_up="latest".'
            )
        if self.overlap == "queue" and self.queue_limit < self.catch_up_limit:
            raise ValueError(
                f"Schedule: up to {self.catch_up_limit} runs may be caught up at once, and only {self.queue_limit} "
                "may wait; queue_limit must be at least catch_up_limit."
            )

    def _set(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)


def as_schedule(given: Schedule | Rule) -> Schedule:
    """What users may give for a schedule: one, or a rule alone.

    Raises:
        TypeError: it is neither.
    """
    return given if isinstance(given, Schedule) else Schedule(given)


def _text_of(rule: Rule) -> str:
    if not isinstance(rule, Interval | Cron | RRule):  # its text may be another one in each process
        raise ValueError(f"Schedule: with a rule of your own give name='...'; got {rule!r}.")
    return str(rule)


def _checked_parameters(parameters: object) -> dict[str, Any]:
    named = dict(cast("Mapping[Any, Any]", parameters)) if isinstance(parameters, Mapping) else None
    if named is None or not all(isinstance(name, str) for name in named):
        raise TypeError(f"Schedule: parameters must be a dict of the flow's arguments by name; got {parameters!r}.")
    return named


def _check_choice(option: str, value: object, choices: object) -> None:
    known = get_args(choices)
    if value not in known:
        listed = ", ".join(f'"{choice}"' for choice in known)
        raise ValueError(f"Schedule: {option} must be one of {listed}; got {value!r}.")
