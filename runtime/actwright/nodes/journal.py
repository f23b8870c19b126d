"""The door to this process's own journal: what stands behind it loads SQLAlchemy, and is loaded at the first use."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING

from actwright.nodes.bodies import claim_path
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actwright.journal.protocol import Journal

__all__ = ["claim_of_body", "close_journals", "journal_of_this_process", "see_to_the_dead", "watch_loop"]


def journal_of_this_process() -> Journal:
    """The journal that the settings name, opened at the first call. Blocks.

    Raises:
        JournalError: it cannot be opened; the message says why, and what to do.
    """
    from actwright.nodes.node import process_node

    return process_node(get_current_settings()).journal


def watch_loop(
    journal: Journal, post: Callable[[Callable[[], object]], object], is_busy: Callable[[], bool]
) -> Callable[[], None]:
    """Have others see when an event loop that writes to this process's journal is stuck, until the function that is
    returned is called. `nodes.pulse` says what the arguments are. Of another journal, nothing happens."""
    node = sys.modules.get("actwright.nodes.node")
    for each in node.open_nodes() if node else ():
        if each.journal is journal:
            unwatch: Callable[[], None] = each.pulse.watch(post, is_busy)
            return unwatch
    return lambda: None


def see_to_the_dead(journal: Journal) -> None:
    """Have nodes recovered that died on this process's journal, of which nobody else does. Blocks. Of another journal,
    nothing happens."""
    node = sys.modules.get("actwright.nodes.node")
    for each in node.open_nodes() if node else ():
        if each.journal is journal:
            each.see_to_the_dead()


def claim_of_body(journal: Journal, token: str) -> Path | None:
    """The file whose lock the process of a body holds, so that whoever takes this journal's node over finds it.

    None where nobody would: history is in memory, or somebody else's.
    """
    if not journal.is_durable:
        return None
    from actwright.journal.sql_journal import SqlJournal

    if not isinstance(journal, SqlJournal):
        return None
    return claim_path(journal.database.path.parent / "nodes", journal.node_id, token)


def close_journals() -> None:
    """Close what this process has opened, having written what is left; the next use opens it anew. Blocks."""
    node = sys.modules.get("actwright.nodes.node")
    if node is not None:
        node.close_nodes()


# Registered when the engine is imported, and so called after what is registered later: the end of the background loops,
# which still write.
atexit.register(close_journals)
