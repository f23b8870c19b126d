"""The promise that this project exists for: whatever the process dies of, every hook that is due runs.

A part of the sweep, spread over tests that each take seconds; `make sweep` does the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
from tests.recovery.sweep import (
    Sweep,
    dry_run,
    killed_at,
    killed_at_random,
    replay_points,
    understudy_killed_first,
)
from tests.recovery.trial import Trial, Verdict

pytestmark = pytest.mark.slow

SHARDS = 48  # a test that takes a minute ends the session: with so many, none does on a busy machine either
A_SIXTH = range(0, SHARDS, 6)  # what an ordinary run has time for; `make sweep` kills at every point
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


@pytest.mark.parametrize("shard", A_SIXTH)
def test_killed_at_any_point_every_hook_that_is_due_runs(points: Points, tmp_path: Path, shard: int) -> None:
    chosen = points("asyncio")[shard::SHARDS]
    assert violations(tmp_path, *(partial(killed_at, passing, backend="asyncio") for passing in chosen)) == []


@pytest.mark.parametrize("shard", A_SIXTH[::4])
@pytest.mark.parametrize("backend", ["asyncio+uvloop", "trio"])
def test_on_the_other_back_ends_too(points: Points, tmp_path: Path, backend: str, shard: int) -> None:
    chosen = points(backend)[shard + 1 :: SHARDS]
    assert violations(tmp_path, *(partial(killed_at, passing, backend=backend) for passing in chosen)) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_killed_at_any_instant_every_hook_that_is_due_runs(tmp_path: Path, backend: str) -> None:
    instants = [number / 10 for number in range(10)]
    assert violations(tmp_path, *(partial(killed_at_random, instant, backend=backend) for instant in instants)) == []


def test_with_its_understudy_killed_first_the_next_runtime_sees_to_it(points: Points, tmp_path: Path) -> None:
    chosen = points("asyncio")[5::40]
    assert violations(tmp_path, *(partial(understudy_killed_first, one, backend="asyncio") for one in chosen)) == []


def test_a_replay_process_that_is_killed_is_followed_by_another(points: Points, tmp_path: Path) -> None:
    passing = points("asyncio")[len(points("asyncio")) // 2]
    (tmp_path / "dry").mkdir()
    chosen = replay_points(passing, tmp_path / "dry", "asyncio")[::8]
    assert chosen
    trials = [partial(killed_at, passing, backend="asyncio", replay_at=replay_at) for replay_at in chosen]
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
