"""Deliveries that ended badly become due again, and are run."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

from sqlalchemy import update

from actwright.control.output import fail, say, short
from actwright.control.recovering import Outcome, recover_node
from actwright.control.wrong_settings import say_wrong_settings
from actwright.exceptions import InternalError
from actwright.journal.queries import matching_deliveries
from actwright.journal.rows import iso
from actwright.journal.schema import hook_deliveries as d
from actwright.models.deliveries import DeliveryStatus
from actwright.nodes import locks, rows
from actwright.nodes.node import holder_of, lock_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.queries import FoundDelivery
    from actwright.nodes.rows import NodeRow

__all__ = ["refusal", "retry_deliveries"]

_PAUSE_SECONDS: Final = 0.1


def retry_deliveries(database: Database, chosen: Sequence[FoundDelivery]) -> list[FoundDelivery]:
    """Have each run once more, and wait for that; as they are then. Ends the command if one of them may not. Blocks.

    All are made due before the first runs: a command that is refused has done nothing, unless one refusal came of a
    process that began to recover a node in the meantime.
    """
    for found in chosen:
        if why := refusal(found, holder_of(_node(database, found.node_id), database)):
            fail(why)
    by_node = {node: list(group) for node, group in groupby(sorted(chosen, key=_node_of), key=_node_of)}
    for node_id in by_node:
        _see_that_it_ended(database, node_id)
    try:
        for node_id, group in by_node.items():
            _make_due(database, node_id, group)
        for node_id, group in by_node.items():
            _run(database, node_id, group)
    except KeyboardInterrupt:
        _say_what_is_left(database, chosen)
        raise
    return _again(database, chosen)


def _say_what_is_left(database: Database, chosen: Sequence[FoundDelivery]) -> None:
    """After a Ctrl-C, which ends the process that was started to run the hooks as well."""
    left = [str(found.delivery.id) for found in _again(database, chosen) if found.delivery.is_open]
    if left:
        say(
            f"Interrupted. Still due: {', '.join(left)}. The next program that opens this journal runs what is due, "
            "and so does `actwright recover`."
        )
    else:
        say("Interrupted. Nothing that was to be retried is still due.")


def refusal(found: FoundDelivery, holder: int | None) -> str | None:
    """Why a delivery cannot be tried again; None if it can.

    Args:
        holder: the process that has its node: the node's own, or one that recovers it or retries hooks of it.
    """
    delivery = found.delivery
    if delivery.status is DeliveryStatus.SUCCEEDED:
        return f"Delivery {delivery.id} succeeded: there is nothing to retry."
    if delivery.is_open and holder is not None:
        return (
            f"Delivery {delivery.id} is {delivery.status}: it has not failed, and process {holder or 'unknown'} runs "
            f"the hooks of its node just now. `actwright hooks inspect {short(delivery.id)}` shows what becomes of it."
        )
    if delivery.is_open:
        return (
            f"Delivery {delivery.id} is {delivery.status}: it has not failed. If its process died (see `actwright "
            "nodes`), `actwright recover` runs it."
        )
    if delivery.event == "on_running" and delivery.attempt == 0:
        return f"Delivery {delivery.id} was skipped for good: {delivery.error}."
    return None


def _see_that_it_ended(database: Database, node_id: str) -> None:
    holder = holder_of(_node(database, node_id), database)
    if holder is not None:
        _refuse_for_the_living(node_id, holder)


def _refuse_for_the_living(node_id: str, holder: int | None) -> None:
    fail(
        f"Node {node_id} is alive, or another process recovers it just now (process {holder or 'unknown'}). A hook of "
        "a living process is run by that one alone: retry it once the process has ended."
    )


def _make_due(database: Database, node_id: str, group: Sequence[FoundDelivery]) -> None:
    """Under the node's lock: nobody recovers it, and no process writes for it, while that changes."""
    path = lock_path(node_id, database)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lock = locks.hold(path)
    if lock is None:
        return _refuse_for_the_living(node_id, locks.holder(path))
    try:
        with database.writing() as connection:
            for found in group:
                _change(connection, found)
            rows.reopen(connection, node_id)
    finally:
        lock.release(unlink=False)  # it stays for those who look for what is left to do
    return None


def _change(connection: Connection, found: FoundDelivery) -> None:
    """Due from now on, also for what expires; attempts count on, cuts anew."""
    again = {"status": DeliveryStatus.DUE.value, "cuts": 0, "due_at": iso(datetime.now(UTC)), "ended_at": None}
    is_as_it_was = d.c.status == found.delivery.status.value
    statement = update(d).where(d.c.id == str(found.delivery.id), is_as_it_was).values(again)
    if not connection.execute(statement).rowcount:
        fail(f"Delivery {found.delivery.id} changed just now: another process retries it.", code=1)


def _run(database: Database, node_id: str, group: Sequence[FoundDelivery]) -> None:
    node = _node(database, node_id)
    say_wrong_settings(node)
    while any(each.delivery.is_open for each in _again(database, group)):
        recovered = recover_node(database, node)
        if recovered.outcome is Outcome.GAVE_UP:
            say(f"Node {node_id} was given up for now: {recovered.log} tells why.")
            return
        if recovered.outcome is Outcome.HELD:  # who has it runs them
            time.sleep(_PAUSE_SECONDS)


def _node(database: Database, node_id: str) -> NodeRow:
    with database.reading() as connection:
        node = rows.read(connection, node_id)
    if node is None:
        raise InternalError(f"Node {node_id} has deliveries, and no row in {database.path}.")
    return node


def _again(database: Database, group: Sequence[FoundDelivery]) -> list[FoundDelivery]:
    with database.reading() as connection:
        return [found for each in group for found in matching_deliveries(connection, str(each.delivery.id))]


def _node_of(found: FoundDelivery) -> str:
    return found.node_id
