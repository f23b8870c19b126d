"""What a spawner says about an actor's mailbox: how much it holds, what happens beyond, and which message comes first.

System messages (stop, down, whatever is `signal`ed) have a lane of their own that overtakes the users' and is never
bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from actwright_actors._checks import require_choice

__all__ = ["MailboxOptions", "Overflow"]

Overflow = Literal["wait", "reject", "drop_oldest", "drop_newest"]


@dataclass(frozen=True, slots=True)
class MailboxOptions:
    """How many user messages a mailbox holds (None: any number), what happens to one more, and which comes first.

    wait         `send` and `ask` wait for room; `tell`, which never waits, raises MailboxFull
    reject       `tell`, `send` and `ask` raise MailboxFull
    drop_oldest  the message that has waited longest becomes a dead letter
    drop_newest  the new message becomes a dead letter

    `priority` gives each user message a number when it arrives: the least is handled first, equals in the order of
    their arrival, and "drop_oldest" then drops among those that would be handled last. What it raises is raised to
    the sender. What was stashed comes before them all. Without it, messages are handled in the order of their arrival.

    Raises ValueError for a capacity below 1 and an unknown policy, TypeError for a priority that cannot be called.
    """

    capacity: int | None = None
    overflow: Overflow = "wait"
    priority: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        require_choice("The overflow of a mailbox", self.overflow, Overflow)
        if self.capacity is not None and self.capacity < 1:
            raise ValueError(f"A mailbox's capacity must be at least 1, or None for unbounded; got {self.capacity}.")
        if self.priority is not None and not callable(self.priority):
            raise TypeError(f"A mailbox's priority is a function of a message; got {self.priority!r}.")
