"""A run and what it called, drawn as a tree."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from rich.text import Text
from rich.tree import Tree

from actwright.control.documents import is_dead, subject_of
from actwright.control.output import one_line, short, state_text, status_text, took

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from actwright.journal.queries import FoundDelivery, FoundRun

__all__ = ["MOST_CALLED", "called_tree", "live_tree", "run_text", "shown_and_rest"]

MOST_CALLED: Final = 10
"""Of what one run called, so many are drawn while it goes on: a terminal has room for no more."""

_GUIDES: Final = "dim"


def run_text(found: FoundRun, dead: Collection[str], *, now: datetime | None = None) -> Text:
    """A run in a line: its name, how it stands, how long it took, what it is of.

    Args:
        dead: the nodes whose processes are gone.
        now: of a run that goes on, the time until then is told, and which attempt it is in.
    """
    run = found.run
    words = [Text(one_line(run.name)), state_text(run.state, dead=is_dead(found, dead))]
    if now is not None and run.run_count > 1:
        words.append(Text(f"attempt {run.run_count}"))
    words.append(Text(took(run.start_time, run.end_time or now)))
    words.append(Text(one_line(f"{run.kind} {subject_of(run)}, {short(run.id)}"), "dim"))
    return Text("  ").join(words)


def called_tree(root: FoundRun, called: Iterable[FoundRun], dead: Collection[str]) -> Tree:
    """All that a run called; callers come first."""
    tree = Tree(Text(one_line(root.run.name)), guide_style=_GUIDES)
    branches = {root.run.id: tree}
    for each in called:
        above = branches.get(each.run.parent_id or root.run.id, tree)
        branches[each.run.id] = above.add(run_text(each, dead))
    return tree


def live_tree(
    root: FoundRun,
    called: Iterable[FoundRun],
    hooks: Iterable[FoundDelivery],
    *,
    now: datetime,
    dead: Collection[str] = (),
) -> Tree:
    """A run that goes on: its hooks, and what it called, each with the same below it. Of many, the rest is counted."""
    called_by: defaultdict[UUID | None, list[FoundRun]] = defaultdict(list)
    hooks_of: defaultdict[UUID, list[FoundDelivery]] = defaultdict(list)
    for each in called:
        called_by[each.run.parent_id].append(each)
    for hook in hooks:
        hooks_of[hook.delivery.run_id].append(hook)
    tree = Tree(run_text(root, dead, now=now), guide_style=_GUIDES)
    left = [(tree, root)]
    while left:
        branch, found = left.pop()
        for hook in hooks_of[found.run.id]:
            branch.add(_hook_text(hook, now))
        shown, rest = shown_and_rest(called_by[found.run.id])
        left += [(branch.add(run_text(each, dead, now=now)), each) for each in shown]
        if rest:
            counted = ", ".join(f"{count} {one_line(state)}" for state, count in rest.items())
            branch.add(Text(f"... and {counted}", "dim"))
    return tree


def shown_and_rest(called: Sequence[FoundRun], most: int = MOST_CALLED) -> tuple[list[FoundRun], Counter[str]]:
    """Which of these are drawn, in their order, and how many of the others are in which state.

    Those that go on come first, then those that did not end well, then the newest.
    """
    newest_first = range(len(called) - 1, -1, -1)
    wanted = sorted(newest_first, key=lambda place: _rank(called[place]))[:most]
    chosen = set(wanted)
    rest = Counter(each.run.state.name for place, each in enumerate(called) if place not in chosen)
    return [called[place] for place in sorted(chosen)], rest


def _rank(found: FoundRun) -> int:
    state = found.run.state
    return 2 if state.is_completed() else 1 if state.is_final() else 0


def _hook_text(hook: FoundDelivery, now: datetime) -> Text:
    delivery = hook.delivery
    words = [Text(f"{delivery.event} {one_line(delivery.hook_name)}"), status_text(delivery.status.value)]
    if delivery.attempt > 1:
        words.append(Text(f"attempt {delivery.attempt}"))
    if delivery.started_at is not None:
        words.append(Text(took(delivery.started_at, delivery.ended_at or now)))
    if delivery.error:
        words.append(Text(one_line(delivery.error), "red"))
    return Text("  ").join(words)
