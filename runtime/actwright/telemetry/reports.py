"""What is told of a run, and of each try of a hook, while it goes on. To nobody, where nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actwright.telemetry.harmless import harmless
from actwright.telemetry.listeners import anybody_listens

if TYPE_CHECKING:
    from contextvars import Context
    from datetime import datetime

    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["SILENT", "SILENT_TRY", "RunReport", "TryReport", "report_on_run", "report_on_try"]


class RunReport:
    """Of a run of which nobody wants to hear."""

    @property
    def context_to_carry(self) -> dict[str, str] | None:
        """Where the run's span stands, for other processes; None where there is none."""
        return None

    def entered(self, run: FlowRun | TaskRun) -> None:
        """It has entered its state."""

    def ended(self, run: FlowRun | TaskRun) -> None:
        """Its final state is committed. Nothing more is told of it, also when it is said again."""

    def left_behind(self, why: BaseException, at: datetime) -> None:
        """Nothing will bring it to its end here."""


class TryReport:
    """Of a try of a hook of which nobody wants to hear."""

    def ended(self, at: datetime, error: BaseException | None) -> None:
        """It succeeded, or raised `error`; past its timeout, a HookTimedOut."""

    def cut(self, at: datetime) -> None:
        """What ran it died under it: it neither succeeded nor failed."""


SILENT: Final = RunReport()
SILENT_TRY: Final = TryReport()


def report_on_run(run: FlowRun | TaskRun, context: Context, began: datetime, *, is_submitted: bool) -> RunReport:
    """A run begins. Code that runs in a copy of `context` from now on sees its span as the current one.

    Args:
        context: the context variables of its caller, whose span is the parent of the run's.
        is_submitted: another process may have written it down, and its first states with it.
    """
    if anybody_listens():
        with harmless:
            from actwright.telemetry.spans import RunSpan

            return RunSpan(run, context, began, is_submitted=is_submitted)
    return SILENT


def report_on_try(run: FlowRun | TaskRun, delivery: HookDelivery, context: Context) -> TryReport:
    """A try of a hook begins. Code that runs in `context` from now on sees its span as the current one."""
    if anybody_listens():
        with harmless:
            from actwright.telemetry.spans import TrySpan

            return TrySpan(run, delivery, context)
    return SILENT_TRY
