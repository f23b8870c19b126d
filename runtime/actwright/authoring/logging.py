"""Logs of runs: `get_run_logger`, `print` sent there, and what a plain script sees with no logging configured."""

from __future__ import annotations

import builtins
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, cast

from actwright.authoring.context import current
from actwright.exceptions import MissingContextError
from actwright.models.log_fields import fields_at_rest, line_title

if TYPE_CHECKING:
    from actwright.authoring.context import ActiveRun
    from actwright.models.runs import FlowRun, TaskRun

__all__ = [
    "EngineLogger",
    "KeepLine",
    "RunLogger",
    "engine_logger_of",
    "get_run_logger",
    "logger_of",
    "printing_to_log",
    "show_logs_of_a_script",
]

_ROOT = logging.getLogger("actwright")
_ACTORS = logging.getLogger("actwright_actors")
_FLOW_RUNS = logging.getLogger("actwright.flow_runs")
_TASK_RUNS = logging.getLogger("actwright.task_runs")


class KeepLine(Protocol):
    """Keeps a line of a run's log with its history."""

    def __call__(self, level: int, logger: str, message: str, fields: str | None = None) -> object: ...


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines begin with the run's name, and whose records carry `run_id`, `run_name` and `run_kind`.

    Lines of INFO and above are kept with the run's history, whatever the program shows of them; with what is given as
    `extra`, and the exception that a line tells of.
    """

    def __init__(self, logger: logging.Logger, extra: Mapping[str, object], keep: KeepLine | None = None) -> None:
        super().__init__(logger, extra)
        self._keep = keep

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the line of the caller, and not this one
        if self._keep is not None and level >= logging.INFO:
            fields = fields_at_rest(kwargs.get("extra"), kwargs.get("exc_info"))
            self._keep(level, self.logger.name, _formatted(msg, args), fields)
        if self.isEnabledFor(level):
            own = self.extra or {}
            kwargs["extra"] = {**own, **(kwargs.get("extra") or {})}
            title = line_title(own["run_kind"], own["run_name"])
            # The name is data, not a format: a percent sign in it must not be taken for one, where `logging` formats.
            self.logger.log(level, f"{title.replace('%', '%%') if args else title}{msg}", *args, **kwargs)


class EngineLogger(RunLogger):
    """The engine's own lines about a run: a filter of the program's that raises must not decide how a run ends.

    What it raises goes to stderr, as `logging` has it for handlers.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception:
            if logging.raiseExceptions:
                traceback.print_exc()


def logger_of(run: ActiveRun) -> RunLogger:
    """The logger of a run: `actwright.flow_runs` or `actwright.task_runs`, with the run's name and id."""
    return RunLogger(*_logger_and_extra(run.snapshot), run.keep_line)


def engine_logger_of(run: ActiveRun) -> EngineLogger:
    """The same, for what the engine says."""
    return EngineLogger(*_logger_and_extra(run.snapshot), run.keep_line)


def _printer_of(run: ActiveRun) -> RunLogger:
    """The same, for what a body prints: a logger below the run's own, so that the two can be told from each other."""
    logger, extra = _logger_and_extra(run.snapshot)
    return RunLogger(logger.getChild("print"), extra, run.keep_line)


def _formatted(msg: object, args: tuple[object, ...]) -> str:
    """The words as `logging` would have them. Those that cannot be formatted are kept as they were given: `logging`
    tells their author what is wrong with them."""
    try:
        is_named = len(args) == 1 and isinstance(args[0], Mapping) and bool(cast("object", args[0]))
        return str(msg) % (args[0] if is_named else args) if args else str(msg)
    except Exception:
        return f"{msg!r} % {len(args)} arguments"


def _logger_and_extra(run: FlowRun | TaskRun) -> tuple[logging.Logger, dict[str, object]]:
    logger = _FLOW_RUNS if run.kind == "flow" else _TASK_RUNS
    return logger, {"run_id": str(run.id), "run_name": run.name, "run_kind": run.kind}


def get_run_logger() -> RunLogger:
    """The logger of the run that the code that asks is part of; in a hook, of the run that the hook is for.

    Raises:
        MissingContextError: called outside of runs and hooks.
    """
    context = current()
    if context is None:
        raise MissingContextError(
            "get_run_logger() was called where no run is. Call it in the body of a flow or a task, or in a hook; "
            "elsewhere use logging.getLogger."
        )
    return logger_of(context.run)


class _PrintToLog:
    """Stands in for `builtins.print` while at least one body with `log_prints` runs, and only acts in these."""

    def __init__(self) -> None:
        self._users = 0
        self._original = builtins.print
        self.make_lock()

    def make_lock(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._original = builtins.print
                builtins.print = self._print
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                builtins.print = self._original

    def _print(self, *values: object, **options: Any) -> None:
        context = current()
        to_screen = options.get("file") in (None, sys.stdout)
        if context is None or context.in_hook or not context.run.logs_prints or not to_screen:
            self._original(*values, **options)
        else:
            sep = options.get("sep")
            _printer_of(context.run).info("%s", (" " if sep is None else sep).join(map(str, values)))


_print_to_log = _PrintToLog()
# Whichever thread has the old lock, it is not in that process.
os.register_at_fork(after_in_child=_print_to_log.make_lock)


def printing_to_log(wanted: bool) -> AbstractContextManager[None]:
    """Around a body: where `wanted`, its `print` goes to the run's log, at level INFO."""
    return _print_to_log if wanted else nullcontext()


_shown = threading.Lock()


def show_logs_of_a_script(history: str) -> None:
    """Show the lines of runs on stderr, in the `log_format` of the settings, if nobody has configured logging; and say,
    once, where history is kept.

    Called at the first run of a plain script; never at import, and never for a Runtime that a program opened itself.
    """
    if not _shown.acquire(blocking=False):
        return
    if not (_ROOT.hasHandlers() or _ROOT.level != logging.NOTSET):
        handler = logging.StreamHandler()
        handler.setFormatter(_formatter())
        _ROOT.addHandler(handler)
        _ROOT.setLevel(logging.INFO)
        _ACTORS.addHandler(handler)
    _ROOT.info("%s", history)


def _formatter() -> logging.Formatter:
    from actwright.settings import get_current_settings  # not for who only imports this: it takes a while to load

    if get_current_settings().log_format == "json":
        from actwright.logging import JsonFormatter  # most programs need none

        return JsonFormatter()
    return logging.Formatter("%(asctime)s.%(msecs)03d | %(levelname)-7s | %(message)s", "%H:%M:%S")
