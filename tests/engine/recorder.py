"""What happened, in order: told by hooks and bodies, in whatever thread they ran."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from actwright import State
from actwright.authoring.hooks import HOOK_EVENTS

__all__ = ["Recorder", "Seen"]

SyncHook = Callable[[Any, Any, State[Any]], None]
AsyncHook = Callable[[Any, Any, State[Any]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of a hook: what it was called by the test, what it got, and the thread that it ran in."""

    label: str
    subject: Any
    run: Any
    state: State[Any]
    thread: threading.Thread


class Recorder:
    """Makes hooks that note each of their calls.

    Attributes:
        order: the label of each call and of each mark, as they came.
        seen: the calls alone.
    """

    def __init__(self) -> None:
        self.order: list[str] = []
        self.seen: list[Seen] = []

    def mark(self, label: str) -> None:
        """Note that something else than a hook happened."""
        self.order.append(label)

    def note(self, label: str, subject: Any, run: Any, state: State[Any]) -> None:
        """Note a call, from inside a hook."""
        self.order.append(label)
        self.seen.append(Seen(label, subject, run, state, threading.current_thread()))

    def hook(self, label: str) -> SyncHook:
        """A sync hook that notes its calls as `label`."""

        def recorded(subject: Any, run: Any, state: State[Any]) -> None:
            self.note(label, subject, run, state)

        return recorded

    def async_hook(self, label: str) -> AsyncHook:
        """An async one."""

        async def recorded(subject: Any, run: Any, state: State[Any]) -> None:
            self.note(label, subject, run, state)

        return recorded

    def all_hooks(self, prefix: str = "") -> dict[str, Any]:
        """A hook for each list that there is, labelled with the list's name: for `@flow(**...)`."""
        return {event: [self.hook(prefix + event)] for event in HOOK_EVENTS}

    def states(self, label: str) -> list[State[Any]]:
        """The states that the hooks of this label got."""
        return [seen.state for seen in self.seen if seen.label == label]
