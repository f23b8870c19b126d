"""The sweep itself: what it kills is what it should, and it finds out what is not as it has to be.

The sweep is a program, which `make test` runs after these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
from tests.recovery.sweep import Sweep, dry_run, killed_at, replay_killed_at, replay_points, understudy_killed_first
from tests.recovery.trial import Trial, Verdict

pytestmark = pytest.mark.slow

Points = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """All points that a program passes on a back end."""

    @cache
    def passed(backend: str) -> list[str]:
        return dry_run(tmp_path_factory.mktemp("dry"), backend)

    return passed


def violations(folder: Path, *trials: Callable[[Path], Verdict]) -> list[str]:
    return Sweep(folder).run((f"{number} {trial}", trial) for number, trial in enumerate(trials)).violations


def test_there_is_a_point_of_each_kind(points: Points) -> None:
    kinds = {" ".join(passing.split()[:2]) for passing in points("asyncio")}
    assert kinds >= {
        "before commit", "inside commit", "after commit", "before hook", "in hook", "after hook", "in body",
        "queued parent()", "before understudy", "after understudy",
    }  # fmt: skip
    text = "\n".join(points("asyncio"))
    for event in ("running", "retry", "completion", "failure", "cancellation", "crashed", "end"):
        assert f" on_{event} hook" in text or f" on_{event} async_hook" in text


def test_a_node_that_settled_itself_needs_nobody_though_its_understudy_is_killed(
    points: Points, tmp_path: Path
) -> None:
    trial = partial(understudy_killed_first, points("asyncio")[-1], backend="asyncio")
    assert violations(tmp_path, trial) == []


def test_a_replay_process_that_is_killed_is_followed_by_another(points: Points, tmp_path: Path) -> None:
    passing = points("asyncio")[len(points("asyncio")) // 2]
    (tmp_path / "dry").mkdir()
    chosen = replay_points(passing, tmp_path / "dry", "asyncio")[::8]
    assert chosen
    trials = [partial(replay_killed_at, passing, replay_at, backend="asyncio") for replay_at in chosen]
    assert violations(tmp_path, *trials) == []


def test_a_body_that_starts_before_its_running_is_committed_is_found_out(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.start(at="before commit of lonely() Running 1 #1", breaks="rule 3").wait(30)
    found = trial.judge().violations
    assert "the body of lonely() began before its Running was committed" in found
    assert "the body of lonely(), attempt 1 began, and its on_crashed never ran" in found


def test_a_kill_that_did_not_happen_is_found_out(tmp_path: Path) -> None:
    verdict = killed_at("a point that is not passed #1", tmp_path, "asyncio")
    assert "the kill did not happen" in verdict.violations[0]
