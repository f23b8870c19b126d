"""The library's log. Logging never raises here, since a filter that does must not keep an actor from ending."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["logger"]


class _Logger:
    """As much of `logging.Logger` as this library uses."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, *args: object) -> None:
        _log(self._logger.debug, message, *args)

    def info(self, message: str, *args: object) -> None:
        _log(self._logger.info, message, *args)

    def warning(self, message: str, *args: object) -> None:
        _log(self._logger.warning, message, *args)

    def error(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        _log(self._logger.error, message, *args, exc_info=exc_info)


def _log(log: Callable[..., None], *args: object, **options: Any) -> None:
    try:
        log(*args, stacklevel=3, **options)
    except BaseException as error:  # SystemExit too, of a user's handler or repr: it would end the task that logs
        sys.excepthook(type(error), error, error.__traceback__)


logger: Final = _Logger("actwright_actors")
