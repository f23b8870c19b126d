"""Variables and blocks: what is kept by name, beside history. Each function works on a connection that it is given.

What cannot be read costs that one thing alone: a list has all the others.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import LargeBinary, cast, select

from actwright.exceptions import CorruptVariable
from actwright.journal import statements
from actwright.journal.rows import iso, time_or_none, utf8
from actwright.journal.schema import blocks as b
from actwright.journal.schema import variables as v
from actwright.models.values_at_rest import UNREADABLE

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Executable

__all__ = [
    "KeptBlock",
    "KeptVariable",
    "block",
    "block_names",
    "blocks",
    "is_object",
    "set_block",
    "set_variable",
    "unset_block",
    "unset_variable",
    "variable",
    "variables",
]


class KeptVariable(NamedTuple):
    """A variable as the journal has it.

    Attributes:
        value: None too where it cannot be read.
        error: why it cannot be read; None when it can.
        updated_at: when it was set; None where that cannot be read.
    """

    name: str
    value: Any
    error: CorruptVariable | None
    updated_at: datetime | None


class KeptBlock(NamedTuple):
    """A block as the journal has it. `updated_at` is None where it cannot be read."""

    slug: str
    name: str
    document: bytes
    updated_at: datetime | None


def variable(connection: Connection, name: str) -> Any:
    """The value of a variable. Raises KeyError when there is none, CorruptVariable when it cannot be read."""
    found = connection.execute(select(_as_bytes(v.c.value)).where(v.c.name == _asked(name))).one_or_none()
    if found is None:
        raise KeyError(name)
    return _value(name, found[0])


def variables(connection: Connection) -> list[KeptVariable]:
    """All of them, by name."""
    query = select(_as_bytes(v.c.name), _as_bytes(v.c.value), _as_bytes(v.c.updated_at)).order_by(v.c.name)
    return [_kept_variable(_words(name), value, _words(at)) for name, value, at in connection.execute(query)]


def set_variable(connection: Connection, name: str, value: Any, *, overwrite: bool) -> None:
    """Set a variable. Raises FileExistsError when there is one and `overwrite` is false."""
    row = {"name": name, "value": json.dumps(value, ensure_ascii=False), "updated_at": iso(datetime.now(UTC))}
    _put(connection, statements.SET_VARIABLE if overwrite else statements.ADD_VARIABLE, row)


def unset_variable(connection: Connection, name: str) -> bool:
    """Forget a variable; whether there was one."""
    return connection.execute(statements.UNSET_VARIABLE, {"variable": _asked(name)}).rowcount > 0


def block(connection: Connection, slug: str, name: str) -> bytes:
    """The document of a block, as it is kept. Raises KeyError when there is none."""
    query = select(_as_bytes(b.c.document)).where(b.c.slug == _asked(slug), b.c.name == _asked(name))
    found = connection.execute(query).one_or_none()
    if found is None:
        raise KeyError(slug, name)
    return bytes(found[0])


def blocks(connection: Connection) -> list[KeptBlock]:
    """All of them, by slug and name."""
    asked = _as_bytes(b.c.slug), _as_bytes(b.c.name), _as_bytes(b.c.document), _as_bytes(b.c.updated_at)
    query = select(*asked).order_by(b.c.slug, b.c.name)
    return [
        KeptBlock(_words(slug), _words(name), bytes(document), time_or_none(_words(at)))
        for slug, name, document, at in connection.execute(query)
    ]


def block_names(connection: Connection) -> list[tuple[str, str]]:
    """The slug and the name of each block, sorted."""
    query = select(_as_bytes(b.c.slug), _as_bytes(b.c.name)).order_by(b.c.slug, b.c.name)
    return [(_words(slug), _words(name)) for slug, name in connection.execute(query)]


def set_block(connection: Connection, slug: str, name: str, document: str, *, overwrite: bool) -> None:
    """Keep a document. Raises FileExistsError when there is one of that name and `overwrite` is false."""
    row = {"slug": slug, "name": name, "document": document, "updated_at": iso(datetime.now(UTC))}
    _put(connection, statements.SET_BLOCK if overwrite else statements.ADD_BLOCK, row)


def unset_block(connection: Connection, slug: str, name: str) -> bool:
    """Forget a block; whether there was one."""
    named = {"block_slug": _asked(slug), "block_name": _asked(name)}
    return connection.execute(statements.UNSET_BLOCK, named).rowcount > 0


def is_object(document: bytes) -> bool:
    """Whether a document is a JSON object, as that of a block is. What else belongs to one, a class of blocks knows."""
    try:
        return isinstance(json.loads(document.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _put(connection: Connection, statement: Executable, row: dict[str, Any]) -> None:
    if connection.execute(statement, row).rowcount == 0:
        raise FileExistsError(row["name"])


def _as_bytes(column: Column[str]) -> Any:
    """Text that is no UTF-8 would otherwise fail the whole query, and with it all the other rows."""
    return cast(column, LargeBinary)


def _asked(name: object) -> object:
    """A name that is asked for, as a query takes it. Half a surrogate pair is in none that is kept."""
    return utf8(name) if isinstance(name, str) else name


def _words(kept: bytes) -> str:
    """Text again; `(unreadable)` where it is none."""
    try:
        return bytes(kept).decode()
    except UnicodeDecodeError:
        return UNREADABLE


def _kept_variable(name: str, value: bytes, at: str) -> KeptVariable:
    try:
        return KeptVariable(name, _value(name, value), None, time_or_none(at))
    except CorruptVariable as error:
        return KeptVariable(name, None, error, time_or_none(at))


def _value(name: str, kept: bytes) -> Any:
    try:
        return json.loads(bytes(kept).decode())
    except (ValueError, RecursionError) as error:  # what is neither JSON nor UTF-8 is a ValueError
        raise CorruptVariable(
            f"What the journal has of variable {name!r} is no JSON ({type(error).__name__}). Set it anew, with "
            f"overwrite=True (`actwright variable set --overwrite`), or forget it: `actwright variable unset {name}`."
        ) from error
