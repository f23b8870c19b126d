"""Commands in the journal's database. Each function works on a connection that it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json
from sqlalchemy import bindparam, insert, select

from actwright.journal.rows import iso
from actwright.journal.schema import commands as c
from actwright.journal.schema import runs as r
from actwright.models.commands import Answer, Command, CommandKind, Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from actwright.journal.protocol import CommandAnswered

__all__ = ["add", "answer_to", "answered_row", "new_commands", "open_commands"]

_OPEN_OF_NODE: Final = (
    select(c)
    .join(r, r.c.id == c.c.run_id)
    .where(c.c.seq > bindparam("after"), c.c.answered_at.is_(None), r.c.node_id == bindparam("node_id"))
    .order_by(c.c.seq)
)


def add(connection: Connection, command: Command) -> None:
    """Ask. In the transaction in which the run was seen to be open, so that whoever ends it sees the request."""
    values = {
        "id": str(command.id), "run_id": str(command.run_id), "kind": command.kind.value,
        "payload": to_json(command.payload).decode(), "at": iso(command.at),
    }  # fmt: skip
    connection.execute(insert(c).values(values))


def new_commands(connection: Connection, node_id: str, after: int) -> list[tuple[int, Command]]:
    """What was asked, after that place in the order of all commands, of runs of a node, and has no answer yet."""
    found = connection.execute(_OPEN_OF_NODE, {"after": after, "node_id": node_id})
    return [(row["seq"], _command_of(row)) for row in found.mappings()]


def open_commands(connection: Connection, node_id: str) -> list[Command]:
    """All that was asked of runs of a node and has no answer yet, in order."""
    return [command for _, command in new_commands(connection, node_id, 0)]


def answer_to(connection: Connection, command_id: UUID) -> Answer | None:
    """The answer to a command; None while there is none."""
    found: str | None = connection.execute(select(c.c.answer).where(c.c.id == str(command_id))).scalar()
    if found is None:
        return None
    outcome, detail = from_json(found)
    return Answer(Outcome(outcome), detail)


def answered_row(answered: CommandAnswered) -> dict[str, Any]:
    """An answer as the values of `statements.ANSWER_COMMAND`."""
    answer = to_json([answered.answer.outcome.value, answered.answer.detail]).decode()
    return {"command": str(answered.command_id), "at_time": iso(answered.at), "said": answer}


def _command_of(row: Any) -> Command:
    return Command(
        id=UUID(row["id"]),
        run_id=UUID(row["run_id"]),
        kind=CommandKind(row["kind"]),
        at=datetime.fromisoformat(row["at"]).astimezone(UTC),
        payload=from_json(row["payload"]),
    )
