"""What becomes of the runs and hooks of a node that died: pure functions, whose decisions `takeover` carries out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from actwright.authoring.registration import due_for
from actwright.exceptions import InternalError
from actwright.journal.protocol import Transition
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.ids import new_id
from actwright.models.states import Cancelled, Cancelling, Crashed, State
from actwright.models.transitions import awaiting_retry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from actwright.authoring.registration import DueHook, RegisteredHook, Registration
    from actwright.models.runs import FlowRun, TaskRun

__all__ = [
    "ALONE_FROM_CUT", "LAST_SECONDS", "OpenDelivery", "OpenRun", "Settlement", "Work", "backend_of", "children_first",
    "next_work", "settled_delivery", "settled_run", "settled_runs",
]  # fmt: skip

LAST_SECONDS: Final = 5.0
"""How long threads that hooks left behind may go on when a replay process has nothing else to do."""

ALONE_FROM_CUT: Final = 2
"""From its second cut on, a delivery is replayed in a process of its own: then nobody else can be to blame."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose process died before the run was final, with the hooks that were registered for it."""

    run: FlowRun | TaskRun
    registration: Registration | None


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery that is due or was under way.

    Attributes:
        run: as it was when it entered the state that the delivery is for.
    """

    delivery: HookDelivery
    run: FlowRun | TaskRun
    registration: Registration | None

    @property
    def known(self) -> Registration:
        """The registration; there is one, since there is a delivery."""
        if self.registration is None:
            raise InternalError(f"Delivery {self.delivery.id} is of a run without registered hooks.")
        return self.registration

    @property
    def registered(self) -> DueHook:
        """The hook, as it was registered."""
        return due_for(self.known, self.run.state)[self.delivery.position]

    @property
    def hook(self) -> RegisteredHook:
        return self.registered.hook


def children_first(runs: Iterable[OpenRun]) -> list[OpenRun]:
    """In the order in which they are settled: no run before those that it called."""
    by_id = {open_run.run.id: open_run for open_run in runs}
    depths: dict[UUID | None, int] = {}
    for open_run in by_id.values():
        line: list[UUID] = []  # from this run upwards, as far as nothing is known yet
        above: UUID | None = open_run.run.id
        while above is not None and above in by_id and above not in depths:
            line.append(above)
            above = by_id[above].run.parent_id
        first = depths.get(above, -1) + 1
        depths.update((run_id, depth) for depth, run_id in enumerate(reversed(line), first))
    return sorted(by_id.values(), key=lambda open_run: depths[open_run.run.id], reverse=True)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of the runs of a process that died.

    Attributes:
        steps: the states that they enter, no run's end before those of the runs that it called.
        unbegun: submitted runs, which another process may claim: no body of theirs was at work.
        retried: submitted runs, which another process may claim: their body was at work, and so is tried again.
    """

    steps: list[Transition] = field(default_factory=list[Transition])
    unbegun: list[UUID] = field(default_factory=list["UUID"])
    retried: list[UUID] = field(default_factory=list["UUID"])


def settled_runs(
    runs: Iterable[OpenRun],
    why: str,
    at: datetime,
    cancels: Mapping[UUID, str | None],
    crash_retries: Mapping[UUID, int] = MappingProxyType({}),
) -> Settlement:
    """What becomes of the runs of a process that died.

    Args:
        cancels: of each run that somebody asked to cancel, and whose process died before it did so, the reason. It ends
            Cancelled, and with it what it called.
        crash_retries: of each that was submitted, how many more processes may die while its body runs.
    """
    ordered = children_first(runs)
    cancels = _with_what_they_called(ordered, cancels)
    settlement = Settlement()
    for each in ordered:
        state, left = each.run.state, crash_retries.get(each.run.id)
        if left is None or each.run.id in cancels or state.is_cancelling():
            settlement.steps.extend(_ending(each, why, at, cancels))
        elif not state.is_running():
            settlement.unbegun.append(each.run.id)
        elif left > 0:
            settlement.steps.append(_to_be_tried_again(each, why, at, left))
            settlement.retried.append(each.run.id)
        else:
            settlement.steps.append(settled_run(each, why, at))
    return settlement


def _ending(each: OpenRun, why: str, at: datetime, cancels: Mapping[UUID, str | None]) -> Iterator[Transition]:
    if each.run.id in cancels and not each.run.state.is_cancelling():
        step = _entered(each, Cancelling(message=cancels[each.run.id], timestamp=at))
        yield step
        each = replace(each, run=step.run)
    yield settled_run(each, why, at)


def _to_be_tried_again(each: OpenRun, why: str, at: datetime, left: int) -> Transition:
    died = Crashed(message=f"{why} It was {each.run.state.name}")
    return _entered(each, awaiting_retry(died, left, 0.0).model_copy(update={"timestamp": at}))


def _with_what_they_called(ordered: Sequence[OpenRun], cancels: Mapping[UUID, str | None]) -> Mapping[UUID, str | None]:
    """The reason of what they called tells where it began, and is the same for all of it."""
    titles = {each.run.id: each.run.title for each in ordered}
    all_of_them = dict(cancels)
    for each in reversed(ordered):  # callers first
        above = each.run.parent_id
        if above is not None and above in titles and above in all_of_them and each.run.id not in all_of_them:
            why = all_of_them[above]
            all_of_them[each.run.id] = f"{titles[above]}: {why or 'it was cancelled.'}" if above in cancels else why
    return all_of_them


def settled_run(open_run: OpenRun, why: str, at: datetime) -> Transition:
    """The end of a run whose process died: Cancelled where that was under way, and else Crashed; with what that makes
    due."""
    before = open_run.run.state
    state: State[Any] = (
        Cancelled(message=before.message, timestamp=at)
        if before.is_cancelling()
        else Crashed(message=f"{why} It was {before.name}.", timestamp=at)
    )
    return _entered(open_run, state)


def _entered(open_run: OpenRun, state: State[Any]) -> Transition:
    """The run enters a state, with what that makes due for another process than its own."""
    registered = due_for(open_run.registration, state) if open_run.registration else ()
    deliveries = [
        HookDelivery(
            id=new_id(),
            transition_id=state.id,
            run_id=open_run.run.id,
            event=due.event,
            hook_name=due.name,
            position=due.position,
            due_at=state.timestamp,
            replayed=True,
        )
        for due in registered
    ]
    return Transition(open_run.run.entered(state), tuple(deliveries), open_run.registration)


def settled_delivery(
    delivery: HookDelivery, hook: RegisteredHook, max_deaths: int, at: datetime, *, tells: bool = False
) -> HookDelivery:
    """An open delivery of a process that died: to be replayed, unless its hook is what kills its process each time, or
    announces a body that will never start.

    Args:
        tells: somebody is to be told of a delivery that failed for good.
    """
    delivery = delivery.changed(replayed=True)
    if delivery.status is DeliveryStatus.DUE:
        if delivery.event == "on_running" and delivery.attempt == 0:
            return delivery.skipped(at, "its process died before it began, and the body that it announces never starts")
        return delivery.waiting_at_most(hook.retry_delay_seconds, at)
    if delivery.untold is not None:
        return _cut_telling(delivery.changed(untold=delivery.untold + 1), max_deaths)
    cut = delivery.to_be_retried(at, "the death of its process cut it short").changed(cuts=delivery.cuts + 1)
    why = _why_given_up(cut, hook.max_attempts, max_deaths)
    if why is None:
        return cut
    return cut.to_be_told(at, why) if tells else cut.failed(at, why)


def _why_given_up(cut: HookDelivery, max_attempts: int | None, max_deaths: int) -> str | None:
    if max_attempts is not None and cut.attempt >= max_attempts:
        return f"the death of its process cut attempt {cut.attempt} of {max_attempts} short"
    deaths_alone = cut.deaths - ALONE_FROM_CUT
    if deaths_alone >= max_deaths:
        return f"its process died each of the {deaths_alone} times that it ran alone in one"
    return None


def _cut_telling(cut: HookDelivery, max_deaths: int) -> HookDelivery:
    """Telling that it failed is as a hook: done again, as long as it is not what kills its process each time."""
    why = _why_given_up(cut, None, max_deaths)
    if why is None:
        return cut.changed(status=DeliveryStatus.DUE)
    return cut.told().changed(error=f"{cut.error} (on_hook_failure was not told: {why})")


@dataclass(frozen=True, slots=True)
class Work:
    """What one replay process does.

    Attributes:
        due: in order.
        others_from: when another process could begin with the rest, or could have; None where that is nothing.
    """

    due: list[OpenDelivery]
    others_from: datetime | None


def next_work(due: Sequence[OpenDelivery], callers: Mapping[UUID, UUID | None]) -> Work:
    """Of what is due, as much as may share a process: first what was never begun, then what may be begun again first.
    What comes after another one, in its run or in a run that called that, has no turn before it.

    Args:
        callers: of each run for which something is due, and of those around it, the one that called it.
    """
    placed = sorted(zip(_turns(due, callers), due, strict=True), key=itemgetter(0))
    work = _sharing([each for _, each in placed])
    rest = placed[len(work) :]
    return Work(work, rest[0][0] if rest else None)


_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def _turns(due: Iterable[OpenDelivery], callers: Mapping[UUID, UUID | None]) -> Iterator[datetime]:
    """When each could begin, as far as that decides who goes first."""
    held: dict[UUID, datetime] = {}  # by an earlier one, of the same run or of one that it called
    for each in due:
        own = each.delivery.next_at or each.delivery.ended_at or _FIRST
        turn = max(own, held.get(each.run.id, _FIRST))
        yield turn
        run: UUID | None = each.run.id
        while run is not None and held.get(run, _FIRST) < turn:
            held[run] = turn
            run = callers.get(run)


def _sharing(due: Sequence[OpenDelivery]) -> list[OpenDelivery]:
    """As many from the first as may share a process."""
    if not due or due[0].delivery.deaths >= ALONE_FROM_CUT:
        return list(due[:1])
    backend = backend_of(due[0])
    return list(takewhile(lambda each: each.delivery.deaths < ALONE_FROM_CUT and backend_of(each) == backend, due))


def backend_of(due: OpenDelivery) -> str | None:
    """What the run's hooks are written for: what it ran on."""
    return due.registration.backend if due.registration else None
