"""A journal that cannot be used for a while."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from actwright.exceptions import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Trouble"]

T = TypeVar("T")

logger = logging.getLogger("actwright.serving")


class Trouble:
    """Says once that something cannot be done now, for as long as that goes on.

    Args:
        what: what cannot be done, as "What was submitted cannot be claimed".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_said = False

    def passed_over(self, attempt: Callable[[], T]) -> T | None:
        """What the attempt gives; None when the journal is not to be had: then it is made again, later."""
        try:
            result = attempt()
        except JournalUnavailable as error:
            if not self._is_said:
                logger.warning("%s now; it is tried again: %s", self._what, error)
            self._is_said = True
            return None
        self._is_said = False
        return result
