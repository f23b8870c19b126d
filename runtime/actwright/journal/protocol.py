"""What the engine asks of a journal. `memory` is one; the engine knows no other way to write history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["DeliveryChanged", "Journal", "Record", "Transition"]


@dataclass(frozen=True, slots=True)
class Transition:
    """A run entered `run.state`, which makes `deliveries` due: one record, so that neither exists without the other.

    The first transition of a run, into Pending or Scheduled, is what makes it exist.
    """

    run: FlowRun | TaskRun
    deliveries: tuple[HookDelivery, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryChanged:
    """A delivery was started, ended or skipped."""

    delivery: HookDelivery


Record = Transition | DeliveryChanged


class Journal(Protocol):
    """One ordered log with one writer. Every method may be called from any thread."""

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        """Add records, in order, all or none.

        It never waits. `committed` is called once they are durable, in whatever thread the journal likes: also
        before this method returns, when there is nothing to wait for.
        """
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

    def deliveries(self, run_id: UUID | None = None) -> Sequence[HookDelivery]:
        """The deliveries of one run, or all that are kept, in the order in which they became due."""
        ...

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises KeyError when there is none."""
        ...

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        """Set a variable. Raises FileExistsError when there is one and `overwrite` is false."""
        ...

    def unset_variable(self, name: str) -> bool:
        """Forget a variable; whether there was one."""
        ...
