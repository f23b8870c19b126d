"""`actwright recover`: what dead processes left is settled, and their hooks run, here and now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actwright.control.asking import ask
from actwright.control.opening import journal_if_any, journal_to_change
from actwright.control.output import Format, Output, clean, fail, say, short, state_text, table_of, write, write_json

if TYPE_CHECKING:
    from actwright.control.liveness import KnownNode
    from actwright.control.recovering import Recovered
    from actwright.journal.database import Database

__all__ = ["recover"]


def recover(
    force: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Take this node over although its process holds it: stopped, or stuck."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a node is taken over by force.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Settle the runs of all processes that died, run the hooks that are due, and wait for them.

    The exit code is 0 if nothing is left to do, and no hook failed.
    """
    recovered = _recover_the_dead() if force is None else _recover_by_force(force, yes)
    if output is Format.JSON:
        write_json([_document(each) for each in recovered])
    else:
        for each in recovered:
            _draw(each)
    for each in recovered:
        _say_what_is_left(each)
    if not all(each.is_well for each in recovered):
        raise typer.Exit(1)


def _recover_the_dead() -> list[Recovered]:
    with journal_if_any() as database:
        if database is None:
            return []
        from actwright.control.liveness import NodeStatus, dead_nodes, known_nodes
        from actwright.control.recovering import held_by_another, recover_node
        from actwright.control.wrong_settings import say_wrong_settings
        from actwright.nodes import rows

        dead = dead_nodes(database)
        with database.reading() as connection:
            nodes = [node for node in rows.unsettled(connection) if node.id in dead]
            known = known_nodes(connection, database)
        with_work = {each.row.id for each in known if any(each.work)}
        for node in nodes:
            if node.id in with_work:
                say_wrong_settings(node)
        recovered = [recover_node(database, node) for node in nodes]
        theirs = [each.row for each in known if each.status is NodeStatus.RECOVERING and each.row.id not in dead]
        found = [each for each in recovered if each.node.id in with_work]
        found += [held_by_another(database, node) for node in theirs]
    if not found:
        say("No process died with something left to do.")
    return found


def _recover_by_force(given: str, yes: bool) -> list[Recovered]:
    with journal_to_change() as database:
        from actwright.control.recovering import recover_node
        from actwright.control.wrong_settings import say_wrong_settings

        node = _one_node(database, given)
        is_held = node.holder is not None
        if is_held:
            _refuse_ourselves_and_ask(node, yes)
        elif not any(node.work):
            say(f"Node {node.row.id} has ended, and nothing is left to do for it.")
            return []
        say_wrong_settings(node.row)
        return [recover_node(database, node.row, by_force=is_held)]


def _one_node(database: Database, given: str) -> KnownNode:
    from actwright.control.liveness import known_nodes

    with database.reading() as connection:
        nodes = known_nodes(connection, database, ended=True)
    found = [node for node in nodes if given and node.row.id.startswith(given.lower())]
    if not found:
        fail(f"There is no node {given!r}: neither such an id nor a beginning of one. See `actwright nodes`.")
    if len(found) > 1:
        fail(f"{given!r} begins the ids of {len(found)} nodes. Give more of it.")
    return found[0]


def _refuse_ourselves_and_ask(node: KnownNode, yes: bool) -> None:
    from actwright.control.liveness import NodeStatus

    if node.status is NodeStatus.RECOVERING:
        fail(f"Node {node.row.id} is being recovered by process {node.holder} just now. Wait for it, or end it.", 1)
    say(
        f"Node {node.row.id} (pid {node.row.pid} on {node.row.host}) is {node.status.value}. Taken over, its runs are "
        "settled as those of a dead process. Should it go on, it is fenced: nothing that it writes is kept, it starts "
        "no hook, and its runs end with Fenced; but what its bodies do elsewhere until then is done."
    )
    if not yes and sys.stdin.isatty():
        ask("Take it over?")


def _document(recovered: Recovered) -> dict[str, Any]:
    from actwright.control.documents import delivery_document, run_document

    return {
        "node_id": recovered.node.id,
        "outcome": recovered.outcome.value,
        "log": str(recovered.log) if recovered.log.exists() else None,
        "runs": [run_document(run, ()) for run in recovered.runs],
        "hooks": [delivery_document(hook) for hook in recovered.hooks],
    }


def _draw(recovered: Recovered) -> None:
    from actwright.control.documents import subject_of
    from actwright.control.hooks import COLUMNS, delivery_rows

    node = recovered.node
    print(clean(f"Node {node.id} (pid {node.pid} on {node.host}): {recovered.outcome.value}"))
    if recovered.runs:
        runs = [(short(one.run.id), f"{one.run.kind} {subject_of(one.run)}", one.run.name, state_text(one.run.state))
                for one in recovered.runs]  # fmt: skip
        write(table_of(["id", "of", "name", "state"], runs))
    if recovered.hooks:
        write(table_of(COLUMNS, delivery_rows(recovered.hooks)))


def _say_what_is_left(recovered: Recovered) -> None:
    from actwright.control.recovering import Outcome

    if recovered.outcome is Outcome.GAVE_UP:
        say(f"Node {recovered.node.id} was given up for now: {recovered.log} tells why. Try again later.")
    elif not recovered.is_over:
        say(f"Node {recovered.node.id} is {recovered.outcome.value}, and not done with. Wait for that, or try again.")
    elif recovered.log.exists():
        say(f"What its hooks printed is in {recovered.log}.")
