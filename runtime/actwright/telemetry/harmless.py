"""What OpenTelemetry raises (an exporter, a processor, a sampler, a propagator) is said once, and passed over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from actwright.exceptions import Interrupted

if TYPE_CHECKING:
    from types import CodeType, TracebackType

__all__ = ["harmless"]

logger = logging.getLogger("actwright.telemetry")


class _Harmless:
    """`with harmless:` what is inside may fail, in whatever way: then it is left there. Nothing inside awaits, so that
    no cancellation is lost by it. What cuts a thread short (a KeyboardInterrupt, an interrupted body) goes on its way.
    """

    def __init__(self) -> None:
        self._said: set[tuple[type[BaseException], CodeType | None, int]] = set()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt | Interrupted):
            return False
        place = _place_of(error, tb)
        if place not in self._said:
            self._said.add(place)
            logger.error(
                "OpenTelemetry raised %s. Runs go on; what it was to hear is lost. The same is not said again.",
                type(error).__name__,
                exc_info=error,
            )
        return True


def _place_of(error: BaseException, tb: TracebackType | None) -> tuple[type[BaseException], CodeType | None, int]:
    """What tells two failures apart: the kind of exception, and the line that raised it."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return (type(error), None, 0) if tb is None else (type(error), tb.tb_frame.f_code, tb.tb_lineno)


harmless: Final = _Harmless()
