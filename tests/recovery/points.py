"""The points at which a process of a sweep can be killed, put into the package from outside.

Each passing of a point has a stable name: of what it is about ("before commit fetch(1) Running 1"), and how often that
was passed in this process. A process is told by its environment where it has to die; it dies there once, and leaves a
mark of that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from tests.recovery.ledger import folder, note

from actwright.engine.hook_actor import HookActor
from actwright.engine.hook_call import HookCall
from actwright.journal import sql_journal
from actwright.journal.protocol import CommandAnswered, DeliveryChanged, LogLine, Transition
from actwright.journal.sql_journal import SqlJournal
from actwright.models.deliveries import DeliveryStatus
from actwright.models.runs import FlowRun
from actwright.nodes.companion import Companion
from actwright.nodes.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actwright.journal.batch import Batch, Entry
    from actwright.journal.protocol import Record
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import TaskRun

__all__ = ["BREAK", "KILL", "label_of", "point", "put_in"]

KILL: Final = "SWEEP_KILL_"
"""With PROGRAM or REPLAY after it: the passing that such a process dies at: "name #ordinal"; once, in all of them. With
"stop at " before it, it waits there for its end."""

_STOP: Final = "stop at "

BREAK: Final = "SWEEP_BREAK"
"""Which rule of the journal is broken on purpose."""

ROLE: Final = "REPLAY" if any("actwright.replay.main" in argument for argument in sys.orig_argv) else "PROGRAM"

_passed = Counter[str]()
_labels: dict[str, str] = {}
_mutex = threading.Lock()


def point(name: str) -> None:
    """Pass a point: note that, and die if it is the one."""
    with _mutex:
        _passed[name] += 1
        passing = f"{name} #{_passed[name]}"
    note("point", name=passing, role=ROLE)
    asked = os.environ.get(KILL + ROLE, "")
    if asked.removeprefix(_STOP) == passing and _mark(passing):
        os.kill(os.getpid(), signal.SIGSTOP if asked.startswith(_STOP) else signal.SIGKILL)


def _mark(passing: str) -> bool:
    """Whether this is the first to die here."""
    written = folder() / f"to-be-killed.{os.getpid()}"
    written.write_text(f"{time.monotonic()} {os.getpid()} {passing}")
    try:
        os.link(written, folder() / f"killed.{ROLE}")  # whoever waits for it finds it whole
    except FileExistsError:
        return False
    return True


def label_of(run: FlowRun | TaskRun) -> str:
    """The same in each run of the program: the flow or task, and what it was called with."""
    subject = run.flow_name if isinstance(run, FlowRun) else run.task_name
    return f"{subject}({', '.join(map(str, run.parameters.values()))})"


def put_in() -> None:
    """Put the points into the package."""
    for owner, name, wrapped in (
        (SqlJournal, "append", _append),
        (SqlJournal, "_write", _write),
        (SqlJournal, "_commit", _commit),
        (sql_journal, "write", _inside_commit),
        (HookCall, "__init__", _hook_call),
        (HookActor, "_call", _with_delivery),
    ):
        _wrap(owner, name, wrapped)
    for cls, method, what in (
        (Node, "__init__", "node opens"),
        (Node, "close", "node closes"),
        (Node, "_release", "lock is released"),
        (Companion, "start", "understudy starts"),
    ):
        _wrap(cls, method, partial(_between_points, what=what))
    if os.environ.get(BREAK) == "rule 3":
        _break_rule_3()


def _wrap(owner: object, name: str, wrapped: Callable[[Any], Any]) -> None:
    setattr(owner, name, wrapped(getattr(owner, name)))


def _between_points(method: Callable[..., Any], what: str) -> Callable[..., Any]:
    @wraps(method)
    def passing(*args: Any, **kwargs: Any) -> Any:
        point(f"before {what}")
        try:
            return method(*args, **kwargs)
        finally:
            point(f"after {what}")

    return passing


def _append(append: Callable[..., None]) -> Callable[..., None]:
    @wraps(append)
    def passing(self: SqlJournal, *records: Record, **kwargs: Any) -> None:
        names = _names(records)
        append(self, *records, **kwargs)
        if names:
            point(f"queued {names[0]}")

    return passing


_in_hand = threading.local()
"""What the writer has in hand: a batch of rows no longer tells."""


def _write(write: Callable[..., None]) -> Callable[..., None]:
    @wraps(write)
    def passing(self: SqlJournal, entries: list[Entry]) -> None:
        _in_hand.records = [record for entry in entries for record in entry.records]
        write(self, entries)

    return passing


def _commit(commit: Callable[..., None]) -> Callable[..., None]:
    @wraps(commit)
    def passing(self: SqlJournal, batch: Batch) -> None:
        names = _names(_in_hand.records)
        facts = [fact for record in _in_hand.records for fact in _facts(record)]
        note("committing", records=facts)
        for name in names:
            point(f"before commit of {name}")
        commit(self, batch)
        note("committed", records=facts)
        for name in names:
            point(f"after commit of {name}")

    return passing


def _inside_commit(write: Callable[..., None]) -> Callable[..., None]:
    @wraps(write)
    def passing(*args: Any) -> None:
        write(*args)
        for name in _names(_in_hand.records):
            point(f"inside commit of {name}")

    return passing


def _names(records: Iterable[Record]) -> list[str]:
    return [name for record in records if (name := _name(record))]


def _name(record: Record) -> str | None:
    match record:
        case Transition(run):
            _labels[str(run.id)] = label_of(run)
            return f"{label_of(run)} {run.state.name} {run.run_count}"
        case DeliveryChanged(delivery):
            label = _labels.get(str(delivery.run_id), "a run from before")
            return f"{label} {delivery.event} {delivery.hook_name} {delivery.status} {delivery.attempt}"
        case LogLine() | CommandAnswered():
            return None


def _facts(record: Record) -> Iterator[dict[str, Any]]:
    """What a record says, for the ledger."""
    match record:
        case Transition(run, deliveries):
            yield {
                "run": run.id, "label": label_of(run), "state": run.state.type, "final": run.state.is_final(),
                "attempt": run.run_count, "due": [str(delivery.id) for delivery in deliveries],
            }  # fmt: skip
            for delivery in deliveries:
                if delivery.status is DeliveryStatus.RUNNING:
                    yield _fact_of(delivery)
        case DeliveryChanged(delivery):
            yield _fact_of(delivery)
        case LogLine() | CommandAnswered():
            pass


def _fact_of(delivery: HookDelivery) -> dict[str, Any]:
    return {"delivery": delivery.id, "status": delivery.status, "attempt": delivery.attempt}


_delivering = threading.local()
"""For whom the hook is that the hook actor is about to call; it makes the call in the same step."""


def _with_delivery(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def passing(self: HookActor, fn: Any, hook: Any, context: Any) -> Any:
        from actwright.authoring.context import CURRENT

        where = context.get(CURRENT)
        delivery = None if where is None else where.delivery
        label = "nobody" if delivery is None else _labels.get(str(delivery.run_id), "a run from before")
        _delivering.name = f"{label} {delivery.event if delivery else 'on_hook_failure'} {hook.name}"
        return call(self, fn, hook, context)

    return passing


def _hook_call(init: Callable[..., None]) -> Callable[..., None]:
    @wraps(init)
    def passing(self: HookCall, fn: Callable[[], Any], *args: Any, **kwargs: Any) -> None:
        init(self, _hook_between_points(fn, _delivering.name), *args, **kwargs)

    return passing


def _hook_between_points(fn: Callable[[], Any], name: str) -> Callable[[], Any]:
    def called() -> Any:
        point(f"before hook {name}")
        answer = fn()
        if hasattr(answer, "__await__"):
            return awaited(answer)
        point(f"after hook {name}")
        return answer

    async def awaited(answer: Any) -> Any:
        try:
            return await answer
        finally:
            point(f"after hook {name}")

    return called


def _break_rule_3() -> None:
    """Bodies start at once, and the commit of their Running comes when they have begun."""

    def hasty(append: Callable[..., None]) -> Callable[..., None]:
        def appended(self: SqlJournal, *records: Record, committed: Callable[[], object] | None = None) -> None:
            append(self, *records)
            if committed is not None:
                committed()

        return appended

    def slow(commit: Callable[..., None]) -> Callable[..., None]:
        def committed(self: SqlJournal, batch: Batch) -> None:
            time.sleep(0.5)
            commit(self, batch)

        return committed

    _wrap(SqlJournal, "append", hasty)
    _wrap(SqlJournal, "_commit", slow)
