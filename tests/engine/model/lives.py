"""The events of a log, sorted by the runs and the deliveries that they are about: what the rules look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.engine.model import program as do
from tests.engine.model.log import (
    Asked,
    Awaited,
    BodyBegan,
    BodyEnded,
    Changed,
    Entered,
    Event,
    HookBegan,
    HookEnded,
    Intervened,
    Log,
    Noted,
    Received,
    Sent,
    Told,
    node_name,
)

from actwright.models.deliveries import DeliveryStatus, HookDelivery

__all__ = ["FINAL", "Body", "Change", "Delivery", "History", "Life", "Step"]

FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
ENDED = (DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)


class Change(NamedTuple):
    """Where a delivery stood, from a place in the log and a time on."""

    place: int
    at: float
    delivery: HookDelivery


@dataclass(slots=True)
class Delivery:
    """What became of one hook's due call.

    Attributes:
        script: what the hook does.
        changes: from when it became due.
        calls, ends: (place in the log, what the hook says).
    """

    script: do.HookScript
    changes: list[Change]
    calls: list[tuple[int, HookBegan]] = field(default_factory=list[tuple[int, HookBegan]])
    ends: list[tuple[int, HookEnded]] = field(default_factory=list[tuple[int, HookEnded]])

    @property
    def now(self) -> HookDelivery:
        return self.changes[-1].delivery

    @property
    def is_deferred(self) -> bool:
        """Whether it waits for the body to unwind."""
        return self.now.event == "on_cancellation" and not self.script.at_once

    @property
    def begun(self) -> Change | None:
        """Where it was begun for the first time."""
        return next((change for change in self.changes if change.delivery.status is DeliveryStatus.RUNNING), None)

    @property
    def failures(self) -> list[HookDelivery]:
        """How it stood after each try that failed."""
        changes = [change.delivery for change in self.changes]
        return [now for now in changes if now.error and now.status is not DeliveryStatus.RUNNING]

    @property
    def ended_at(self) -> int | None:
        return next((change.place for change in self.changes if change.delivery.status in ENDED), None)

    def ended_before(self, place: int) -> bool:
        return self.ended_at is not None and self.ended_at < place


@dataclass(slots=True)
class Step:
    """A state that a run entered, at a place in the log."""

    place: int
    entered: Entered
    deliveries: list[Delivery]

    @property
    def row(self) -> str:
        return _row(self.entered)

    @property
    def batches(self) -> list[list[Delivery]]:
        """Hooks that run one after another: those that wait for the body to unwind are for themselves."""
        at_once = [delivery for delivery in self.deliveries if not delivery.is_deferred]
        deferred = [delivery for delivery in self.deliveries if delivery.is_deferred]
        return [batch for batch in (at_once, deferred) if batch]

    def waited_for(self) -> Iterator[Delivery]:
        """Those that the run waits for, before it goes on or its caller hears of its end."""
        for batch in self.batches:
            last = max((place + 1 for place, one in enumerate(batch) if one.script.wait), default=0)
            yield from batch[: len(batch) if self.row == "RUNNING" else last]

    @property
    def is_waited_out(self) -> bool:
        """Whether those that the run waits for are done."""
        return all(delivery.ended_at is not None for delivery in self.waited_for())


@dataclass(slots=True)
class Body:
    """One attempt of a body, and the places in the log where it began and ended."""

    began_at: int
    began: BodyBegan
    ended_at: int | None = None
    ended: BodyEnded | None = None


@dataclass(slots=True)
class Life:
    """All of one run.

    Attributes:
        sent, received: messages, by number.
        awaits: its body stands in a `receive`.
    """

    label: str
    node: do.Node
    parent: Life | None
    steps: list[Step] = field(default_factory=list[Step])
    bodies: dict[int, Body] = field(default_factory=dict[int, Body])
    children: list[Life] = field(default_factory=list["Life"])
    interventions: list[tuple[int, Intervened]] = field(default_factory=list[tuple[int, Intervened]])
    answers: list[tuple[int, Asked]] = field(default_factory=list[tuple[int, Asked]])
    sent: list[int] = field(default_factory=list[int])
    received: list[int] = field(default_factory=list[int])
    awaits: bool = False

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def is_final(self) -> bool:
        return self.last.row in FINAL

    @property
    def is_done(self) -> bool:
        """Whether it is final, and the hooks that its caller waits for are done."""
        return self.is_final and self.last.is_waited_out

    @property
    def attempt(self) -> int:
        return self.last.entered.run.run_count

    @property
    def body(self) -> Body | None:
        """That of the attempt that the run is in."""
        return self.bodies.get(self.attempt)

    def was(self, *what: str, before: float = math.inf) -> bool:
        """Whether one of these was done to this run from outside, before a place in the log."""
        return any(place < before and intervened.what in what for place, intervened in self.interventions)

    def family(self) -> Iterator[Life]:
        """It, its caller, that one's caller, ..."""
        life: Life | None = self
        while life is not None:
            yield life
            life = life.parent


class History:
    """A log, read.

    Attributes:
        lives: of all runs, callers before those that they called.
        told: (place, the state that somebody was given as a run's end).
        closed_at: the place at which the Runtime began to close, if it did.
        hooks_cut_at: when the hook actor was killed for the last time, if it was.
    """

    def __init__(self, log: Log, program: do.Program, nodes: dict[str, do.Node]) -> None:
        self.now = log.now()
        self.program = program
        self.told: list[tuple[int, UUID]] = []
        self.closed_at: int | None = None
        self.hooks_cut_at: float | None = None
        self._lives: dict[UUID, Life] = {}
        self._deliveries: dict[UUID, Delivery] = {}
        self._nodes = nodes
        self._labels = log.labels
        for place, event in enumerate(log.events):
            self._take(place, event)

    @property
    def lives(self) -> list[Life]:
        return list(self._lives.values())

    @property
    def deliveries(self) -> list[Delivery]:
        return list(self._deliveries.values())

    def life(self, run_id: UUID) -> Life:
        return self._lives[run_id]

    def steps(self) -> Iterator[tuple[Life, Step]]:
        for life in self.lives:
            for step in life.steps:
                yield life, step

    def final_steps(self) -> dict[UUID, Step]:
        """From a final state's id to where it was entered."""
        return {step.entered.run.state.id: step for _, step in self.steps() if step.row in FINAL}

    def scripts(self, node: do.Node) -> Sequence[tuple[str, do.HookScript]]:
        """The hooks that are registered for a run of the node, by name: its own, then the Runtime's."""
        own = [(f"{node.name} {script.event} {number}", script) for number, script in enumerate(node.hooks)]
        if node.name.startswith("H"):
            return own
        everywhere = enumerate(self.program.everywhere)
        return [*own, *((f"runtime {script.event} {number}", script) for number, script in everywhere)]

    def _take(self, place: int, event: Event) -> None:
        match event:
            case Entered():
                self._enter(place, event)
            case Changed(delivery):
                self._deliveries[delivery.id].changes.append(Change(place, event.at, delivery))
            case BodyBegan(run_id, attempt):
                self._lives[run_id].bodies[attempt] = Body(place, event)
            case BodyEnded(run_id, attempt):
                body = self._lives[run_id].bodies[attempt]
                body.ended_at, body.ended = place, event
            case HookBegan(delivery_id):
                self._deliveries[delivery_id].calls.append((place, event))
            case HookEnded(delivery_id):
                self._deliveries[delivery_id].ends.append((place, event))
            case Told(state_id):
                self.told.append((place, state_id))
            case Asked(run_id):
                self._lives[run_id].answers.append((place, event))
            case Intervened(what, _, run_id):
                if run_id is not None:
                    self._lives[run_id].interventions.append((place, event))
                elif what == "close":
                    self.closed_at = place
                elif what == "kill hooks":
                    self.hooks_cut_at = event.at
            case Sent(run_id, number):
                self._lives[run_id].sent.append(number)
            case Awaited(run_id):
                self._lives[run_id].awaits = True
            case Received(run_id, number):
                self._lives[run_id].awaits = False
                self._lives[run_id].received += [] if number is None else [number]
            case Noted():
                pass

    def _enter(self, place: int, event: Entered) -> None:
        run = event.run
        if run.id not in self._lives:
            parent = self._lives[run.parent_id] if run.parent_id else None
            self._lives[run.id] = life = Life(self._labels[run.id], self._nodes[node_name(run)], parent)
            if parent is not None:
                parent.children.append(life)
        life = self._lives[run.id]
        scripts = dict(self.scripts(life.node))
        made = [Delivery(scripts[one.hook_name], [Change(place, event.at, one)]) for one in event.deliveries]
        self._deliveries.update({one.now.id: one for one in made})
        life.steps.append(Step(place, event, made))


def _row(entered: Entered) -> str:
    """The row of the table of states that a state stands in."""
    state = entered.run.state
    return "AWAITING_RETRY" if state.name == "AwaitingRetry" else state.type.value
