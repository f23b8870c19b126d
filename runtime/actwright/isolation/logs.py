"""Records of `logging` on their way from the process of a body to the program's own handlers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.isolation.conversation import Conversation

__all__ = ["attributes_of", "handle_here", "levels_here", "log_there"]

_OWN: Final = frozenset(vars(logging.makeLogRecord({})))
_format = logging.Formatter().format


def levels_here() -> dict[str, int]:
    """name -> level of each logger for which one is set; "" is the root's."""
    loggers = list(logging.root.manager.loggerDict.items())
    levels = {name: each.level for name, each in loggers if isinstance(each, logging.Logger) and each.level}
    return {"": logging.root.level, **levels}


def log_there(conversation: Conversation, levels: dict[str, int]) -> None:
    """From now on, what is logged in this process is shown by the other one, as that has been told to."""
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
    logging.root.addHandler(_There(conversation))


def handle_here(attributes: dict[str, Any]) -> None:
    """A record of the other process, as if it had been made here."""
    record = logging.makeLogRecord(attributes)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class _There(logging.Handler):
    def __init__(self, conversation: Conversation) -> None:
        super().__init__()
        self._conversation = conversation

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._conversation.log(attributes_of(record, self._conversation.crossing.can))
        except Exception:
            self.handleError(record)


def attributes_of(record: logging.LogRecord, can: Callable[[object], bool]) -> dict[str, Any]:
    """A record's attributes, with its message formatted; of those that a program has added, what can be pickled."""
    _format(record)  # which leaves its message, and its traceback as text
    own = {name: getattr(record, name) for name in _OWN} | {"msg": record.message, "args": None, "exc_info": None}
    return own | {name: value for name, value in vars(record).items() if name not in own and can(value)}
