"""A hook that notes what it is called with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakValueDictionary

from actwright.authoring.context import current
from actwright.authoring.hooks import HOOK_EVENTS

if TYPE_CHECKING:
    from actwright.authoring.flows import Flow
    from actwright.authoring.tasks import Task
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import State

__all__ = ["HookRecorder", "RecordedHook", "record_call"]


@dataclass(frozen=True, slots=True)
class RecordedHook:
    """One call of a recorder's hook.

    Attributes:
        event: for which it was: "on_failure", ...
        subject, run, state: what the hook was given.
        attempt: of its delivery, from 1.
        replayed: whether that followed a death.
    """

    event: str
    subject: Flow[..., Any] | Task[..., Any]
    run: FlowRun | TaskRun
    state: State[Any]
    attempt: int
    replayed: bool


class HookRecorder:
    """Hooks that keep what they are called with, for a test to look at.

        recorder = HookRecorder()
        async with open_runtime(flow_hooks=recorder.hooks()): ...
        assert recorder.events == ["on_running", "on_completion", "on_end"]

    Attributes:
        calls: in the order in which they came.
    """

    def __init__(self) -> None:
        self.calls: list[RecordedHook] = []
        self._key = uuid4().hex
        _recorders[self._key] = self

    def hooks(self, *events: str) -> dict[str, list[Any]]:
        """Lists of hooks, as `Runtime(flow_hooks=...)` and `with_options(**...)` take them.

        Args:
            *events: which to record; all of them if none is named.

        Raises:
            ValueError: there is no such event.
        """
        if unknown := set(events) - set(HOOK_EVENTS):
            raise ValueError(f"There is no event {sorted(unknown)[0]!r}. Expected some of {', '.join(HOOK_EVENTS)}.")
        return {event: [self.hook] for event in events or HOOK_EVENTS}

    @property
    def hook(self) -> partial[None]:
        """One hook, for any list. What is replayed after a `kill` is recorded too."""
        return partial(record_call, self._key)

    @property
    def events(self) -> list[str]:
        """For which events it was called, in order."""
        return [call.event for call in self.calls]


_recorders: WeakValueDictionary[str, HookRecorder] = WeakValueDictionary()


def record_call(key: str, subject: Any, run: Any, state: Any) -> None:
    """A hook of a recorder: a plain function with a plain argument, so that it can be found again after a death."""
    recorder, context = _recorders.get(key), current()
    if recorder is None or context is None or context.delivery is None:
        raise LookupError("This hook records for a HookRecorder of another process, or of a test that is over.")
    delivery = context.delivery
    recorder.calls.append(RecordedHook(delivery.event, subject, run, state, delivery.attempt, delivery.replayed))
