"""Every error that Actwright raises, in one tree.

ActwrightError
├── AuthoringError                what was written cannot work
│   ├── ParameterBindError        arguments do not fit the signature (also a TypeError)
│   ├── ParameterTypeError        an argument has an invalid value
│   ├── MappingMissingIterable    `map` was given nothing to map over
│   ├── MappingLengthMismatch     `map` was given iterables of different lengths
│   ├── UnsupportedOption         a known option that Actwright does not have (also a TypeError)
│   ├── InvalidReturn             a body returned a state that ends nothing
│   └── MissingContextError       asked outside a run for what only a run has
├── RunError                      how a run went
│   ├── UnfinishedRun             its result was asked for too early
│   ├── FailedRun                 it failed, and no exception of its own tells why
│   ├── CrashedRun                its body was cut short
│   ├── CancelledRun              it was cancelled
│   ├── UpstreamFailed            something it waits for did not complete
│   ├── RunTimedOut               it took longer than its `timeout_seconds` (also a TimeoutError)
│   ├── MissingResult             its result was asked of history, which keeps none
│   └── RunIsFinal                it has ended, and a final state is final
├── JournalError                  history cannot be kept, or read
│   ├── JournalUnavailable        it cannot be written now
│   ├── JournalVersionError       it was written by another version of Actwright
│   ├── JournalCorrupt            the file is damaged, or is no journal
│   └── JournalLocation           it cannot be kept in that place
├── HookTimedOut                  a hook took longer than its timeout (also a TimeoutError)
├── RecordedError                 an exception of another process, as history keeps it
├── ReplayImportError             code that is loaded to replay a hook called a flow
├── RuntimeClosed                 a Runtime that is not open was called
│   └── ForkedRuntime             a Runtime of the process that this one was forked from was called
├── Fenced                        another process took this one's runs over
├── SettingsError                 a setting has a value that cannot be (also a ValueError)
├── WouldDeadlock                 a wait that could never end
└── InternalError                 a bug of ours: please report it

Beside it stands Interrupted (a BaseException): raised in a plain body that is to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

__all__ = [
    "ActwrightError",
    "AuthoringError",
    "CancelledRun",
    "CrashedRun",
    "FailedRun",
    "Fenced",
    "ForkedRuntime",
    "HookTimedOut",
    "InternalError",
    "Interrupted",
    "InvalidReturn",
    "JournalCorrupt",
    "JournalError",
    "JournalLocation",
    "JournalUnavailable",
    "JournalVersionError",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MissingContextError",
    "MissingResult",
    "ParameterBindError",
    "ParameterTypeError",
    "RecordedError",
    "ReplayImportError",
    "RunError",
    "RunIsFinal",
    "RunTimedOut",
    "RuntimeClosed",
    "SettingsError",
    "UnfinishedRun",
    "UnsupportedOption",
    "UpstreamFailed",
    "WouldDeadlock",
]


class ActwrightError(Exception):
    """The root: `except ActwrightError` catches whatever Actwright itself raises, and nothing of yours."""


class AuthoringError(ActwrightError):
    """What was written cannot work as it stands."""


class ParameterBindError(AuthoringError, TypeError):
    """The arguments of a call do not fit the signature: one is missing, unknown or given twice. No run exists."""


class ParameterTypeError(AuthoringError):
    """One or more arguments have invalid values. The run is Failed, and its hooks run.

    Attributes:
        errors: parameter name -> what is wrong with its value.
    """

    def __init__(self, message: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.errors = dict(errors or {})


class MappingMissingIterable(AuthoringError):
    """`map` needs at least one iterable argument that is not wrapped in `unmapped`."""


class MappingLengthMismatch(AuthoringError):
    """`map` needs iterables of one length."""


class UnsupportedOption(AuthoringError, TypeError):
    """An option that users of other libraries know, and that Actwright does not have; the message says what to use."""


class InvalidReturn(AuthoringError):
    """A body returned a state that is neither final nor Cancelling, which cannot end a run."""


class MissingContextError(AuthoringError):
    """Something that only a run has was asked for where no run is."""


class RunError(ActwrightError):
    """How a run went. `run_id` names it where it is known."""

    def __init__(self, message: str, run_id: UUID | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class UnfinishedRun(RunError):
    """The result of a run was asked for before it had one."""


class FailedRun(RunError):
    """The run is Failed, and no exception of its own tells why (its body returned a Failed state, say)."""


class CrashedRun(RunError):
    """The run is Crashed: its body was cut short by something that no handler of its own could mend."""


class CancelledRun(RunError):
    """The run was cancelled; also raised by whatever the body of a cancelled run calls afterwards."""


class UpstreamFailed(RunError):
    """A run never started, since something that it waits for did not complete.

    Wrap the argument in `allow_failure(...)` to start it all the same.
    """


class RunTimedOut(RunError, TimeoutError):
    """The body took longer than its `timeout_seconds`."""


class MissingResult(RunError):
    """The run completed, and what it returned cannot be had here: history does not keep results."""


class RunIsFinal(RunError):
    """A run that has ended was asked to be cancelled. A final state is final.

    Attributes:
        state_name: the state that it ended in.
    """

    def __init__(self, run_title: str, state_name: str, run_id: UUID) -> None:
        super().__init__(f"{run_title} is already {state_name}: what has ended cannot be cancelled.", run_id)
        self.state_name = state_name


class JournalError(ActwrightError):
    """History cannot be kept, or read; the message names the file, what was found, and what to do."""


class JournalUnavailable(JournalError):
    """History cannot be written now: the disk is full, say, or another program holds the file.

    Attributes:
        state: the state that the run ended in, result included, when it had ended before history could tell: the
            work is done, and must not be done again for want of an answer. None when no run began.
    """

    def __init__(self, message: str, state: Any = None) -> None:
        super().__init__(message)
        self.state = state


class JournalVersionError(JournalError):
    """The file was written by another version of Actwright. It was not touched."""


class JournalCorrupt(JournalError):
    """The file is damaged, or was never a journal."""


class JournalLocation(JournalError):
    """History cannot be kept in that place: a network file system, a folder that cannot be written, ..."""


class HookTimedOut(ActwrightError, TimeoutError):
    """A hook took longer than its timeout. It is recorded as failed; the run's state does not change."""


class RecordedError(ActwrightError):
    """An exception that was raised in a process that is gone, as history keeps it.

    Attributes:
        type_name: of the exception: "ValueError", "requests.exceptions.ConnectionError".
        message: what it said.
        traceback: as Python would have printed it; "" when none was kept.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(type_name, message, traceback)  # all three, so that it can be pickled
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class ReplayImportError(ActwrightError):
    """A flow was called, or a Runtime opened, while code was loaded to replay a hook.

    A script without `if __name__ == "__main__":` would do all its work again.
    """


class RuntimeClosed(ActwrightError):
    """A Runtime was called that is not open yet, not open any more, or draining."""


class ForkedRuntime(RuntimeClosed):
    """A Runtime, or a journal, of the process that this one was forked from was used. A new call opens its own."""


class Fenced(ActwrightError):
    """Another process took this node over: its runs are settled there, and nothing that this one adds is kept."""


class SettingsError(ActwrightError, ValueError):
    """Settings have values that cannot be; the message names each, and the variable or file that sets it."""


class WouldDeadlock(ActwrightError):
    """A blocking wait on an event loop's own thread for something that needs that loop to go on."""


class InternalError(ActwrightError):
    """A bug of Actwright's, not of yours. Please report it, with the traceback."""


class Interrupted(BaseException):
    """Raised in a plain body whose run was cancelled or timed out, wherever it stands just then: it is to end.

    No `Exception`, so that `except Exception` does not keep a body from ending. It is raised once; `finally` and
    `except` clean up in peace, within the grace. Swallowed, it changes nothing: the run ends Cancelled, or TimedOut.
    `actwright.runtime.no_interrupt` holds it off.
    """

    def __str__(self) -> str:
        return "The run of this body was cancelled, or timed out: the body is to end."
