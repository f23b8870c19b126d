"""An actor's timers, each known by a key, each sending the actor a message. After Akka's TimerScheduler."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from actwright_actors._messages import TimerFired
from actwright_actors.timers import Timer, Timers

__all__ = ["KeyedTimers"]


@dataclass(slots=True, eq=False)
class _Entry:
    key: Hashable
    message: Any
    interval: float | None
    timer: Timer = field(init=False)


class KeyedTimers:
    """Messages from an actor to itself, after a time: `self.context.timers`. Only in the loop's thread.

    They come through the system lane, so a mailbox full of work does not delay them. A timer that is cancelled, or
    started anew, never delivers its old message, even when that is queued already. They end with the actor, also
    when it is restarted.
    """

    def __init__(
        self,
        timers: Timers,
        now: Callable[[], float],
        signal: Callable[[TimerFired], object],
        require_loop_thread: Callable[[str], object],
    ) -> None:
        self._timers = timers
        self._now = now
        self._signal = signal
        self._require_loop_thread = require_loop_thread
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        """How many are active."""
        return len(self._entries)

    def start(self, key: Hashable, message: Any, seconds: float, *, repeat: bool = False) -> None:
        """Have `handle` get `message` in `seconds` of the system's clock; with `repeat`, again after each `seconds`.

        Takes the place of the timer of that key, if there is one. A repeating timer keeps its beat and never queues a
        message while its last one waits to be handled: beats that a slow handler missed are left out.

        Raises ValueError for NaN, and for a repeating timer whose `seconds` are not more than zero.
        """
        self._require_loop_thread("ActorContext.timers.start")
        if repeat and not seconds > 0:
            raise ValueError(f"A repeating timer needs more than 0 seconds; timer {key!r} got {seconds}.")
        self.cancel(key)
        entry = _Entry(key, message, seconds if repeat else None)
        entry.timer = self._timers.call_later(seconds, partial(self._fire, entry))
        self._entries[key] = entry

    def cancel(self, key: Hashable) -> bool:
        """Stop the timer of that key, and discard its message if it waits in the mailbox. False: there was none."""
        self._require_loop_thread("ActorContext.timers.cancel")
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        entry.timer.cancel()
        return True

    def is_active(self, key: Hashable) -> bool:
        """Whether the timer of that key has yet to deliver a message."""
        return key in self._entries

    def clear(self) -> None:
        """Cancel all."""
        self._require_loop_thread("ActorContext.timers.clear")
        for key in list(self._entries):
            self.cancel(key)

    def _fire(self, entry: _Entry) -> None:
        self._signal(TimerFired(entry.message, partial(self._take, entry)))

    def _take(self, entry: _Entry) -> bool:
        """Whether the message of `entry` is still wanted, now that its turn has come."""
        if self._entries.get(entry.key) is not entry:
            return False
        if entry.interval is None:
            del self._entries[entry.key]
        else:
            entry.timer = self._timers.call_at(
                self._next_beat(entry.timer.when, entry.interval), partial(self._fire, entry)
            )
        return True

    def _next_beat(self, last: float, interval: float) -> float:
        missed = max(0.0, (self._now() - last) // interval)
        return last + (missed + 1) * interval
