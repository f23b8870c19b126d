"""What the engine asks of a journal. The engine knows no other way to write history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from datetime import datetime
    from uuid import UUID

    from actwright.authoring.registration import Registration
    from actwright.exceptions import ActwrightError
    from actwright.models.commands import Answer, Command
    from actwright.models.deliveries import HookDelivery
    from actwright.models.events import RunEvent
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.slots import Claim, SlotRow

__all__ = ["CommandAnswered", "DeliveryChanged", "Journal", "LogLine", "Record", "Slots", "TakeCommand", "Transition"]


class Transition(NamedTuple):
    """A run entered `run.state`, which makes `deliveries` due: one record, so that neither exists without the other.

    The first transition of a run, into Pending or Scheduled, is what makes it exist.

    Attributes:
        registration: the run's hooks, as another process finds them again; None when it has none.
        result: what the body returned, as JSON, where it is to be kept.
    """

    run: FlowRun | TaskRun
    deliveries: tuple[HookDelivery, ...] = ()
    registration: Registration | None = None
    result: str | None = None


class DeliveryChanged(NamedTuple):
    """A delivery was started, ended or skipped."""

    delivery: HookDelivery


class LogLine(NamedTuple):
    """A line of a run's log.

    Attributes:
        fields: what was given as `extra`, and the exception that it tells of as `exc_info`, as JSON; None when there
            was nothing.
    """

    run_id: UUID
    at: datetime
    level: int
    logger: str
    message: str
    fields: str | None = None


class CommandAnswered(NamedTuple):
    """What came of a request of another process."""

    command_id: UUID
    at: datetime
    answer: Answer


Record = Transition | DeliveryChanged | LogLine | CommandAnswered

TakeCommand: TypeAlias = "Callable[[Command, Callable[[Answer], object]], bool]"
"""Carries a command out if its run lives there, and says whether it does. It must not wait: the answer is given by the
function that it gets, now or later, in whatever thread."""


class Slots(Protocol):
    """Of a journal's concurrency limits, what a run's actor asks about. Never waits."""

    def may_be_limited(self, tags: Iterable[str]) -> bool:
        """Whether a run with these tags has to ask for slots: not where none of them had a limit a moment ago."""
        ...

    def is_queued(self, claim_id: str) -> bool:
        """Whether a claim waits for slots that others have, and is not just being looked at."""
        ...


class Journal(Protocol):
    """One ordered log with one writer. Every method may be called from any thread."""

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        """Add records, in order, all or none.

        It never waits and never raises. `committed` is called once they are durable, in whatever thread the journal
        likes: also before this method returns, when there is nothing to wait for.
        """
        ...

    def check(self, wait_seconds: float | None = None) -> None:
        """Whether a new run may begin.

        Raises:
            JournalUnavailable: it has not been able to write for `wait_seconds`; None is what its settings say.
            Fenced: another process has taken over what this one wrote.
        """
        ...

    @property
    def is_durable(self) -> bool:
        """Whether it outlives its process, so that what another one needs to run hooks has to be kept too."""
        ...

    @property
    def own_key(self) -> bytes | None:
        """What secrets of blocks are encrypted with in one that ends with its process; None of one that is durable."""
        ...

    def has_room(self, or_call: Callable[[], object]) -> bool:
        """Whether there is room for what a new run will add; if not, `or_call` is called once there is, in whatever
        thread."""
        ...

    def on_fenced(self, fn: Callable[[ActwrightError], object]) -> Callable[[], None]:
        """Have `fn` called, in whatever thread, if another process takes over what this one wrote. The function that
        is returned takes that back."""
        ...

    def watch_commands(self, take: TakeCommand) -> Callable[[], None]:
        """Have `take` called, in a thread of the journal's, with each command of another process for a run that is
        written here. The function that is returned takes that back."""
        ...

    def run(self, run_id: UUID) -> FlowRun | TaskRun | None:
        """A run as it last was, or None when it is unknown or pruned."""
        ...

    def runs(self) -> Sequence[FlowRun | TaskRun]:
        """All runs that are kept, each as it last was, oldest first."""
        ...

    def transitions(self, run_id: UUID) -> Sequence[Transition]:
        """What the run went through, in order."""
        ...

    def events(self, run_id: UUID, since: int = 0) -> Sequence[RunEvent] | None:
        """The same with their places in history, those after `since`; rising, and not without gaps. None when the run
        is final and entered nothing after that."""
        ...

    def deliveries(self, run_id: UUID | None = None) -> Sequence[HookDelivery]:
        """The deliveries of one run, or all that are kept, in the order in which they became due."""
        ...

    def lines(self, run_id: UUID) -> Sequence[LogLine]:
        """What the run logged, in order, as far as it is kept."""
        ...

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises KeyError when there is none, CorruptVariable when it cannot be read."""
        ...

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        """Set a variable. Raises FileExistsError when there is one and `overwrite` is false."""
        ...

    def unset_variable(self, name: str) -> bool:
        """Forget a variable; whether there was one."""
        ...

    @property
    def slots(self) -> Slots:
        """Which runs have to ask for slots of the limits of their tags."""
        ...

    def ask_slots(self, claim: Claim) -> Future[None]:
        """Ask for slots of concurrency limits. The answer comes when they are there, in whatever thread; until
        `free_slots` they are held. Never waits.

        An error is an answer, too: WouldDeadlock, and whatever a journal that cannot be written raises.
        """
        ...

    def free_slots(self, claim_id: str) -> None:
        """Give them back, or wait for them no longer. Never waits; in a forked child it does nothing."""
        ...

    def give_up_slots(self, claim_id: str) -> Future[list[SlotRow] | None]:
        """Wait for them no longer; tells what stood in the way. None: they have come by now, and are held."""
        ...

    def tag_limits(self) -> dict[str, int]:
        """Tag -> slots, of each tag that has a limit; sorted."""
        ...

    def set_tag_limit(self, tag: str, slots: int) -> None:
        """Limit a tag, or change its limit."""
        ...

    def unset_tag_limit(self, tag: str) -> bool:
        """Limit a tag no longer; whether it was."""
        ...

    def block(self, slug: str, name: str) -> bytes:
        """The document of a block, as it is kept. Raises KeyError when there is none."""
        ...

    def block_names(self) -> Sequence[tuple[str, str]]:
        """The slug and the name of each block, sorted."""
        ...

    def set_block(self, slug: str, name: str, document: str, *, overwrite: bool) -> None:
        """Keep a document: JSON, with no secret in the clear. Raises FileExistsError when there is one of that name and
        `overwrite` is false."""
        ...

    def unset_block(self, slug: str, name: str) -> bool:
        """Forget a block; whether there was one."""
        ...
