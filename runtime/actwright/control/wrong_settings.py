"""What is set wrongly where a dead program was: its replay leaves that out, and who asked for the replay hears it."""

from __future__ import annotations

from contextlib import chdir, suppress
from typing import TYPE_CHECKING

from actwright.control.output import say
from actwright.exceptions import SettingsError
from actwright.settings import read_settings

if TYPE_CHECKING:
    from actwright.nodes.rows import NodeRow

__all__ = ["say_wrong_settings"]


def say_wrong_settings(node: NodeRow) -> None:
    """Say what a replay of this node cannot use. Nothing where the program's folder is gone: then no file is read."""
    with suppress(OSError), chdir(node.program.cwd):
        try:
            read_settings()
        except SettingsError as error:
            wrong = " ".join(str(error).split())
            say(f"Node {node.id}: its hooks run without what is set wrongly where its program was. {wrong}")
