"""The command line: `actwright`, also `python -m actwright`."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from actwright import __version__
from actwright.control.groups import Group
from actwright.control.output import fail, never_fail_to_print
from actwright.exceptions import ActwrightError, InternalError, SettingsError

if TYPE_CHECKING:
    from actwright_actors.backends import BackendName

__all__ = ["Backend", "Commands", "app", "demo", "main"]


class Commands(Group):
    """All commands. An error of ours is one line on stderr; any other is a bug, and shown as Python shows it."""

    homes: ClassVar = {
        "serve": "actwright.control.serving:serve",
        "submit": "actwright.control.submitting:submit",
        "status": "actwright.control.status:status",
        "nodes": "actwright.control.nodes:nodes",
        "recover": "actwright.control.recover:recover",
        "config": "actwright.control.config:config",
        "demo": "actwright.control.cli:demo",
        "runs": "actwright.control.runs:app",
        "hooks": "actwright.control.hooks:app",
        "variable": "actwright.control.variables:app",
        "block": "actwright.control.blocks:app",
        "limit": "actwright.control.limits:app",
        "db": "actwright.control.db:app",
    }

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InternalError:
            raise
        except ActwrightError as error:
            fail(" ".join(str(error).split()), code=2 if isinstance(error, SettingsError) else 1)


app = typer.Typer(
    name="actwright",
    cls=Commands,
    help="Flows and tasks as actors, whose state change hooks run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # an exception here is a bug: show it as Python does, ready to be reported
)


class Backend(StrEnum):
    """What runs the actors."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"
    TRIO = "trio"


_NAMES: dict[Backend, BackendName] = {
    Backend.ASYNCIO: "asyncio",
    Backend.UVLOOP: "asyncio+uvloop",
    Backend.TRIO: "trio",
}
_TO_INSTALL = {Backend.UVLOOP: "uvloop", Backend.TRIO: "'actwright[trio]'"}


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"actwright {__version__}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    never_fail_to_print()


def demo(
    backend: Annotated[
        Backend | None, typer.Option(help="What runs the actors. Default: uvloop where it is installed, else asyncio.")
    ] = None,
) -> None:
    """Run five flows, in a few seconds, and show every state change hook that fires.

    One retries, one fails, one is cancelled, one crashes, and one is killed with its program: its hook runs all the
    same. History is kept in a temporary folder. The exit code is 0 if each hook that was due ran.
    """
    from rich.console import Console

    from actwright.control.demo import run_demo  # `actwright --help` needs no engine

    if backend is None:
        backend = Backend.UVLOOP if find_spec("uvloop") else Backend.ASYNCIO
    _check_installed(backend)
    if not run_demo(Console(highlight=False), _NAMES[backend]):
        raise typer.Exit(1)


def _check_installed(backend: Backend) -> None:
    if find_spec(backend.value) is None:
        raise typer.BadParameter(
            f"{backend.value} is not installed. Install it with: pip install {_TO_INSTALL[backend]}",
            param_hint="--backend",
        )


def main() -> None:
    """Run the command that the command line names, and exit with its code."""
    app()
