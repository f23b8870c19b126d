"""`actwright variable`: named JSON values, which flows and hooks read and set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actwright.control.opening import journal_if_any, journal_made, journal_to_change
from actwright.control.output import (
    Format,
    Output,
    clean,
    fail,
    iso_or_none,
    json_or_text,
    local_time,
    say,
    table_of,
    write,
    write_json,
)
from actwright.exceptions import AuthoringError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from actwright.journal.keeping import KeptVariable

__all__ = ["app", "get", "ls", "set", "unset", "value_of"]

app = typer.Typer(no_args_is_help=True, help="Variables: JSON values by name, which flows and hooks read and set.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The variable's name.")]


@app.command()
def ls(output: Output = Format.TABLE) -> None:
    """List all variables, by name."""
    with journal_if_any() as database:
        if database is None:
            return write_json([]) if output is Format.JSON else None
        from actwright.journal.keeping import variables

        with database.reading() as connection:
            found = variables(connection)
    if output is Format.JSON:
        return write_json([_document(each) for each in found])
    if not found:
        say("No variable is set.")
        return None
    rows: list[Sequence[RenderableType]] = [(each.name, _shown(each), local_time(each.updated_at)) for each in found]
    write(table_of(["name", "value", "updated"], rows))
    return None


@app.command()
def get(name: _Name, output: Output = Format.TABLE) -> None:
    """Print the value of a variable: text as it is, anything else as JSON."""
    from actwright.journal.keeping import variable

    with journal_to_change() as database, database.reading() as connection:
        try:
            value = variable(connection, name)
        except KeyError:
            fail(f"There is no variable {name!r}. See `actwright variable ls`.")
    if output is Format.JSON:
        write_json(value)
    else:
        print(clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))


@app.command()
def set(
    name: _Name,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="JSON; what is no JSON is taken as text.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the value of one that is set.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Set a variable.

    The value is JSON (7, true, null, [1, 2], {"a": 1}), or else text as it stands: hello and "hello" are the same, and
    "7" in double quotes is text. One that begins with a dash comes after two: set NAME -- -7.
    """
    from actwright.authoring.keeping import checked_name
    from actwright.journal.keeping import set_variable

    try:
        made = value_of(checked_name("variable", name), value)
    except AuthoringError as error:
        fail(str(error))

    with journal_made() as database, database.writing() as connection:
        try:
            set_variable(connection, name, made, overwrite=overwrite)
        except FileExistsError:
            fail(f"There is a variable {name!r} already. --overwrite replaces it.")
    if output is Format.JSON:
        write_json({"name": name, "value": made})


@app.command()
def unset(name: _Name, output: Output = Format.TABLE) -> None:
    """Forget a variable."""
    from actwright.journal.keeping import unset_variable

    with journal_to_change() as database, database.writing() as connection:
        if not unset_variable(connection, name):
            fail(f"There is no variable {name!r}. See `actwright variable ls`.")
    if output is Format.JSON:
        write_json({"name": name})


def value_of(name: str, given: str) -> Any:
    """The value that is meant by a word of a command line: JSON, or else text.

    Raises:
        AuthoringError: it is neither, such as bytes that are no UTF-8.
    """
    from actwright.authoring.variables import json_copy

    return json_copy(name, json_or_text(given))


def _shown(each: KeptVariable) -> str:
    return json.dumps(each.value, ensure_ascii=False) if each.error is None else "(unreadable)"


def _document(each: KeptVariable) -> dict[str, Any]:
    return {
        "name": each.name,
        "value": each.value,
        "error": None if each.error is None else str(each.error),
        "updated_at": iso_or_none(each.updated_at),
    }
