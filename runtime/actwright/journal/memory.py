"""A journal in memory: for as long as its process lives, and no longer.

It keeps what a test or a person at a prompt asks about, bounded: every run that is not final, and the last `keep_runs`
of those that are.
"""

from __future__ import annotations

import threading
from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actwright.authoring.keys import new_key
from actwright.journal.memory_slots import MemorySlots
from actwright.journal.protocol import CommandAnswered, DeliveryChanged, LogLine, Record, Transition
from actwright.models.events import RunEvent
from actwright.models.values_at_rest import result_from_rest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from uuid import UUID

    from actwright.exceptions import ActwrightError
    from actwright.journal.protocol import TakeCommand
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.slots import Claim, SlotRow

__all__ = ["MemoryJournal"]


@dataclass(slots=True)
class _History:
    lines: deque[LogLine] = field(default_factory=deque[LogLine])
    transitions: list[Transition] = field(default_factory=list[Transition])
    seqs: list[int] = field(default_factory=list[int])
    deliveries: dict[UUID, HookDelivery] = field(default_factory=dict["UUID", "HookDelivery"])

    @property
    def run(self) -> FlowRun | TaskRun:
        return self.transitions[-1].run


class MemoryJournal:
    """History in this process's memory; commits at once.

    Args:
        keep_runs: how many finished runs to keep; the oldest are dropped first.
        keep_lines: how many log lines of each run to keep; the oldest are dropped first.
    """

    def __init__(self, keep_runs: int = 1_000, keep_lines: int = 1_000) -> None:
        for name, number in (("keep_runs", keep_runs), ("keep_lines", keep_lines)):
            if number < 1:
                raise ValueError(f"{name}: expected at least 1, got {number}.")
        self._keep_runs = keep_runs
        self._keep_lines = keep_lines
        self._lock = threading.Lock()
        self._histories: dict[UUID, _History] = {}
        self._finished: deque[UUID] = deque()
        self._run_of: dict[UUID, UUID] = {}  # of each delivery, in the order in which they became due
        self._variables: dict[str, Any] = {}
        self._own_key: bytes | None = None  # made for whoever has secrets
        self._seq = 0
        self._blocks: dict[tuple[str, str], str] = {}
        self._slots = MemorySlots()

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        with self._lock:
            for record in records:
                self._add(record)
        if committed is not None:
            committed()

    def _add(self, record: Record) -> None:
        match record:
            case Transition(run=run, deliveries=deliveries):
                if run.id not in self._histories:
                    self._histories[run.id] = _History(deque(maxlen=self._keep_lines))
                history = self._histories[run.id]
                history.transitions.append(Transition(_as_kept(run, record.result), deliveries))
                self._seq += 1
                history.seqs.append(self._seq)
                history.deliveries.update((delivery.id, delivery) for delivery in deliveries)
                self._run_of.update((delivery.id, run.id) for delivery in deliveries)
                if run.state.is_final():
                    self._finished.append(run.id)
                    self._prune()
            case DeliveryChanged(delivery):
                # A run may be pruned while the last of its hooks still runs: then nobody can ask for it either.
                if delivery.run_id in self._histories:
                    self._histories[delivery.run_id].deliveries[delivery.id] = delivery
            case LogLine(run_id):
                if run_id in self._histories:
                    self._histories[run_id].lines.append(record)
            case CommandAnswered():
                pass  # no other process can come to ask for it

    def _prune(self) -> None:
        while len(self._finished) > self._keep_runs:
            for delivery_id in self._histories.pop(self._finished.popleft()).deliveries:
                del self._run_of[delivery_id]

    @property
    def is_durable(self) -> bool:
        return False

    @property
    def own_key(self) -> bytes:
        with self._lock:
            self._own_key = self._own_key or new_key()
            return self._own_key

    def check(self, wait_seconds: float | None = None) -> None:
        """Memory takes whatever comes."""

    def has_room(self, or_call: Callable[[], object]) -> bool:
        return True

    def on_fenced(self, fn: Callable[[ActwrightError], object]) -> Callable[[], None]:
        return lambda: None

    def watch_commands(self, take: TakeCommand) -> Callable[[], None]:
        return lambda: None  # no other process reaches it

    def run(self, run_id: UUID) -> FlowRun | TaskRun | None:
        with self._lock:
            return self._histories[run_id].run if run_id in self._histories else None

    def runs(self) -> list[FlowRun | TaskRun]:
        with self._lock:
            return [history.run for history in self._histories.values()]

    def transitions(self, run_id: UUID) -> list[Transition]:
        with self._lock:
            return list(self._histories[run_id].transitions) if run_id in self._histories else []

    def events(self, run_id: UUID, since: int = 0) -> list[RunEvent] | None:
        with self._lock:
            history = self._histories.get(run_id)
            if history is None:
                return []
            then = zip(history.seqs, history.transitions, strict=True)
            found = [RunEvent(seq, run_id, step.run.state, step.run.run_count) for seq, step in then if seq > since]
            return None if history.run.state.is_final() and not found else found

    def deliveries(self, run_id: UUID | None = None) -> list[HookDelivery]:
        with self._lock:
            if run_id is None:
                return [self._histories[run].deliveries[delivery] for delivery, run in self._run_of.items()]
            return list(self._histories[run_id].deliveries.values()) if run_id in self._histories else []

    def lines(self, run_id: UUID) -> list[LogLine]:
        with self._lock:
            return list(self._histories[run_id].lines) if run_id in self._histories else []

    def variable(self, name: str) -> Any:
        with self._lock:
            return deepcopy(self._variables[name])  # what a caller does to a value must not change the stored one

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        with self._lock:
            if name in self._variables and not overwrite:
                raise FileExistsError(name)
            self._variables[name] = deepcopy(value)

    def unset_variable(self, name: str) -> bool:
        with self._lock:
            return self._variables.pop(name, self) is not self

    def block(self, slug: str, name: str) -> bytes:
        with self._lock:
            return self._blocks[slug, name].encode()

    def block_names(self) -> list[tuple[str, str]]:
        with self._lock:
            return sorted(self._blocks)

    def set_block(self, slug: str, name: str, document: str, *, overwrite: bool) -> None:
        with self._lock:
            if (slug, name) in self._blocks and not overwrite:
                raise FileExistsError(name)
            self._blocks[slug, name] = document

    def unset_block(self, slug: str, name: str) -> bool:
        with self._lock:
            return self._blocks.pop((slug, name), None) is not None

    @property
    def slots(self) -> MemorySlots:
        return self._slots

    def ask_slots(self, claim: Claim) -> Future[None]:
        return self._slots.ask(claim)

    def free_slots(self, claim_id: str) -> None:
        self._slots.free(claim_id)

    def give_up_slots(self, claim_id: str) -> Future[list[SlotRow] | None]:
        return self._slots.give_up(claim_id)

    def tag_limits(self) -> dict[str, int]:
        return self._slots.tag_limits()

    def set_tag_limit(self, tag: str, slots: int) -> None:
        self._slots.set_tag_limit(tag, slots)

    def unset_tag_limit(self, tag: str) -> bool:
        return self._slots.unset_tag_limit(tag)


def _as_kept(run: FlowRun | TaskRun, result: str | None) -> FlowRun | TaskRun:
    """History must not keep alive what a run returned or raised; of a result, only the JSON that was asked for."""
    state = run.state.without_result()
    if result is not None and run.state.data is not None:
        state = state.model_copy(update={"data": result_from_rest(result)})
    return run if state is run.state else run.model_copy(update={"state": state})
