"""How far a service is behind: its event loop, and its journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actwright.serving.worst import Worst
from actwright_actors import Actor, SystemClosed

if TYPE_CHECKING:
    from actwright.journal.protocol import Journal

__all__ = ["LOOK_SECONDS", "WINDOW_SECONDS", "Lags", "Look", "Measure"]

LOOK_SECONDS: Final = 0.5
"""How often it is measured."""

WINDOW_SECONDS: Final = 60.0
"""The worst of so long is told."""


class Lags:
    """What was measured. It outlives the actor that measures. All times are of the system's clock."""

    def __init__(self) -> None:
        self._loop = Worst(WINDOW_SECONDS)
        self._journal = Worst(WINDOW_SECONDS)
        self._commit_since: float | None = None

    def looked(self, due: float, now: float) -> None:
        """A timer that was due then fired now."""
        self._loop.note(max(now - due, 0.0), now)

    def commit_began(self, now: float) -> bool:
        """Something was given to the journal; False where the last such thing is not committed: that one counts."""
        if self._commit_since is not None:
            return False
        self._commit_since = now
        return True

    def committed(self, now: float) -> None:
        """It is."""
        if self._commit_since is not None:
            self._journal.note(now - self._commit_since, now)
            self._commit_since = None

    def loop_seconds(self, now: float) -> float:
        return self._loop.at(now)

    def journal_seconds(self, now: float) -> float:
        under_way = 0.0 if self._commit_since is None else now - self._commit_since
        return max(self._journal.at(now), under_way)


@dataclass(frozen=True, slots=True)
class Look:
    """It is time to look. `due`: when that was."""

    due: float


class Measure(Actor[Look]):
    """Sees how late its own timer comes, and how long the journal takes to commit nothing at all, which comes after all
    that stands before the writer."""

    def __init__(self, journal: Journal, lags: Lags) -> None:
        self._journal = journal
        self._lags = lags

    async def on_start(self) -> None:
        self._look_again()

    async def handle(self, message: Look) -> None:
        now = self.context.system.clock.now()
        self._lags.looked(message.due, now)
        if self._lags.commit_began(now):
            self._journal.append(committed=self._note_committed)
        self._look_again()

    def _look_again(self) -> None:
        due = self.context.system.clock.now() + LOOK_SECONDS
        self.context.timers.start("look", Look(due), LOOK_SECONDS)

    def _note_committed(self) -> None:
        """In the journal's thread."""
        system, lags = self.context.system, self._lags
        try:
            system.post(lambda: lags.committed(system.clock.now()))
        except SystemClosed:
            pass  # the service has ended, and tells nobody how it is
