"""What the demo draws is what happened."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from actwright import Runtime
from actwright.control import demo
from actwright_actors.backends import BackendName

BACKENDS: list[BackendName] = ["asyncio", "asyncio+uvloop", "trio"]


def drawn(backend: BackendName = "asyncio") -> tuple[bool, str]:
    """Run the demo; whether it went well, and what stands on the screen."""
    screen = io.StringIO()
    well = demo.run_demo(Console(file=screen, width=100), backend)
    return well, screen.getvalue()


def states_of(run: str, screen: str) -> list[str]:
    return re.findall(rf"{run} +(\w+) ", screen)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_demo_draws_the_states_that_its_runs_went_through(backend: BackendName) -> None:
    well, screen = drawn(backend)
    assert well
    retries = ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
    assert states_of("task fetch", screen) == retries
    assert states_of("flow load", screen) == ["Running", "AwaitingRetry", "Retrying", "Failed"]
    assert states_of("flow report", screen) == ["Running", "Cancelling", "Cancelled"]
    assert states_of("flow train", screen) == ["Running", "Crashed"]
    assert "SystemExit: out of memory" in screen


def test_a_hook_that_was_not_called_is_drawn_as_such_and_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(set[object]):
        def add(self, element: object, /) -> None: ...

    monkeypatch.setattr(demo, "_noted", Forgetful())
    well, screen = drawn()
    assert not well
    assert "NOT RUN: on_crashed" in screen
    assert "33 hooks were due, 0 ran." in screen


def test_the_demo_fails_when_a_kind_of_hook_was_never_due(monkeypatch: pytest.MonkeyPatch) -> None:
    async def completed(host: Runtime) -> None:
        """A flow completes."""
        await demo.nightly()

    monkeypatch.setattr(demo, "ACTS", (completed,))
    well, screen = drawn()
    assert not well
    assert "NOT RUN: on_crashed" in screen
