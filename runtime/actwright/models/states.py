"""States: what a run is in, and why.

Types and names are those that users of Prefect know. A `State` never changes; a run goes from one to the next, and
`models.transitions` says which may follow which.
"""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, cast, overload
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypeVar

from actwright.exceptions import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun
from actwright.models.ids import new_id

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "FINAL_TYPES",
    "RESULT_NOT_KEPT",
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "TimedOut",
]

R = TypeVar("R", default=Any)


class StateType(StrEnum):
    """The kinds of state. Several names may share a type: `TimedOut` is of type FAILED."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"


FINAL_TYPES = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})


RESULT_NOT_KEPT: Final = (
    "The run completed, and its result was given to its caller: history does not keep results unless it is asked to. "
    "Keep what the call or its future gives, or set persist_result=True."
)


class State(BaseModel, Generic[R]):
    """One state of one run; immutable, and equal only to itself.

    `State(type=StateType.FAILED)` takes the type's default name, "Failed".

    Attributes:
        id: of this state, not of the run.
        type: what kind of state this is; decides what may follow it.
        name: what users see: the type's default, or a finer one such as "TimedOut".
        message: why, in one line, if there is something to say.
        timestamp: when it was entered; aware, UTC.
        data: for Completed, what the body returned.
        cause: the exception that led here, if one did.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    id: UUID = Field(default_factory=new_id)
    type: StateType
    name: str = ""
    message: str | None = None
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    data: Any = Field(default=None, exclude=True, repr=False)
    cause: BaseException | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="after")
    def _default_name(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.type.value.capitalize())
        return self

    # Two states with the same words are still two events, and `data` may be something that cannot be compared.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        said = repr(self.message) if self.message else ""
        return f"{self.name}({said})"

    __str__ = __repr__

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    def is_cancelling(self) -> bool:
        return self.type is StateType.CANCELLING

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    def is_final(self) -> bool:
        """Whether nothing can follow: Completed, Failed, Cancelled, Crashed."""
        return self.type in FINAL_TYPES

    def without_result(self) -> Self:
        """This state as history keeps it: without what the body returned or raised, which may be large."""
        if self.data is None and self.cause is None:
            return self
        data = None if self.data is None else MissingResult(RESULT_NOT_KEPT)
        return self.model_copy(update={"data": data, "cause": None})

    @overload
    def result(self, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, raise_on_failure: bool = True) -> R | BaseException:
        """What the body returned, or raise why there is nothing.

        Args:
            raise_on_failure: False returns the exception instead of raising it.

        Raises:
            UnfinishedRun: the state is not final.
            MissingResult: it completed, and this state comes from history, which keeps no results.
            BaseException: what the body raised (for Crashed also its `SystemExit` or `KeyboardInterrupt`);
                `FailedRun`, `CrashedRun` or `CancelledRun` where no such exception can be raised again.
        """
        if not self.is_final():
            raise UnfinishedRun(f"The run is {self.name}: it has no result yet. Wait for it first.")
        if self.is_completed() and not isinstance(self.data, MissingResult):
            return self.data  # type: ignore[no-any-return]
        error = self._error()
        if raise_on_failure:
            raise error
        return error

    def _error(self) -> BaseException:
        if self.is_completed():
            return cast(MissingResult, self.data)
        if self.is_cancelled():
            return self._wrapped(CancelledRun, "The run was cancelled.")
        if self.is_crashed():
            # A process exit goes on to be one. A forged CancelledError must not: its new reader would be taken
            # for cancelled.
            if isinstance(self.cause, SystemExit | KeyboardInterrupt | CrashedRun):
                return self.cause
            return self._wrapped(CrashedRun, "The run crashed.")
        if self.cause is not None:
            return self.cause
        return FailedRun(self.message or f"The run is {self.name}.")

    def _wrapped(self, kind: builtins.type[CancelledRun | CrashedRun], otherwise: str) -> BaseException:
        error = kind(self.message or otherwise)
        error.__cause__ = self.cause
        return error


def Scheduled(**fields: Any) -> State[Any]:
    """A state of type SCHEDULED: the run will start later."""
    return State(type=StateType.SCHEDULED, **fields)


def AwaitingRetry(**fields: Any) -> State[Any]:
    """A SCHEDULED state named AwaitingRetry: an attempt failed, and another follows."""
    return State(type=StateType.SCHEDULED, name="AwaitingRetry", **fields)


def Pending(**fields: Any) -> State[Any]:
    """A state of type PENDING: the run exists and has not started."""
    return State(type=StateType.PENDING, **fields)


def Running(**fields: Any) -> State[Any]:
    """A state of type RUNNING."""
    return State(type=StateType.RUNNING, **fields)


def Retrying(**fields: Any) -> State[Any]:
    """A RUNNING state named Retrying: an attempt after the first."""
    return State(type=StateType.RUNNING, name="Retrying", **fields)


def Completed(**fields: Any) -> State[Any]:
    """A state of type COMPLETED; `data` is the result."""
    return State(type=StateType.COMPLETED, **fields)


def Failed(**fields: Any) -> State[Any]:
    """A state of type FAILED; `cause` is the exception, if there is one."""
    return State(type=StateType.FAILED, **fields)


def TimedOut(**fields: Any) -> State[Any]:
    """A FAILED state named TimedOut."""
    return State(type=StateType.FAILED, name="TimedOut", **fields)


def Cancelling(**fields: Any) -> State[Any]:
    """A state of type CANCELLING: the work is being stopped."""
    return State(type=StateType.CANCELLING, **fields)


def Cancelled(**fields: Any) -> State[Any]:
    """A state of type CANCELLED."""
    return State(type=StateType.CANCELLED, **fields)


def Crashed(**fields: Any) -> State[Any]:
    """A state of type CRASHED: the body was cut short."""
    return State(type=StateType.CRASHED, **fields)
