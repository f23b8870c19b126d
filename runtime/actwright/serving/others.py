"""The actor that looks for processes that died with nobody standing by: a service may stay for months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync

from actwright.nodes.journal import see_to_the_dead
from actwright_actors import Actor

if TYPE_CHECKING:
    from actwright.journal.protocol import Journal

__all__ = ["LOOK_SECONDS", "Look", "Others"]

LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Look:
    """It is time to look."""


class Others(Actor[Look]):
    """Has what dead processes left settled, and their hooks run, by processes of their own."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def on_start(self) -> None:
        self.context.timers.start("look", Look(), LOOK_SECONDS)  # its Runtime has looked when it opened

    async def handle(self, message: Look) -> None:
        await run_sync(see_to_the_dead, self._journal)
        self.context.timers.start("look", Look(), LOOK_SECONDS)
