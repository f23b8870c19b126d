"""Random programs of a random tree of runs: after each action, and in the end, history is as DESIGN promises.

How many of them are played, `tests.histories` says. What fails prints its program, which can be put into an `@example`,
and what happened, in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import anyio
import trio
from hypothesis import example, given
from tests.engine.faults import leaks_no_task
from tests.engine.model import rules_at_rest, rules_of_ends, rules_of_hooks, rules_of_paths
from tests.engine.model.drawing import programs
from tests.engine.model.lives import History
from tests.engine.model.program import Advance, Cancel, Node, Program, Stand, Start, named
from tests.engine.model.stage import Stage, opened
from tests.histories import Budget, as_many_as_asked, play_many

ALWAYS = (*rules_of_paths.RULES, *rules_of_hooks.RULES, *rules_of_ends.RULES)
AT_REST = rules_at_rest.RULES
AT_THE_END = (*rules_of_hooks.AT_THE_END, *rules_of_ends.AT_THE_END)


async def play(program: Program) -> None:
    with leaks_no_task():
        async with opened(program) as stage:
            await stage.start()
            for number, action in enumerate(program.actions, 1):
                if stage.is_closed:
                    break
                await stage.apply(action)
                look(stage, f"after action {number}, {action}", *ALWAYS, *AT_REST)
            await stage.wind_up()
            look(stage, "in the end", *ALWAYS, *AT_THE_END)


def look(stage: Stage, when: str, *rules: Callable[[History], Any]) -> None:
    history = History(stage.log, stage.program, stage.cast.nodes)
    broken = list(chain.from_iterable(rule(history) for rule in rules))
    assert not broken, f"{when}:\n" + "\n".join([*broken, "", *stage.log.story()])


_CALLED = Node((Stand("finally"),), is_async=False)
ABANDONED_IN_THE_THREAD_OF_ITS_CALLER = Program(
    named(Node((Start(_CALLED, how="call"),), is_async=False)), actions=(Cancel(), Advance(30.0), Advance())
)


@as_many_as_asked
@example(program=ABANDONED_IN_THE_THREAD_OF_ITS_CALLER)
@given(program=programs)
def play_any(backend: str, options: dict[str, Any], budget: Budget, program: Program) -> None:
    with budget.one_more(), trio_wakes_tasks_in(program.order):
        anyio.run(play, program, backend=backend, backend_options=options)


def test_after_each_step_of_any_program_history_is_as_promised(
    anyio_backend: tuple[str, dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    with nothing_is_logged():
        assert play_many(partial(play_any, *anyio_backend), record_property) > 0


@contextmanager
def trio_wakes_tasks_in(order: int) -> Generator[None]:
    """Elsewhere by chance; here by its own switch for hypothesis, so that a program always plays in the same way."""
    scheduler: Any = trio._core._run  # pyright: ignore[reportPrivateUsage]
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(order)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before


@contextmanager
def nothing_is_logged() -> Generator[None]:
    """Bodies and hooks that fail are a program's doing, and thousands of tracebacks take their time."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
