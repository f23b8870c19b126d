"""Reads a system's figures off its cells."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from actwright_actors._messages import IDLE, content
from actwright_actors.tree import ActorInfo, SystemInfo

if TYPE_CHECKING:
    from actwright_actors._cell import Cell
    from actwright_actors._kernel import Kernel

__all__ = ["look_at"]

_short = reprlib.Repr()
_short.maxother = _short.maxstring = 80


def look_at(kernel: Kernel) -> SystemInfo:
    """What `ActorSystem.tree()` returns."""
    children: dict[int, list[Cell]] = {}
    for cell in list(kernel.cells.values()):
        children.setdefault(id(cell.keeper), []).append(cell)
    return SystemInfo(
        name=kernel.name,
        actors=_infos(children.get(id(None), ()), children),
        dead_letters=kernel.dead_letters,
        late_replies=kernel.late_replies,
        abandoned=len(kernel.abandoned),
        timers=len(kernel.timers),
    )


def _infos(cells: Iterable[Cell], children: dict[int, list[Cell]]) -> tuple[ActorInfo, ...]:
    return tuple(_info(cell, _infos(children.get(id(cell.life.actor), ()), children)) for cell in cells)


def _info(cell: Cell, children: tuple[ActorInfo, ...]) -> ActorInfo:
    life = cell.life
    current, waits_for = life.current, life.waits_for  # read once: another thread may look
    return ActorInfo(
        name=cell.name,
        kind=type(life.actor).__name__,
        status=cell.status,
        mailbox_length=len(cell.mailbox),
        mailbox_peak=cell.mailbox.peak,
        handled=cell.handled,
        restarts=cell.restarts,
        child_tasks=len(life.children),
        current=None if current is IDLE else _shown(content(current)),
        current_seconds=None if current is IDLE else perf_counter() - life.busy_since,
        waits_for=None if waits_for is None else waits_for.name,
        children=children,
    )


def _shown(message: Any) -> str:
    try:
        return _short.repr(message)
    except KeyboardInterrupt:
        raise
    except BaseException:  # of a user's repr, SystemExit too; and reprlib takes any type named "array" for the real one
        return f"<{type(message).__name__}>"
