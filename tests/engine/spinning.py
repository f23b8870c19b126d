"""Sync bodies that never end by themselves, and what ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.watched import until

from actwright import Handle, State, wait
from actwright.exceptions import Interrupted

__all__ = ["Spinning", "cancelled", "is_interrupted"]


class Spinning:
    """A body that never ends by itself.

    Attributes:
        began: how often it did.
        seen: what was raised in it.
    """

    def __init__(self, step: Callable[[], object] = lambda: None) -> None:
        self.began = 0
        self.seen: list[BaseException] = []
        self._step = step

    def __call__(self) -> None:
        self.began += 1
        step = self._step
        try:
            while True:
                step()
        except BaseException as error:
            self.seen.append(error)
            raise

    async def spins(self, times: int = 1) -> None:
        await until(lambda: self.began == times)


def is_interrupted(error: BaseException) -> bool:
    return type(error) is Interrupted and "is to end" in str(error)


async def cancelled(handle: Handle[Any]) -> State[Any]:
    await handle.cancel("enough")
    await wait([handle])
    return handle.state
