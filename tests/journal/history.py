"""Histories as rows, made by hand: also such as no journal of ours would write."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, func, insert, select

from actwright.journal.database import Database
from actwright.journal.schema import (
    commands,
    hook_deliveries,
    logs,
    metadata,
    nodes,
    runs,
    stored_objects,
    transitions,
)

__all__ = ["AWAITING_RETRY", "LONG_AGO", "NODE", "Author", "counted", "named"]

NODE = "node-1"
LONG_AGO = "2020-01-01T00:00:00.000000+00:00"
AWAITING_RETRY = "SCHEDULED: AwaitingRetry"


class Author:
    """Writes rows. Each method returns the id of what it wrote."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def node(self, node_id: str = NODE, *, settled_at: str | None = LONG_AGO) -> str:
        self._insert(
            nodes, id=node_id, epoch=1, pid=1, host="", program="", started_at=LONG_AGO, settled_at=settled_at,
            prunings=0,
        )  # fmt: skip
        return node_id

    def run(
        self,
        run_id: str,
        *states: str,
        caller: str | None = None,
        task: str | None = None,
        ended_at: str | None = LONG_AGO,
        registration: str | None = None,
    ) -> str:
        """A run that went through these types of state (Pending, Running, Completed if none is given)."""
        entered = [named(state) for state in states or ("PENDING", "RUNNING", "COMPLETED")]
        for count, (kind, name) in enumerate(entered):
            of_run = {"id": f"{run_id}/{count}", "run_id": run_id, "type": kind, "name": name}
            self._insert(transitions, **of_run, at=LONG_AGO, run_count=1)
        last_type, last_name = entered[-1]
        self._insert(
            runs, id=run_id, kind="flow", subject_name="", name=run_id, node_id=NODE, run_count=1, parameters="{}",
            state_id=f"{run_id}/{len(entered) - 1}", state_type=last_type, state_name=last_name,
            state_at=LONG_AGO, tags="[]", expected_start_at=LONG_AGO, ended_at=ended_at, registration=registration,
            parent_flow_run_id=caller, parent_task_run_id=task,
        )  # fmt: skip
        return run_id

    def delivery(self, run_id: str, status: str = "SUCCEEDED", *, transition: int = 0, **columns: Any) -> str:
        """A delivery for the run's first transition, with times that fit its status."""
        begun = status in ("RUNNING", "SUCCEEDED", "FAILED")
        ended = status in ("SUCCEEDED", "FAILED", "SKIPPED")
        row = {
            "id": f"{run_id}/{status}", "transition_id": f"{run_id}/{transition}", "run_id": run_id, "node_id": NODE,
            "event": "on_running", "hook_name": "tell", "position": 0, "due_at": LONG_AGO, "status": status,
            "attempt": int(begun), "cuts": 0, "started_at": LONG_AGO if begun else None,
            "ended_at": LONG_AGO if ended else None, "error": "no" if status == "FAILED" else None, "replayed": False,
        }  # fmt: skip
        self._insert(hook_deliveries, **{**row, **columns})
        return str(row["id"])

    def log(self, run_id: str, *, at: str = LONG_AGO) -> None:
        self._insert(logs, run_id=run_id, at=at, level=20, logger="", message="said")

    def command(self, run_id: str) -> None:
        self._insert(commands, id=f"{run_id}/cancel", run_id=run_id, kind="cancel", payload="{}", at=LONG_AGO)

    def stored(self, digest: str, payload: str = "") -> str:
        self._insert(stored_objects, hash=digest, payload=payload.encode())
        return digest

    def _insert(self, table: Table, **columns: Any) -> None:
        self.connection.execute(insert(table).values(**columns))


def named(state: str) -> tuple[str, str]:
    """The type and the name of a state: "RUNNING", or "SCHEDULED: AwaitingRetry"."""
    kind, _, name = state.partition(": ")
    return kind, name or kind.capitalize()


def counted(database: Database) -> dict[str, int]:
    """How many rows each table has that is not empty."""
    with database.reading() as connection:
        counts = {name: connection.scalar(select(func.count()).select_from(t)) for name, t in metadata.tables.items()}
    return {name: count for name, count in counts.items() if count}
