"""What other processes ask of a run: kept in the journal until the run's own process has answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from actwright.exceptions import RunError, RunIsFinal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

__all__ = ["Answer", "Command", "CommandKind", "Outcome", "checked_reason"]


class CommandKind(StrEnum):
    """CANCEL: stop the run. SEND: put a message into its mailbox."""

    CANCEL = "cancel"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Command:
    """One request.

    Attributes:
        id: a second one with the same id is the same request.
        payload: JSON; of a cancel `reason`, of a message what `authoring.letters` makes of it.
    """

    id: UUID
    run_id: UUID
    kind: CommandKind
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def reason(self) -> str | None:
        """Of a cancel, why. Whatever else somebody wrote there must not keep the run from being cancelled."""
        given = self.payload.get("reason")
        return given if isinstance(given, str) else None


class Outcome(StrEnum):
    """ACCEPTED: done, or Cancelling is committed. FINAL: the run had ended. REFUSED: something else is in the way."""

    ACCEPTED = "accepted"
    FINAL = "final"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    Attributes:
        detail: of FINAL the name of the state, of REFUSED the reason.
    """

    outcome: Outcome
    detail: str = ""

    @classmethod
    def of(cls, error: BaseException | None) -> Self:
        """What an error, or its absence, tells whoever asked in another process."""
        match error:
            case None:
                return cls(Outcome.ACCEPTED)
            case RunIsFinal(state_name=name):
                return cls(Outcome.FINAL, name)
            case _:
                return cls(Outcome.REFUSED, str(error) or type(error).__name__)

    def raise_if_refused(self, run_title: str, run_id: UUID) -> None:
        """Raise what whoever asked would have got in the run's own process.

        Raises:
            RunIsFinal: the run had ended.
            RunError: it was refused.
        """
        if self.outcome is Outcome.FINAL:
            raise RunIsFinal(run_title, self.detail, run_id)
        if self.outcome is Outcome.REFUSED:
            raise RunError(f"{run_title}: {self.detail}", run_id)


def checked_reason(reason: object) -> str | None:
    """Why a run is to be cancelled, as it was given by a user.

    Raises:
        TypeError: it is no text.
    """
    if reason is None or isinstance(reason, str):
        return reason
    raise TypeError(f"cancel: reason must be text that says why, or None; got {reason!r}.")
