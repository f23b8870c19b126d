"""`actwright block`: typed documents by name. Their secrets are masked, and no key is needed to look at them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from actwright.control.opening import journal_if_any, journal_to_change
from actwright.control.output import Format, Output, fail, iso_or_none, local_time, say, table_of, write, write_json
from actwright.exceptions import CorruptBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from actwright.blocks.documents import Document
    from actwright.journal.keeping import KeptBlock

__all__ = ["app", "delete", "inspect", "ls", "types"]

app = typer.Typer(no_args_is_help=True, help="Blocks: typed documents by name, their secrets encrypted.")

_Title = Annotated[str, typer.Argument(metavar="SLUG/NAME", help="The block's type and name: slack-webhook/mine.")]


class _Found(NamedTuple):
    """A block; without its document where that cannot be read, and `error` says why."""

    kept: KeptBlock
    document: Document | None
    error: str | None

    @property
    def made_by(self) -> str:
        return "(unreadable)" if self.document is None else self.document.made_by

    def facts(self) -> dict[str, Any]:
        """What `-o json` has of it in a list."""
        return {
            "slug": self.kept.slug,
            "name": self.kept.name,
            "class": None if self.document is None else self.document.made_by,
            "error": self.error,
            "updated_at": iso_or_none(self.kept.updated_at),
        }


@app.command()
def ls(output: Output = Format.TABLE) -> None:
    """List all blocks, by type and name."""
    found = _saved()
    if output is Format.JSON:
        return write_json([each.facts() for each in found or ()])
    if found:
        rows: list[Sequence[RenderableType]] = [
            (_title(each.kept), each.made_by, local_time(each.kept.updated_at)) for each in found
        ]
        write(table_of(["block", "class", "updated"], rows))
    elif found is not None:
        say("No block is saved.")
    return None


@app.command()
def inspect(block: _Title, output: Output = Format.TABLE) -> None:
    """Show what is kept of one block. Secrets are masked."""
    from actwright.blocks.documents import masked

    if (found := {_title(each.kept): each for each in _saved(needed=True) or ()}.get(block)) is None:
        fail(_not_there(block))
    if found.document is None:
        fail(f"{found.error}", code=1)
    fields = {name: masked(value) for name, value in found.document.fields.items()}
    if output is Format.JSON:
        return write_json({**found.facts(), "fields": fields})
    facts: list[Sequence[RenderableType]] = [("class", found.made_by), ("updated", local_time(found.kept.updated_at))]
    write(table_of([], [*facts, *((name, _shown(value)) for name, value in fields.items())]))
    return None


@app.command()
def delete(block: _Title, output: Output = Format.TABLE) -> None:
    """Forget a block."""
    from actwright.journal.keeping import unset_block

    slug, _, name = block.partition("/")
    with journal_to_change() as database, database.writing() as connection:
        if not unset_block(connection, slug, name):
            fail(_not_there(block))
    if output is Format.JSON:
        write_json({"slug": slug, "name": name})


@app.command()
def types(output: Output = Format.TABLE) -> None:
    """List the types of blocks: those that Actwright has, and those of which one is saved."""
    from actwright.blocks.types import import_path_of, known_types

    classes: dict[str, str | None] = {slug: import_path_of(cls) for slug, cls in known_types().items()}
    saved = _saved() or []
    for each in saved:
        classes[each.kept.slug] = classes.get(each.kept.slug) or each.facts()["class"]
    counts = Counter(each.kept.slug for each in saved)
    if output is Format.JSON:
        return write_json(
            [{"slug": slug, "class": made_by, "saved": counts[slug]} for slug, made_by in sorted(classes.items())]
        )
    rows: list[Sequence[RenderableType]] = [
        (slug, made_by or "(unreadable)", str(counts[slug])) for slug, made_by in sorted(classes.items())
    ]
    write(table_of(["type", "class", "saved"], rows))
    return None


def _saved(*, needed: bool = False) -> list[_Found] | None:
    """All blocks; None where there is no journal, which ends the command if one is needed."""
    from actwright.journal.keeping import blocks

    with journal_to_change() if needed else journal_if_any() as database:
        if database is None:
            return None
        with database.reading() as connection:
            return [_read(each) for each in blocks(connection)]


def _read(kept: KeptBlock) -> _Found:
    from actwright.blocks.documents import read

    try:
        return _Found(kept, read(_title(kept), kept.document), None)
    except CorruptBlock as error:
        return _Found(kept, None, str(error))


def _title(kept: KeptBlock) -> str:
    return f"{kept.slug}/{kept.name}"


def _not_there(block: str) -> str:
    return f"There is no block {block!r}. A block is named by its type and name; see `actwright block ls`."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
