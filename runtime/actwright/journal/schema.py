"""The journal's tables, for SQLite and PostgreSQL alike. Changed only together with a migration in `migrations/`.

Ids are UUIDs as text, times ISO 8601 in UTC with microseconds, so that both sort and read well in any database shell;
what has structure is JSON as text.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

__all__ = [
    "SCHEMA_VERSION",
    "blocks",
    "commands",
    "hook_deliveries",
    "logs",
    "metadata",
    "nodes",
    "runs",
    "schedules",
    "services",
    "slots",
    "stored_objects",
    "submissions",
    "tag_limits",
    "transitions",
    "variables",
]

SCHEMA_VERSION: Final = "0001"
"""The migration that these tables are the outcome of."""

metadata = MetaData()

_OPEN = text("ended_at IS NULL")

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("epoch", Integer, nullable=False),  # the fence: a batch of an older epoch is refused
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("program", Text, nullable=False),  # JSON: what a replay process is started with, see nodes.program
    Column("started_at", String(32), nullable=False),
    Column("settled_at", String(32)),  # nothing is open, nothing is due, and nobody will add to it
    Column("prunings", Integer, nullable=False),  # how often, while it was open, stored objects were deleted
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("subject_name", Text, nullable=False),  # of the flow or task
    Column("name", Text, nullable=False),
    Column("node_id", String(36), nullable=False),
    Column("state_id", String(36), nullable=False),
    Column("state_type", String(16), nullable=False),
    Column("state_name", Text, nullable=False),
    Column("state_message", Text),
    Column("state_at", String(32), nullable=False),
    Column("run_count", Integer, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON, see journal.parameters
    Column("tags", Text, nullable=False),  # JSON
    Column("parent_flow_run_id", String(36)),
    Column("parent_task_run_id", String(36)),
    Column("flow_run_id", String(36)),
    Column("expected_start_at", String(32), nullable=False),
    Column("started_at", String(32)),
    Column("ended_at", String(32)),
    Column("result", Text),  # JSON, where persist_result asked for it
    Column("registration", String(64)),  # stored_objects.hash of its hooks; null when it has none
    Column("retry_of", String(36)),  # the run that it tries again
    Column("entry", Text),  # "module:qualname" or "/file.py:qualname" of its flow or task; null when it has no name
    Column("trace_context", Text),  # JSON: its OpenTelemetry span, for other processes; null where nobody listened
    # Few of many runs are open: one that begins and ends within a batch never comes into this index.
    # `postgresql_where` would load that dialect, 16 ms in each process.
    Index("runs_open_by_node", "node_id", sqlite_where=_OPEN),
    Index("runs_by_start", "expected_start_at"),
    Index("runs_by_parent_flow", "parent_flow_run_id"),
    Index("runs_by_parent_task", "parent_task_run_id"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the cursor of the event stream
    Column("id", String(36), nullable=False, unique=True),  # of the state that was entered
    Column("run_id", String(36), nullable=False),
    Column("type", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text),
    Column("at", String(32), nullable=False),
    Column("run_count", Integer, nullable=False),
    Column("cause", Text),  # JSON: the type, message and traceback of an exception
    Index("transitions_by_run", "run_id", "seq"),
    sqlite_autoincrement=True,
)

hook_deliveries = Table(
    "hook_deliveries",
    metadata,
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
    Column("cuts", Integer, nullable=False),  # how many of its attempts a death cut short
    Column("started_at", String(32)),
    Column("ended_at", String(32)),
    Column("error", Text),
    Column("replayed", Boolean, nullable=False),
    Column("next_at", String(32)),  # while it waits to be retried
    Column("untold", Integer),  # set where on_hook_failure is still to be told: how often a death cut that short
    Index("hook_deliveries_open_by_node", "node_id", "status"),
    Index("hook_deliveries_by_run", "run_id"),
    Index("hook_deliveries_by_status", "status", "due_at"),
)

stored_objects = Table(
    "stored_objects",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the payload, in hexadecimal
    Column("payload", LargeBinary, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(36), nullable=False),
    Column("at", String(32), nullable=False),
    Column("level", Integer, nullable=False),
    Column("logger", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("fields", Text),  # JSON: what was given as `extra`, and the exception; null when there is none
    Index("logs_by_run", "run_id", "seq"),
    sqlite_autoincrement=True,
)

commands = Table(
    "commands",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("run_id", String(36), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("at", String(32), nullable=False),
    Column("answered_at", String(32)),
    Column("answer", Text),
    Index("commands_open_by_run", "run_id", "answered_at"),
    Index("commands_open", "seq", sqlite_where=text("answered_at IS NULL")),  # few of many
    sqlite_autoincrement=True,
)

submissions = Table(
    "submissions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the order of those that are due at the same time
    Column("run_id", String(36), nullable=False, unique=True),
    Column("entry", Text, nullable=False),  # of its flow: whoever serves that may claim it
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),  # higher ones first
    Column("due_at", String(32), nullable=False),
    Column("parameters", Text, nullable=False),  # JSON, whole: what its body gets
    Column("idempotency_key", Text),
    Column("schedule", Text),  # the name of what submitted it by the clock
    Column("takes_turns", Boolean, nullable=False),  # it begins once the earlier ones of its schedule have ended
    Column("crash_retries", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),  # how many processes died while its body ran
    Column("is_named", Boolean, nullable=False),  # by who submitted it
    Column("is_open", Boolean, nullable=False),  # it waits to be claimed
    Column("caller_context", Text),  # JSON: where in a trace it was submitted; null where in none
    Index("submissions_open", "entry", "due_at", sqlite_where=text("is_open = 1")),  # few of many
    Index("submissions_by_key", "entry", "idempotency_key", unique=True),
    Index("submissions_by_schedule", "schedule"),
    sqlite_autoincrement=True,
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("known_since", String(32), nullable=False),  # no earlier time is due by this rule
    Column("through", String(32)),  # up to there all is settled
)

services = Table(  # what each service said of itself last
    "services",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("node_id", String(36), nullable=False),
    Column("said_at", String(32), nullable=False),
    Column("health", Text, nullable=False),  # JSON, see models.health
)

variables = Table(
    "variables",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    Column("updated_at", String(32), nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),  # JSON, secrets encrypted
    Column("updated_at", String(32), nullable=False),
)

tag_limits = Table(
    "tag_limits",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("updated_at", String(32), nullable=False),
)

slots = Table(  # one row for each limit of which somebody has slots, or waits for some
    "slots",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the order in which they were asked for
    Column("claim_id", String(36), nullable=False),  # what was asked for at once
    Column("node_id", String(36), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name", Text, nullable=False),
    Column("occupy", Integer, nullable=False),
    Column("slots", Integer),  # how many the limit has, as who asks says; null for a tag, see tag_limits
    Column("run_id", String(36)),
    Column("title", Text, nullable=False),  # who asks, for people
    Column("asked_at", String(32), nullable=False),
    Column("held_since", String(32)),  # null while it waits
    Column("lender", String(36)),  # the claim_id whose slots these are, where they are lent
    Index("slots_by_claim", "claim_id"),
    Index("slots_by_node", "node_id"),
    sqlite_autoincrement=True,
)
