"""`actwright serve`: a process that stays, and runs what others submit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from actwright.control.output import fail
from actwright.exceptions import FlowNotFound, ServiceFailed

if TYPE_CHECKING:
    from actwright.serving.service import Servable

__all__ = ["CUT_SHORT", "from_here", "serve"]

CUT_SHORT: Final = 3
"""The exit code where a drain had to cancel runs, or to leave some behind."""


def serve(
    flows: Annotated[list[str], typer.Argument(metavar="FLOW...", help="module:flow, or path/to/file.py:flow.")],
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The most runs that are at work here at once.")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take what is submitted to this queue. Again: more.")
    ] = None,
    health_address: Annotated[
        str | None,
        typer.Option(metavar="[HOST:]PORT", help="Answer probes there, over HTTP. A port alone is this machine's own."),
    ] = None,
) -> None:
    """Serve flows, until SIGTERM or Ctrl-C: run what `actwright submit` and clients submit, each run in one process.

    The first signal drains: nothing new is begun, what is at work may end within ACTWRIGHT_DRAIN_SECONDS and is then
    cancelled, and every hook runs. A second one ends the process at once. The exit code is 0 after a drain in which all
    ended by itself, 3 where runs had to be cancelled, and 1 when what is served fell too often.
    """
    from actwright.models.submissions import DEFAULT_QUEUE
    from actwright.serving.first_process import leave_to_child
    from actwright.serving.serve import serve as serve_until_told

    leave_to_child()
    from_here()
    try:
        served = [_servable(each, queue or [DEFAULT_QUEUE]) for each in dict.fromkeys(flows)]
        cut_short = serve_until_told(*served, limit=limit, health_address=_address(health_address))
    except FlowNotFound as error:
        fail(str(error))
    except ServiceFailed as error:
        fail(str(error), code=1)
    if cut_short:
        raise typer.Exit(CUT_SHORT)


def _address(given: str | None) -> str | None:
    from actwright.serving.addresses import address_of

    try:
        address_of(given)
    except ValueError as error:
        fail(str(error))
    return given


def _servable(where: str, queues: list[str]) -> Servable:
    from actwright.authoring.flows import Flow
    from actwright.authoring.loading import object_at
    from actwright.serving.service import Served
    from actwright_actors import ChildSpec

    found = object_at(where)
    if isinstance(found, Flow):
        try:
            return Served(cast("Flow[..., Any]", found), queues=queues)
        except ValueError as error:
            fail(str(error))
    if isinstance(found, Served | ChildSpec):
        return found
    fail(f"{where} is nothing that can be served; got {type(found).__name__}. Expected a flow.")


def from_here() -> None:
    """Have modules found that stand in this folder, as `python -m` does."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
