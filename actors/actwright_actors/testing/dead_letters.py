"""A look for lost mail."""

from __future__ import annotations

from collections.abc import Sequence

from actwright_actors.dead_letters import DeadLetter
from actwright_actors.system import ActorSystem

__all__ = ["assert_no_dead_letters"]


def assert_no_dead_letters(system: ActorSystem, recorded: Sequence[DeadLetter] = ()) -> None:
    """See that every message found a reader. Raises AssertionError with how many did not, and with each that is in
    `recorded`: message, target and reason.

    A system counts its dead letters and keeps none, so have the test record them:

    letters: list[DeadLetter] = []
    async with ActorSystem(on_dead_letter=letters.append) as system:
        ...
        assert_no_dead_letters(system, letters)
    """
    if not system.dead_letters:
        return
    listed = "".join(f"\n  {letter.message!r} to {letter.target.name!r}: {letter.reason}" for letter in recorded)
    advice = "; to see them, record them with ActorSystem(on_dead_letter=letters.append), and pass `letters` here."
    raise AssertionError(
        f"Actor system {system.name!r} had {system.dead_letters} dead letters{':' + listed if listed else advice}"
    )
