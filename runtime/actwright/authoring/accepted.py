"""What a request gives that is awaited in async code, and waited for in sync code."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from actwright.authoring.context import in_async_code
from actwright.authoring.waiting import block_on, blocking, until_done
from actwright.exceptions import WouldDeadlock

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Future
    from typing import Any

__all__ = ["Accepted"]


class Accepted:
    """A request that was sent; awaited, it tells how it was answered. Not to await it is no mistake."""

    def __init__(self, answer: Future[None]) -> None:
        self._answer = answer

    @classmethod
    def of(cls, answer: Future[None], thread_id: int) -> Accepted:
        """To be awaited in async code; in sync code, this waits for the answer itself.

        `thread_id` is the thread of the loop that answers: there, sync code could only wait for ever.
        """
        if not in_async_code():
            if not answer.done() and threading.get_ident() == thread_id:
                raise WouldDeadlock(
                    "The request was sent, but sync code on the event loop's own thread cannot wait for it."
                )
            with blocking():
                block_on(answer)
            answer.result()
        return cls(answer)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._answered().__await__()

    async def _answered(self) -> None:
        await until_done(self._answer)
        self._answer.result()
