"""A group of commands, each of which is loaded when it is called: nobody waits for what other commands need."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group

__all__ = ["Group"]


class Group(TyperGroup):
    """Knows the names of its commands, and where each is. Help, and a name that it does not know, load all of them.

    Attributes:
        homes: name -> "module:attribute", a function or a group of its own (`typer.Typer`); in the order of the help.
    """

    homes: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.homes)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for name in [cmd_name] if cmd_name in self.homes else self.homes:  # of all, typer suggests one that is near
            if name not in self.commands:
                self.commands[name] = _loaded(name, self.homes[name])
        return self.commands.get(cmd_name)


def _loaded(name: str, home: str) -> Any:
    """The command, as typer makes it of one that stands in a group."""
    module, _, attribute = home.partition(":")
    found = getattr(import_module(module), attribute)
    alone = typer.Typer()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return get_group(alone).commands[name]
