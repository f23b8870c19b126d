"""The sweep: a program is killed at every point in turn, at random instants, and with its understudy killed first.

`python -m tests.recovery.sweep` does all of it, 1,000 random kills included; `--help` tells how to do less,
as `make test` does.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from tests.recovery.trial import Trial, Verdict, within

__all__ = [
    "Sweep",
    "dry_run",
    "killed_at",
    "killed_at_random",
    "main",
    "replay_killed_at",
    "replay_points",
    "understudy_killed_first",
]

BACKENDS: Final = ("asyncio", "asyncio+uvloop", "trio")

_PROGRAM_SECONDS: Final = 60.0
"""A program that is not over then hangs."""

_OPENS_A_RUNTIME: Final = """
from actwright import flow

@flow
def trivial():
    pass

trivial()
"""

_ONCE: Final = ("before understudy starts", "after understudy starts")
"""Only the first passing does anything."""


def dry_run(folder: Path, backend: str) -> list[str]:
    """The points that a program passes when nobody kills it, in the order of passing; of one batch, the first alone."""
    trial = Trial(folder, backend)
    code = trial.start().wait(_PROGRAM_SECONDS)
    verdict = trial.judge_unharmed()
    if code or verdict:
        raise AssertionError(f"unharmed, the program ended with {code}, and: {verdict}; it said: {trial.said()}")
    return points_of(trial, "PROGRAM")


def points_of(trial: Trial, role: str) -> list[str]:
    """The points that a process of that role has passed; of one batch, the first alone."""
    found: list[str] = []
    before = ""
    for line in trial.ledger:
        is_point = line["what"] == "point" and line["role"] == role
        kind = " ".join(line["name"].split()[:3]) if is_point else ""
        if kind and not (kind == before and kind.endswith("commit of")) and not _is_idle(line["name"]):
            found.append(line["name"])
        before = kind
    return found


def _is_idle(passing: str) -> bool:
    return passing.startswith(_ONCE) and not passing.endswith("#1")


def killed_at(passing: str, folder: Path, backend: str) -> Verdict:
    """Killed when it passes a point for the nth time."""
    trial = Trial(folder, backend)
    code = trial.start(at=passing).wait(_PROGRAM_SECONDS)
    verdict = trial.judge()
    if code != -signal.SIGKILL:
        return Verdict([f"the kill did not happen: it ended with {code}, and said {trial.said()}"])
    return verdict


def replay_killed_at(passing: str, replay_at: str, folder: Path, backend: str) -> Verdict:
    """Killed when it passes a point, and its replay process when that passes another.

    What runs side by side has come a bit further one time than another, and so what is left to replay: where the replay
    process did not pass that point, once more.
    """
    for _ in range(_TRIES):
        trial = Trial(_emptied(folder), backend)
        trial.start(at=passing, replay_at=replay_at).wait(_PROGRAM_SECONDS)
        verdict = trial.judge()
        if verdict.violations or (folder / "killed.REPLAY").exists():
            return verdict
    return Verdict([f"the kill of the replay process did not happen in {_TRIES} tries"])


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


_TRIES: Final = 5


def replay_points(passing: str, folder: Path, backend: str) -> list[str]:
    """What a replay process passes, of a program that was killed at that point."""
    trial = Trial(folder, backend)
    trial.start(at=passing).wait(_PROGRAM_SECONDS)
    trial.judge()
    return points_of(trial, "REPLAY")


def killed_at_random(instant: float, folder: Path, backend: str) -> Verdict:
    """Killed between its first commit (0) and its exit (1)."""
    trial = Trial(folder, backend)
    process = trial.start()
    within(_PROGRAM_SECONDS, lambda: trial.has_begun() or process.poll() is not None)
    time.sleep(instant * _BUSY_SECONDS)
    trial.kill(process.pid)
    if process.wait() == 0:
        return killed_at_random(instant * 0.9, _emptied(folder), backend)
    return trial.judge()


_BUSY_SECONDS: Final = 0.3
"""About how long the program takes from its first commit to its exit."""


def understudy_killed_first(passing: str, folder: Path, backend: str) -> Verdict:
    """Killed when it passes a point, and its understudy at the same time; the next Runtime recovers."""
    trial = Trial(folder, backend)
    process = trial.start(at=f"stop at {passing}")
    if not within(_PROGRAM_SECONDS, lambda: (folder / "killed.PROGRAM").exists() or process.poll() is not None):
        process.kill()
    if process.poll() is not None:
        return Verdict([f"the kill did not happen; it said {trial.said()}"])
    for pid in trial.understudies():
        os.kill(pid, signal.SIGKILL)
    trial.kill(process.pid)
    process.wait()
    if not trial.has_begun():
        return trial.judge()
    if not trial.locks():  # the node had settled itself, and its understudy saw that before it was killed
        return trial.judge()
    if code := trial.run("-c", _OPENS_A_RUNTIME).wait(_PROGRAM_SECONDS):
        return Verdict([f"the next program ended with {code}, and said {trial.said()}"])
    return trial.judge()


@dataclass
class Sweep:
    """Trials side by side, and what came of them.

    Attributes:
        base: where each trial has a folder; those in which something was violated are kept.
    """

    base: Path
    at_once: int = 4
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])

    def run(self, trials: Iterable[tuple[str, Callable[[Path], Verdict]]]) -> Self:
        """Run trials side by side. One that settles late on a machine so busy gets another chance alone."""
        with ThreadPoolExecutor(self.at_once) as pool:
            late = [trial for trial, verdict in pool.map(self._one, trials) if verdict.is_late]
        for trial in late:
            _, verdict = self._one(trial)
            if verdict.is_late:
                said = f"it took {verdict.seconds:.1f} s to settle, with nothing else at work"
                self.verdicts[trial[0]] = replace(verdict, violations=[*verdict.violations, said])
        return self

    def _one(self, trial: tuple[str, Callable[[Path], Verdict]]) -> tuple[Any, Verdict]:
        title, run = trial
        folder = Path(tempfile.mkdtemp(dir=self.base))
        verdict = self.verdicts[title] = run(folder)
        if verdict.violations:
            print(f"VIOLATION {title}, kept in {folder}: {'; '.join(verdict.violations)}", flush=True)
        else:
            shutil.rmtree(folder)
        return trial, verdict

    @property
    def violations(self) -> list[str]:
        return [f"{title}: {said}" for title, verdict in self.verdicts.items() for said in verdict.violations]

    def summary(self) -> str:
        settled = sorted(v.seconds for v in self.verdicts.values() if v.seconds is not None)
        hooks = sorted(v.first_hook for v in self.verdicts.values() if v.first_hook is not None)
        bad = sum(bool(v.violations) for v in self.verdicts.values())
        return (
            f"{len(self.verdicts)} kills, {bad} with violations; settled after {_spread(settled)}; "
            f"first replayed hook after {_spread(hooks)}"
        )


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{values[len(values) // 2]:.2f} s (median), {values[-1]:.2f} s (most)"


def trials(
    base: Path, backends: Sequence[str], every: int, randoms: int, seed: int
) -> Iterable[tuple[str, Callable[[Path], Verdict]]]:
    """Every nth point on each back end, others on the next one, and others with the next seed; then random instants,
    then points with the understudy killed first."""
    points: list[str] = []
    for place, backend in enumerate(backends):
        points = dry_run(Path(tempfile.mkdtemp(dir=base)), backend)
        chosen = points[(seed * len(backends) + place) % every :: every]
        print(f"{backend}: {len(points)} points, {len(chosen)} of them", flush=True)
        for passing in chosen:
            yield f"{backend}, {passing}", partial(killed_at, passing, backend=backend)
    chance = random.Random(seed)
    for number in range(randoms):
        backend, instant = chance.choice(backends), chance.random()
        yield f"{backend}, random {number} ({instant:.3f})", partial(killed_at_random, instant, backend=backend)
    for passing in points[:: max(len(points) // max(randoms // 4, 1), 1)]:
        yield (
            f"{backends[-1]}, understudy too, {passing}",
            partial(understudy_killed_first, passing, backend=backends[-1]),
        )


def main() -> int:
    """The exit code: 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--every", type=int, default=1, help="of so many points one, another one on each back end")
    parser.add_argument("--random", type=int, default=1000, help="kills at random instants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=4, help="programs side by side")
    given = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="sweep-"))
    sweep = Sweep(base, given.at_once)
    began = time.monotonic()
    sweep.run(trials(base, given.backends, given.every, given.random, given.seed))
    print(f"{sweep.summary()}; all took {time.monotonic() - began:.0f} s", flush=True)
    if not sweep.violations:
        shutil.rmtree(base)
    return bool(sweep.violations)


if __name__ == "__main__":
    sys.exit(main())
