"""SIGTERM in the process of a body, here in that of the test: where it interrupts, and where not."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from actwright.authoring.context import RunContext
from actwright.authoring.interrupts import SyncBody
from actwright.exceptions import Interrupted
from actwright.isolation.termination import Termination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def termination() -> Iterator[Termination]:
    before = signal.getsignal(signal.SIGTERM)
    installed = Termination()
    installed.install()
    yield installed
    signal.signal(signal.SIGTERM, before)


def run(body: Callable[[], object]) -> None:
    """Call it as the body of a run is called: where a signal strikes in no body, nothing is interrupted."""
    SyncBody(RunContext(cast("Any", None))).call(body, (), {})


def test_it_interrupts_a_body_wherever_that_is_and_once(termination: Termination) -> None:
    def body() -> None:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    with termination.body():
        run(body)
    assert termination.is_asked


def test_outside_of_the_body_it_is_noted_and_raised_when_that_begins(termination: Termination) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert termination.is_asked
    with pytest.raises(Interrupted), termination.body():
        raise AssertionError("the body began")


def test_our_own_code_is_not_cut_in_two(termination: Termination) -> None:
    steps: list[str] = []

    def ours() -> None:
        with termination.ours():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("went on")
        steps.append("after that")

    with termination.body(), pytest.raises(Interrupted):
        run(ours)
    assert steps == ["went on"]


def test_one_that_came_where_nobody_noticed_is_seen_nevertheless(termination: Termination) -> None:
    """As one does that strikes in the moment in which the main thread begins to block: no handler has run."""
    told: list[str] = []
    termination.on_stop.append(lambda: told.append("stop"))
    termination.insist()
    with pytest.raises(Interrupted), termination.body():
        run(lambda: time.sleep(30))
    assert told
    assert termination.is_asked


def test_nobody_insists_where_the_body_has_a_handler_of_its_own(termination: Termination) -> None:
    struck: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: struck.append(number))

    def body() -> None:
        termination.insist()
        time.sleep(0.2)  # longer than it would take

    with termination.body():
        run(body)
    assert termination.is_asked
    assert struck == []
