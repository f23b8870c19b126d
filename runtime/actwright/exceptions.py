"""Every error that Actwright raises, in one tree.

ActwrightError
├── AuthoringError                what was written cannot work
│   ├── ParameterBindError        arguments do not fit the signature (also a TypeError)
│   ├── ParameterTypeError        an argument has an invalid value
│   ├── MappingMissingIterable    `map` was given nothing to map over
│   ├── MappingLengthMismatch     `map` was given iterables of different lengths
│   ├── UnsupportedOption         a known option that Actwright does not have (also a TypeError)
│   ├── InvalidReturn             a body returned a state that ends nothing
│   ├── NotPicklable              something cannot go to, or come from, the process of an isolated body
│   └── MissingContextError       asked outside a run for what only a run has
├── RunError                      how a run went
│   ├── UnfinishedRun             its result was asked for too early
│   ├── FailedRun                 it failed, and no exception of its own tells why
│   ├── CrashedRun                its body was cut short
│   ├── CancelledRun              it was cancelled
│   ├── UpstreamFailed            something it waits for did not complete
│   ├── RunTimedOut               it took longer than its `timeout_seconds` (also a TimeoutError)
│   ├── MissingResult             its result was asked of history, which keeps none
│   ├── RunIsFinal                it has ended, and a final state is final
│   ├── MailboxFull               too many messages wait for it
│   └── UnansweredCommand         its process does not answer (also a TimeoutError)
├── JournalError                  history cannot be kept, or read
│   ├── JournalUnavailable        it cannot be written now
│   ├── JournalVersionError       it was written by another version of Actwright
│   ├── JournalCorrupt            the file is damaged, or is no journal
│   └── JournalLocation           it cannot be kept in that place
├── VariableError                 a variable cannot be had
│   ├── UnknownVariable           there is none of that name (also a KeyError)
│   ├── VariableExists            there is one, which is not to be overwritten (also a ValueError)
│   └── CorruptVariable           what is kept of it cannot be read
├── BlockError                    a block cannot be had, or saved
│   ├── UnknownBlock              there is none of that name (also a ValueError)
│   ├── BlockExists               there is one, which is not to be overwritten (also a ValueError)
│   ├── UnknownBlockType          no class is known for it
│   ├── WrongBlockType            it is of another class than the one that was asked for it
│   ├── MisfitBlock               what is kept of it does not fit its class any more
│   ├── CorruptBlock              what is kept of it cannot be read
│   └── SecretKeyError            its secrets cannot be encrypted or decrypted with the key that is here
├── FlowNotFound                  no flow is found by that name (also a LookupError)
├── ServiceFailed                 what a service serves could not be kept up
├── WebhookError                  a webhook did not take what it was sent
├── SlotTimeout                   no slot of a concurrency limit came free in time (also a TimeoutError)
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
    "BlockError",
    "BlockExists",
    "CancelledRun",
    "CorruptBlock",
    "CorruptVariable",
    "CrashedRun",
    "FailedRun",
    "Fenced",
    "FlowNotFound",
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
    "MailboxFull",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MisfitBlock",
    "MissingContextError",
    "MissingResult",
    "NotPicklable",
    "ParameterBindError",
    "ParameterTypeError",
    "RecordedError",
    "ReplayImportError",
    "RunError",
    "RunIsFinal",
    "RunTimedOut",
    "RuntimeClosed",
    "SecretKeyError",
    "ServiceFailed",
    "SettingsError",
    "SlotTimeout",
    "UnansweredCommand",
    "UnfinishedRun",
    "UnknownBlock",
    "UnknownBlockType",
    "UnknownVariable",
    "UnsupportedOption",
    "UpstreamFailed",
    "VariableError",
    "VariableExists",
    "WebhookError",
    "WouldDeadlock",
    "WrongBlockType",
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


class NotPicklable(AuthoringError):
    """Something cannot go to the process of an isolated body, or come back from it; the message says what, and why."""

    @classmethod
    def of(cls, what: str, why: BaseException | str, advice: str = "") -> NotPicklable:
        """That `what`, the beginning of a sentence, cannot cross; `advice` is what to do about it."""
        reason = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        advice = advice or "Use what can be: plain data, a path, what it takes to open a connection there."
        return cls(
            f"{what} cannot be pickled, and so cannot cross to or from the process of an isolated body ({reason}). "
            f"{advice}"
        )


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
    """A run that has ended was asked to be cancelled, or sent a message. A final state is final.

    Attributes:
        state_name: the state that it ended in.
    """

    def __init__(self, run_title: str, state_name: str, run_id: UUID) -> None:
        super().__init__(f"{run_title} is already {state_name}: it has ended, and nothing reaches it any more.", run_id)
        self.state_name = state_name
        self._given = run_title, state_name, run_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given, self.__dict__  # Exception's own hands the message on, which is no title


class MailboxFull(RunError):
    """A run was sent more messages than its mailbox holds, and received none of them. This one was not delivered."""


class UnansweredCommand(RunError, TimeoutError):
    """What was asked of a run in another process got no answer in time. The request is kept, and may still be met."""


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


class VariableError(ActwrightError):
    """A variable cannot be had, or set; the message names it, and says what to do."""


class UnknownVariable(VariableError, KeyError):
    """There is no variable of that name."""

    __str__ = Exception.__str__  # a KeyError's own is the repr of its message


class VariableExists(VariableError, ValueError):
    """There is a variable of that name, and nobody said that it may be overwritten."""


class CorruptVariable(VariableError):
    """What the journal has of a variable is no JSON: somebody changed it by hand, or the disk did."""


class BlockError(ActwrightError):
    """A block cannot be had, or saved; the message names it, and says what to do. What is saved stays as it is."""


class UnknownBlock(BlockError, ValueError):
    """There is no block of that type and name."""


class BlockExists(BlockError, ValueError):
    """There is a block of that type and name, and nobody said that it may be overwritten."""


class UnknownBlockType(BlockError):
    """A block is there, and nothing that is imported here defines its class."""


class WrongBlockType(BlockError):
    """A class was asked for a block of another class."""


class MisfitBlock(BlockError):
    """What was saved of a block does not fit its class, which has changed since."""


class CorruptBlock(BlockError):
    """What the journal has of a block cannot be read: somebody changed it by hand, or the disk did."""


class SecretKeyError(BlockError):
    """The secrets of blocks cannot be encrypted or decrypted: there is no key here, it cannot be used, or it is another
    than the one that they were encrypted with."""


class FlowNotFound(ActwrightError, LookupError):
    """No flow is found by that name, or by no name that another process knows."""


class ServiceFailed(ActwrightError):
    """What a service serves fell again and again: it was given up, and with it the service."""


class WebhookError(ActwrightError):
    """What was sent did not arrive, or was not taken. The message has the host; never the rest of the URL, nor headers.

    Attributes:
        host: the one that it was sent to; "" where the URL has none.
        status: of the answer; None when there was none.
    """

    def __init__(self, message: str, host: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.host = host
        self.status = status


class SlotTimeout(ActwrightError, TimeoutError):
    """No slot of a concurrency limit came free within `timeout_seconds`.

    Attributes:
        holders: who had the slots then: titles of runs, and processes.
    """

    def __init__(self, message: str, holders: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders

    def __reduce__(self) -> tuple[type[SlotTimeout], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.holders)


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
        return super().__str__() or "The run of this body was cancelled, or timed out: the body is to end."
