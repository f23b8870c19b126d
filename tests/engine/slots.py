"""Looking at slots of concurrency limits, and being inside of blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from tests.engine.watched import until

from actwright.journal.slots import all_rows
from actwright.models.slots import SlotRow
from actwright.nodes.journal import journal_of_this_process
from actwright.nodes.node import process_node
from actwright.settings import get_current_settings

__all__ = ["Inside", "held", "is_waiting", "nothing_is_left", "slot_rows", "waiting"]


class Inside:
    """How many are inside of something at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.entered = 0

    @contextmanager
    def it(self) -> Generator[None]:
        self.now += 1
        self.entered += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1


def slot_rows() -> list[SlotRow]:
    """What is held, and waited for, on the journal of this process."""
    journal_of_this_process()
    with process_node(get_current_settings()).database.reading() as connection:
        return all_rows(connection)


def held() -> list[str]:
    return [row.title for row in slot_rows() if row.is_held]


def waiting() -> list[str]:
    return [row.title for row in slot_rows() if not row.is_held]


def is_waiting(count: int = 1) -> Callable[[], bool]:
    return lambda: len(waiting()) == count


async def nothing_is_left() -> None:
    """Slots are given back by a thread."""
    await until(lambda: not slot_rows())
