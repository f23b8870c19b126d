"""A mailbox: two lanes and one wake-up.

The system lane (stop, down, whatever is `signal`ed) overtakes the user lane and is never bounded. Two deques with a
lazily made event move about seven times the messages of a memory object stream. Removal is synchronous, after the
wake, so a receiver that is cancelled while waiting loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

import anyio

from actwright_actors._backend import Wake
from actwright_actors._messages import content
from actwright_actors._priority_lane import PriorityLane
from actwright_actors.mailbox import MailboxOptions

__all__ = ["EMPTY", "Mailbox"]

EMPTY: Final[Any] = object()
"""What `Mailbox.pop` returns when there is nothing; None is a message like any other."""


class Mailbox:
    """The queues of one actor. Only in the loop's thread. Knows nothing of actors: what to do with a refused message
    is its owner's business."""

    __slots__ = (
        "_closed_times",
        "_make_wake",
        "_peak",
        "_promised",
        "_system",
        "_user",
        "_waiting",
        "_wake",
        "is_closed",
        "options",
    )

    def __init__(self, options: MailboxOptions, make_wake: Callable[[], Wake]) -> None:
        self.options = options
        self._peak = 0
        self._make_wake = make_wake
        self.is_closed = False
        """No user message is admitted any more: the actor drains, or is dead."""
        self._closed_times = 0
        self._system: deque[Any] | None = None
        priority = options.priority
        self._user: deque[Any] | PriorityLane = (
            deque() if priority is None else PriorityLane(lambda item: priority(content(item)))
        )
        self._wake: Wake | None = None
        self._waiting: deque[anyio.Event] | None = None  # like _system, made when first needed: a deque is 650 bytes
        self._promised = 0  # places that belong to senders already woken

    def __len__(self) -> int:
        return len(self._system or ()) + len(self._user)

    @property
    def peak(self) -> int:
        """The most user messages that have waited at once."""
        return max(self._peak, len(self._user))

    def offer(self, item: Any) -> bool:
        """Put it into the user lane if there is room and nobody has waited longer for that room."""
        if self.is_closed:
            return False
        capacity = self.options.capacity
        if capacity is not None and (len(self._user) + self._promised >= capacity or self._waiting):
            return False
        self._user.append(item)
        if self._wake is not None:
            self._wake_up()
        return True

    def signal(self, item: Any) -> None:
        """Put it into the system lane."""
        if self._system is None:
            self._system = deque()
        self._system.append(item)
        if self._wake is not None:
            self._wake_up()

    def replace_oldest(self, item: Any) -> Any:
        """Put `item` into a full user lane and return the message that had to go."""
        lane = self._user
        if isinstance(lane, PriorityLane):
            return lane.replace_last(item)
        oldest = lane.popleft()
        lane.append(item)
        return oldest

    def put_back(self, items: Collection[Any]) -> None:
        """Put user messages that were taken out before those that wait, in their order, whatever the capacity."""
        if items:
            self._user.extendleft(reversed(list(items)))
            if self._wake is not None:
                self._wake_up()

    async def offer_when_room(self, item: Any, turn: anyio.Event) -> bool:
        """Wait for room, first come first served. False: it was closed meanwhile, though it may be open again.
        Cancelled: nothing was put.

        `turn`, a new event, is set when the wait is over, which the sender's task sees only later.
        """
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(turn)
        closed_times = self._closed_times
        try:
            await turn.wait()
        except BaseException:
            if closed_times != self._closed_times:
                pass  # there is no place to give back
            elif turn.is_set():
                self._promised -= 1
                self._give_turn()  # without us, the next in line has the place
            else:
                self._waiting.remove(turn)
            raise
        if closed_times != self._closed_times:
            return False
        self._promised -= 1
        try:
            self._user.append(item)
        except BaseException:  # its `priority` raised: the next in line has the place
            self._give_turn()
            raise
        if self._wake is not None:
            self._wake_up()
        return True

    def pop(self) -> Any:
        """The next message, or EMPTY."""
        if self._system:
            return self._system.popleft()
        if self._user:
            waiting = len(self._user)
            if waiting > self._peak:
                self._peak = waiting
            item = self._user.popleft()
            if self._waiting:
                self._give_turn_if_room()
            return item
        return EMPTY

    async def wait(self) -> None:
        """Wait until there may be something to pop. One receiver at a time. Cancellation loses no message."""
        self._wake = wake = self._make_wake()
        try:
            await wake.wait()
        finally:
            self._wake = None

    def close(self) -> None:
        """Admit no more user messages, refuse those who wait for room, and wake the receiver to look again."""
        self.is_closed = True
        self._closed_times += 1
        self._promised = 0
        while self._waiting:
            self._waiting.popleft().set()
        if self._wake is not None:
            self._wake_up()

    def reopen(self, keep: Callable[[Any], bool]) -> None:
        """Admit user messages again, and of the system messages that are left keep those that `keep` says."""
        self.is_closed = False
        self._system = deque(filter(keep, self._system or ()))

    def items(self) -> list[Any]:
        """What waits, the system lane first."""
        return [*(self._system or ()), *self._user]

    def clear(self) -> list[Any]:
        """Take everything out, the system lane first."""
        left = self.items()
        self._system = None
        self._user.clear()
        return left

    def _wake_up(self) -> None:
        # Forgotten at once, so that a burst of messages sets it a single time.
        wake, self._wake = self._wake, None
        assert wake is not None
        wake.set()

    def _give_turn_if_room(self) -> None:
        # There may be none although a message was taken: what was stashed comes back whatever the capacity.
        if len(self._user) + self._promised < (self.options.capacity or 0):
            self._give_turn()

    def _give_turn(self) -> None:
        if self._waiting:
            self._promised += 1
            self._waiting.popleft().set()
