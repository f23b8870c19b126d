"""How many random histories a test plays: as many as there is time for, or as many as it is told.

ACTWRIGHT_MODEL_EXAMPLES says how many each back end plays, and has what fails shrunk. Without it a test run plays as
many of 1,000 as there is time for, and says in its summary how many those were.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings

__all__ = ["HISTORIES", "Budget", "as_many_as_asked", "play_many", "tell_how_many"]

HISTORIES: Final = "histories"
"""A test's property: how many histories it played."""

SECONDS: Final = 12.0
"""For so long an ordinary test run begins further histories on one back end. The watchdog ends a test after 60."""

_EXAMPLES: Final = os.environ.get("ACTWRIGHT_MODEL_EXAMPLES")

_THOROUGH: Final = settings(
    deadline=None,
    print_blob=True,
    max_examples=int(_EXAMPLES or 1000),
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Shrinking takes longer than a test may. Nor is what fails remembered, since what is remembered is not shrunk later.
_BRIEF: Final = settings(_THOROUGH, phases=[phase for phase in Phase if phase is not Phase.shrink], database=None)

as_many_as_asked: Final = _THOROUGH if _EXAMPLES else _BRIEF
"""Hypothesis's settings, as a decorator."""


class _OutOfTime(BaseException):
    """Ends the drawing of histories: hypothesis lets it pass, as it does a Ctrl-C."""


class Budget:
    """The time for all histories of one back end, and how many were played in it."""

    def __init__(self) -> None:
        self._ends_at = math.inf if _EXAMPLES else time.monotonic() + SECONDS
        self.played = 0

    @contextmanager
    def one_more(self) -> Generator[None]:
        """Around playing one; ends the drawing of more where there is no time left."""
        if time.monotonic() >= self._ends_at:
            raise _OutOfTime
        try:
            yield
        except BaseException:
            self._ends_at = math.inf  # hypothesis plays it again before it tells
            raise
        self.played += 1


def play_many(play: Callable[[Budget], object], record_property: Callable[[str, object], None]) -> int:
    """Have `play` play its histories within a budget, and note with the test how many those were."""
    budget = Budget()
    try:
        play(budget)
    except _OutOfTime:
        pass
    finally:
        record_property(HISTORIES, budget.played)
    return budget.played


def tell_how_many(reporter: pytest.TerminalReporter) -> None:
    """In the summary of a test run."""
    for outcome in ("passed", "failed"):
        for report in reporter.getreports(outcome):
            properties: list[tuple[str, Any]] = report.user_properties if report.when == "call" else []
            for name, value in properties:
                if name == HISTORIES:
                    reporter.write_line(f"{value} histories were played by {report.nodeid.partition('::')[2]}")
