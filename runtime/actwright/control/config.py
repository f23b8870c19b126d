"""`actwright config`: each setting, what it is, and where that comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from actwright.control.output import Format, Output, table_of, write, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

__all__ = ["config"]


def config(output: Output = Format.TABLE) -> None:
    """Show each setting, its value here, and where it is set: a variable, a file, or the default."""
    from actwright.settings import Settings, get_current_settings, source_of

    settings = get_current_settings()
    found = {name: _plain(getattr(settings, name)) for name in Settings.model_fields}
    if output is Format.JSON:
        write_json({name: {"value": value, "source": source_of(name)} for name, value in found.items()})
        return
    rows: list[Sequence[RenderableType]] = [(name, str(value), source_of(name)) for name, value in found.items()]
    write(table_of(["setting", "value", "from"], rows))


def _plain(value: object) -> object:
    """As JSON has it; infinity, which JSON lacks, in the word that settings take; a secret masked."""
    from pydantic import SecretStr

    if isinstance(value, Path | SecretStr) or value == float("inf"):
        return str(value)  # a secret's is its mask
    return value
