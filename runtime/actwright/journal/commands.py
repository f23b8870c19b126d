"""Commands in the journal's database. Each function works on a connection that it is given."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json
from sqlalchemy import bindparam, func, insert, select

from actwright.journal.rows import iso, utf8
from actwright.journal.schema import commands as c
from actwright.journal.schema import runs as r
from actwright.models.commands import Answer, Command, CommandKind, Outcome

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from actwright.journal.protocol import CommandAnswered

__all__ = ["add", "answer_to", "answered_row", "new_commands", "open_commands", "open_commands_of"]

logger = logging.getLogger("actwright.journal")

_LATEST: Final = select(func.max(c.c.seq))
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
        "payload": _payload_at_rest(command), "at": iso(command.at),
    }  # fmt: skip
    connection.execute(insert(c).values(values))


def new_commands(connection: Connection, node_id: str, after: int) -> tuple[int, list[Command]]:
    """What was asked, after that place in the order of all commands, of runs of a node, and has no answer yet; and
    the place that the next look begins after.

    All nodes' commands are in one table, so what is other nodes' is looked at once, and not each time.
    """
    latest = connection.scalar(_LATEST)
    if latest is None or latest <= after:
        return after, []
    found = connection.execute(_OPEN_OF_NODE, {"after": after, "node_id": node_id}).mappings()
    read = [_command_of(row) for row in found]
    return latest, [command for command in read if command is not None]


def open_commands(connection: Connection, node_id: str) -> list[Command]:
    """All that was asked of runs of a node and has no answer yet, in order."""
    return new_commands(connection, node_id, 0)[1]


def open_commands_of(connection: Connection, run_id: UUID) -> list[Command]:
    """What was asked of a run and has no answer yet, in order."""
    query = select(c).where(c.c.run_id == str(run_id), c.c.answered_at.is_(None)).order_by(c.c.seq)
    read = [_command_of(row) for row in connection.execute(query).mappings()]
    return [command for command in read if command is not None]


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


def _payload_at_rest(command: Command) -> str:
    """As JSON. A reason from a command line may have half a surrogate pair, which UTF-8 cannot write."""
    payload = dict(command.payload)
    if command.reason is not None:
        payload["reason"] = utf8(command.reason)
    return to_json(payload).decode()


def _command_of(row: Any) -> Command | None:
    """None for one that cannot be read, as another version may have written it: others must not wait for it."""
    try:
        return Command(
            id=UUID(row["id"]),
            run_id=UUID(row["run_id"]),
            kind=CommandKind(row["kind"]),
            at=datetime.fromisoformat(row["at"]).astimezone(UTC),
            payload=dict(from_json(row["payload"])),
        )
    except (ValueError, TypeError) as error:
        logger.error("Command %s of another process cannot be read, and is passed over: %s", row["id"], error)
        return None
