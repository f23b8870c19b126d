"""Everything that a journal began with."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Text, text

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From an empty file. What `schema.py` says today is another matter: this stays as it is."""
    is_open = text("ended_at IS NULL")
    op.create_table(
        "nodes",
        Column("id", String(36), primary_key=True),
        Column("epoch", Integer, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("host", Text, nullable=False),
        Column("program", Text, nullable=False),
        Column("started_at", String(32), nullable=False),
        Column("settled_at", String(32)),
        Column("prunings", Integer, nullable=False),
    )
    op.create_table(
        "runs",
        Column("id", String(36), primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("subject_name", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("node_id", String(36), nullable=False),
        Column("state_id", String(36), nullable=False),
        Column("state_type", String(16), nullable=False),
        Column("state_name", Text, nullable=False),
        Column("state_message", Text),
        Column("state_at", String(32), nullable=False),
        Column("run_count", Integer, nullable=False),
        Column("parameters", Text, nullable=False),
        Column("tags", Text, nullable=False),
        Column("parent_flow_run_id", String(36)),
        Column("parent_task_run_id", String(36)),
        Column("flow_run_id", String(36)),
        Column("expected_start_at", String(32), nullable=False),
        Column("started_at", String(32)),
        Column("ended_at", String(32)),
        Column("result", Text),
        Column("registration", String(64)),
        Column("retry_of", String(36)),
        Column("entry", Text),
        Column("trace_context", Text),
        Index("runs_open_by_node", "node_id", sqlite_where=is_open),
        Index("runs_by_start", "expected_start_at"),
        Index("runs_by_parent_flow", "parent_flow_run_id"),
        Index("runs_by_parent_task", "parent_task_run_id"),
    )
    op.create_table(
        "transitions",
        Column("seq", Integer, primary_key=True, autoincrement=True),
        Column("id", String(36), nullable=False, unique=True),
        Column("run_id", String(36), nullable=False),
        Column("type", String(16), nullable=False),
        Column("name", Text, nullable=False),
        Column("message", Text),
        Column("at", String(32), nullable=False),
        Column("run_count", Integer, nullable=False),
        Column("cause", Text),
        Index("transitions_by_run", "run_id", "seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hook_deliveries",
        Column("id", String(36), primary_key=True),
        Column("transition_id", String(36), nullable=False),
        Column("run_id", String(36), nullable=False),
        Column("node_id", String(36), nullable=False),
        Column("event", String(16), nullable=False),
        Column("hook_name", Text, nullable=False),
        Column("position", Integer, nullable=False),
        Column("due_at", String(32), nullable=False),
        Column("status", String(16), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("cuts", Integer, nullable=False),
        Column("started_at", String(32)),
        Column("ended_at", String(32)),
        Column("error", Text),
        Column("replayed", Boolean, nullable=False),
        Column("next_at", String(32)),
        Column("untold", Integer),
        Index("hook_deliveries_open_by_node", "node_id", "status"),
        Index("hook_deliveries_by_run", "run_id"),
        Index("hook_deliveries_by_status", "status", "due_at"),
    )
    op.create_table(
        "stored_objects",
        Column("hash", String(64), primary_key=True),
        Column("payload", LargeBinary, nullable=False),
    )
    op.create_table(
        "logs",
        Column("seq", Integer, primary_key=True, autoincrement=True),
        Column("run_id", String(36), nullable=False),
        Column("at", String(32), nullable=False),
        Column("level", Integer, nullable=False),
        Column("logger", Text, nullable=False),
        Column("message", Text, nullable=False),
        Column("fields", Text),
        Index("logs_by_run", "run_id", "seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "commands",
        Column("seq", Integer, primary_key=True, autoincrement=True),
        Column("id", String(36), nullable=False, unique=True),
        Column("run_id", String(36), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("payload", Text, nullable=False),
        Column("at", String(32), nullable=False),
        Column("answered_at", String(32)),
        Column("answer", Text),
        Index("commands_open_by_run", "run_id", "answered_at"),
        Index("commands_open", "seq", sqlite_where=text("answered_at IS NULL")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "submissions",
        Column("seq", Integer, primary_key=True, autoincrement=True),
        Column("run_id", String(36), nullable=False, unique=True),
        Column("entry", Text, nullable=False),
        Column("queue", Text, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("due_at", String(32), nullable=False),
        Column("parameters", Text, nullable=False),
        Column("idempotency_key", Text),
        Column("schedule", Text),
        Column("takes_turns", Boolean, nullable=False),
        Column("crash_retries", Integer, nullable=False),
        Column("deaths", Integer, nullable=False),
        Column("is_named", Boolean, nullable=False),
        Column("is_open", Boolean, nullable=False),
        Column("caller_context", Text),
        Index("submissions_open", "entry", "due_at", sqlite_where=text("is_open = 1")),
        Index("submissions_by_key", "entry", "idempotency_key", unique=True),
        Index("submissions_by_schedule", "schedule"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "schedules",
        Column("name", Text, primary_key=True),
        Column("rule", Text, nullable=False),
        Column("known_since", String(32), nullable=False),
        Column("through", String(32)),
    )
    op.create_table(
        "services",
        Column("id", String(36), primary_key=True),
        Column("node_id", String(36), nullable=False),
        Column("said_at", String(32), nullable=False),
        Column("health", Text, nullable=False),
    )
    op.create_table(
        "variables",
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        Column("updated_at", String(32), nullable=False),
    )
    op.create_table(
        "blocks",
        Column("slug", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("document", Text, nullable=False),
        Column("updated_at", String(32), nullable=False),
    )
    op.create_table(
        "tag_limits",
        Column("tag", Text, primary_key=True),
        Column("slots", Integer, nullable=False),
        Column("updated_at", String(32), nullable=False),
    )
    op.create_table(
        "slots",
        Column("seq", Integer, primary_key=True, autoincrement=True),
        Column("claim_id", String(36), nullable=False),
        Column("node_id", String(36), nullable=False),
        Column("kind", String(8), nullable=False),
        Column("name", Text, nullable=False),
        Column("occupy", Integer, nullable=False),
        Column("slots", Integer),
        Column("run_id", String(36)),
        Column("title", Text, nullable=False),
        Column("asked_at", String(32), nullable=False),
        Column("held_since", String(32)),
        Column("lender", String(36)),
        Index("slots_by_claim", "claim_id"),
        Index("slots_by_node", "node_id"),
        sqlite_autoincrement=True,
    )
