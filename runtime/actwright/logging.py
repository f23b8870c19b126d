"""Log lines as JSON, for whoever collects them: `JsonFormatter`, a formatter for handlers of `logging`.

Importing this loads python-json-logger, which `import actwright` does not.
"""

from __future__ import annotations

import json
import logging
from copy import copy
from functools import partial
from typing import Any

from pythonjsonlogger.json import JsonFormatter as _JsonFormatter

from actwright.models.log_fields import line_title
from actwright.models.values_at_rest import UNREADABLE

__all__ = ["JsonFormatter"]


class JsonFormatter(_JsonFormatter):
    """Makes one line of each record, a JSON object:

    - `timestamp` (ISO 8601, UTC), `level`, `logger`, `message`
    - `run_id`, `run_name`, `run_kind`, for lines of runs; their `message` does not begin with the run's name
    - what was given as `extra`, by its names, but for those that begin with an underscore; one that is called as the
      first three are stands as `extra_level`, say
    - `exc_info`, a traceback as text; `stack_info`

    Times are ISO 8601, an enum is its value, a dataclass an object, and bytes are in base 64; what JSON has no word for
    else is its `str`. So pydantic's secrets stay masked. A line is never lost because of what is in it: what cannot be
    told at all is `(unreadable)`. Lines are ASCII, so any stream takes them.
    """

    def __init__(self) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # the library does not say what it passes on
            "{levelname}{name}{message}",
            style="{",
            timestamp="created",
            defaults={"created": None},  # which has it come first
            rename_fields={
                # Attributes of records, by whose names no `extra` can be given.
                "created": "timestamp", "levelname": "level", "name": "logger",
                "timestamp": "extra_timestamp", "level": "extra_level", "logger": "extra_logger",
            },
            json_serializer=partial(json.dumps, allow_nan=False),
        )  # fmt: skip

    def format(self, record: logging.LogRecord) -> str:
        told = copy(record)  # other handlers have the same one
        told.msg, told.args = _message(record), None
        told.__dict__ = {_text(name): value for name, value in vars(told).items()}  # a name in `extra` may be any
        return super().format(told)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        kind, name = log_data.get("run_kind"), log_data.get("run_name")
        if isinstance(kind, str) and isinstance(name, str):
            log_data["message"] = log_data["message"].removeprefix(line_title(kind, name))
        return log_data

    def jsonify_log_record(self, log_data: dict[Any, Any]) -> str:
        try:
            return super().jsonify_log_record(log_data)
        except Exception:  # a number that is not finite, a key that is no text, what holds itself, a broken `__str__`
            return super().jsonify_log_record({_text(name): self._told(value) for name, value in log_data.items()})

    def _told(self, value: object) -> Any:
        """What JSON has of a value. Read back, since one that changes meanwhile may not be told a second time."""
        try:
            return json.loads(super().jsonify_log_record({"value": value}))["value"]
        except Exception:
            return _text(value)


def _message(record: logging.LogRecord) -> str:
    """Its words. Where they and their arguments do not fit, `logging` would complain, and lose the line."""
    try:
        return record.getMessage()
    except Exception:
        return f"{_text(record.msg)} % {_text(record.args)}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # whatever a user's `__str__` raises
        return UNREADABLE
