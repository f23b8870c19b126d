"""Opening a journal that cannot be opened yet: another program may hold it for a while, or the disk be full."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

from actwright.exceptions import JournalUnavailable
from actwright.journal.sql_journal import REPEAT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["opened"]

T = TypeVar("T")

logger = logging.getLogger("actwright.nodes")

_PAUSE_SECONDS: Final = 0.2
"""Between two attempts; each waits for a lock by itself."""


def opened(open: Callable[[], T], wait_seconds: float) -> T:
    """What `open` returns, tried until it can be, for at most about `wait_seconds`. Blocks.

    It is said at once, and every 10 s, why that takes so long: as by the writer of a journal that is open.

    Raises:
        JournalUnavailable: it could not be opened in that time.
        Exception: whatever else `open` raises, at once.
    """
    began, said_at = time.monotonic(), -REPEAT_SECONDS
    while True:
        try:
            result = open()
        except JournalUnavailable as error:
            waited = time.monotonic() - began
            if waited >= wait_seconds:
                raise JournalUnavailable(f"The journal could not be opened for {waited:.0f} s. {error}") from error
            if waited - said_at >= REPEAT_SECONDS:
                said_at = waited
                logger.error("The journal cannot be opened, for %.0f s now; runs wait: %s", waited, error)
            time.sleep(min(_PAUSE_SECONDS, wait_seconds - waited))
        else:
            if said_at >= 0:
                logger.warning("The journal is open, after %.1f s.", time.monotonic() - began)
            return result
