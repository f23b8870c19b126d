"""What the demo draws is what happened."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from actwright import Runtime
from actwright.control import demo, killing
from actwright_actors.backends import BackendName

pytestmark = pytest.mark.costly

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
    assert "34 hooks were due, 0 ran." in screen


def test_the_demo_fails_when_a_kind_of_hook_was_never_due(monkeypatch: pytest.MonkeyPatch) -> None:
    async def completed(host: Runtime) -> None:
        """A flow completes."""
        await demo.nightly()

    monkeypatch.setattr(demo, "ACTS", (completed,))
    well, screen = drawn()
    assert not well
    assert "NOT RUN: on_crashed" in screen


def test_the_hook_of_the_program_that_is_killed_runs_in_another_process() -> None:
    _, screen = drawn()
    assert states_of("flow export", screen) == ["Running", "Crashed"]
    remark = re.search(r"Killed was process (\d+)\. The hook started (\d+) ms after that, in process (\d+)\.", screen)
    assert remark
    victim, after, pid = map(int, remark.groups())
    assert f"Its process (pid {victim} on " in screen
    assert pid != victim
    assert after < 6_000


def test_a_hook_of_the_killed_program_that_does_not_run_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    source = killing.source_of_victim()
    broken = source.replace("notes = Path(__file__)", 'raise OSError("no disk")\n    notes = Path(__file__)')
    assert broken != source
    monkeypatch.setattr(killing, "source_of_victim", lambda: broken)
    monkeypatch.setattr(killing, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(demo, "ACTS", (demo.killed,))
    well, screen = drawn()
    assert not well
    assert "Its hook did not run within 3 s." in screen
    assert "NOT RUN: on_crashed" in screen


def test_the_demo_leaves_nothing_behind_and_touches_nobodys_history(
    actwright_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("ACTWRIGHT_JOURNAL", "memory")
    well, _ = drawn()
    assert well
    assert list(tmp_path.iterdir()) == []
    assert not actwright_home.exists()
