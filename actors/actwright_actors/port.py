"""A port: what is published there is told to all who have subscribed."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from actwright_actors._cell import cell_of
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.errors import MailboxFull
from actwright_actors.ref import ActorRef, Down

__all__ = ["Port"]

M = TypeVar("M")


class Port(Generic[M]):
    """Publishes messages of type `M` to the actors that have subscribed, without knowing who they are.

    It belongs to no system and has no task: whoever publishes tells each subscriber. A subscriber's death, or its
    system's end, ends its subscription; a supervised restart does not. A subscriber keeps the port in memory.

    `publish` may be called in any thread, as `tell`; `subscribe` and `unsubscribe` belong to the thread of the
    subscriber's loop, and raise WrongThread elsewhere.
    """

    def __init__(self) -> None:
        self._subscribers: dict[ActorRef[M], None] = {}

    def subscribe(self, ref: ActorRef[M]) -> bool:
        """Have `ref` told what is published from now on. Says whether it is a subscriber now: a dead actor is none.

        Subscribing twice is subscribing once, at the first one's place. During a `publish` (which can only be from
        code that telling a subscriber runs, such as a mailbox's `priority`): from the next message on.
        """
        cell = cell_of(ref)
        cell.kernel.require_loop_thread("Port.subscribe")
        if not ref.is_alive:
            return False
        self._subscribers[ref] = None
        cell.watch(self, self._drop)
        return True

    def unsubscribe(self, ref: ActorRef[M]) -> bool:
        """Take `subscribe` back. False: it was no subscriber. During a `publish` too, nothing more is told to it; what
        is in its mailbox stays there."""
        cell = cell_of(ref)
        cell.kernel.require_loop_thread("Port.unsubscribe")
        if ref not in self._subscribers:
            return False
        del self._subscribers[ref]
        cell.unwatch(self)
        return True

    def subscribers(self) -> list[ActorRef[M]]:
        """Who they are, in the order of subscription."""
        return list(self._subscribers)

    def publish(self, message: M) -> None:
        """Tell `message` to every live subscriber, in the order of subscription. Never waits.

        A mailbox without room, of whatever policy, harms neither the caller nor the others: what it does not take
        becomes a dead letter (REJECTED where `tell` would raise MailboxFull). So does what its `priority` raises on,
        which is logged too.
        """
        for ref in self.subscribers():
            # One that is just dying has yet to be dropped: a dead letter from its mailbox must not come back to it.
            if ref in self._subscribers and ref.is_alive:
                self._tell(ref, message)

    def _tell(self, ref: ActorRef[Any], message: M) -> None:
        cell = cell_of(ref)
        try:
            ref.tell(message)
        except BaseException as error:  # MailboxFull, or what its `priority` raises: no fault of the publisher's
            if not isinstance(error, MailboxFull):
                cell.kernel.log_escaped(f"The mailbox of subscriber {ref.name!r} raised on a published message.", error)
            cell.return_to_sender(message, DeadLetterReason.REJECTED)

    def _drop(self, down: Down) -> None:
        self._subscribers.pop(down.ref, None)
