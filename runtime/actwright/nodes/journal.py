"""The door to this process's own journal: what stands behind it loads SQLAlchemy, and is loaded at the first use."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING

from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from actwright.journal.protocol import Journal

__all__ = ["close_journals", "journal_of_this_process"]


def journal_of_this_process() -> Journal:
    """The journal that the settings name, opened at the first call. Blocks.

    Raises:
        JournalError: it cannot be opened; the message says why, and what to do.
    """
    from actwright.nodes.node import process_node

    return process_node(get_current_settings()).journal


def close_journals() -> None:
    """Close what this process has opened, having written what is left; the next use opens it anew. Blocks."""
    node = sys.modules.get("actwright.nodes.node")
    if node is not None:
        node.close_nodes()


# Registered when the engine is imported, and so called after what is registered later: the end of the background loops,
# which still write.
atexit.register(close_journals)
