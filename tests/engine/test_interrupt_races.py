"""Races of a body's end with its interrupt: no other body, and no code of the engine's, ever sees it.

Each is run in great numbers, with threads that take turns as often as they can.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import anyio
import pytest
from tests.engine.watched import open_runtime, until

from actwright import flow, runtime, task, wait
from actwright.authoring.context import RunContext
from actwright.authoring.interrupts import SyncBody, innermost_body
from actwright.engine.interrupting import Interrupter
from actwright.engine.threads import WorkerThreads
from actwright.exceptions import CancelledRun, Interrupted, RunIsFinal

RACES = 10_000
LONGEST = 6_000
"""Rounds of the longest body, of some 0.1 us each: as long as it takes to be interrupted."""
LATEST_SECONDS = 0.0003
RACES_OF_RUNS = 500
"""On each back end; each of them is two runs and a cancel."""


@pytest.fixture(autouse=True)
def threads_take_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def spin(rounds: int) -> int:
    total = 0
    for number in range(rounds):
        total += step(number)
    return total


def step(number: int) -> int:
    return number & 1


# As the engine's own code is known: by the name of its module.
ENGINES = """
def is_whole(rounds):
    try:
        total = 0
        for number in range(rounds):
            total += step(number)
        return total
    except BaseException as error:
        cut_short.append(error)
        raise
"""
cut_short: list[BaseException] = []
engine: dict[str, Any] = {"__name__": "actwright.stand_in", "step": step, "cut_short": cut_short}
exec(ENGINES, engine)


class Race:
    """Bodies one after another in the one thread of a pool, and one who interrupts each about when it ends.

    Attributes:
        struck: how many were interrupted; the others had ended.
        astray: what was raised outside of them.
    """

    def __init__(self, end: Callable[[int], Any]) -> None:
        self.end = end
        self.struck = 0
        self.ended = 0
        self.astray: list[BaseException] = []
        self.bodies: SimpleQueue[SyncBody | None] = SimpleQueue()
        self.interrupted: SimpleQueue[None] = SimpleQueue()
        self.done = threading.Event()

    def run(self, races: int) -> None:
        context: Any = RunContext  # stands for one: no run asks anything here
        dice = random.Random(1)
        try:
            for _ in range(races):
                body = SyncBody(context)
                self.bodies.put(body)
                try:
                    body.call(self.end, (dice.randrange(LONGEST),), {})
                    self.ended += 1
                except Interrupted:
                    self.struck += 1
                self._is_left_alone()
                self.interrupted.get(timeout=60)
                self._is_left_alone()
        except BaseException as error:
            self.astray.append(error)
        finally:
            self.bodies.put(None)
            self.done.set()

    def _is_left_alone(self) -> None:
        """The next body, whom nobody interrupts, and the engine around it."""
        body = SyncBody(RunContext)  # type: ignore[arg-type]
        body.call(spin, (30,), {})
        spin(10)
        assert innermost_body() is None


def returns_a_call(rounds: int) -> Any:
    return spin(rounds)


def returns_an_item(rounds: int) -> Any:
    spin(rounds)
    return [rounds][0]


def sleeps_and_returns(rounds: int) -> None:
    time.sleep(rounds * 1e-7)


def raises(rounds: int) -> None:
    spin(rounds)
    raise Interrupted if rounds % 2 else Interrupted()  # as it ends by itself: nobody can tell


def calls_the_engine(rounds: int) -> None:
    for _ in range(rounds // 5):
        step(engine["is_whole"](8))


class Guarded:
    is_open = False

    def __enter__(self) -> None:
        self.is_open = True

    def __exit__(self, *_: object) -> None:
        engine["is_whole"](4)
        step(1)
        self.is_open = False


def enters_and_leaves(rounds: int) -> None:
    guarded = Guarded()
    try:
        for _ in range(rounds // 5):
            with guarded:
                step(1)
    finally:
        if guarded.is_open:
            cut_short.append(AssertionError("it was left open"))


def cleans_up(rounds: int) -> None:
    try:
        spin(rounds)
    finally:
        spin(30)


ENDS = [
    returns_a_call, returns_an_item, sleeps_and_returns, raises, cleans_up, calls_the_engine, enters_and_leaves,
]  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_an_interrupt_that_races_with_the_end_of_its_body_is_seen_in_it_or_nowhere(end: Callable[[int], Any]) -> None:
    races = RACES if end is returns_a_call else RACES // 5
    race, interrupter, dice = Race(end), Interrupter(), random.Random(2)
    pool = WorkerThreads(1, "test-worker")
    pool.submit(lambda: race.run(races))
    interrupted = 0
    cut_short.clear()
    while (body := race.bodies.get(timeout=60)) is not None:
        moment = time.perf_counter() + dice.random() * LATEST_SECONDS
        while time.perf_counter() < moment:
            pass
        interrupter.interrupt(body)
        race.interrupted.put(None)
        interrupted += 1
    assert race.done.wait(60)
    pool.close()
    assert race.astray == cut_short == []
    assert race.struck + race.ended == interrupted == races
    print(f"{race.struck} of {races} were struck, {race.ended} had ended")
    assert race.struck > 0
    assert race.ended > 0 or end is raises
    interrupter.note_news()


@task
def ends_soon(rounds: int) -> str:
    spin(rounds)
    return "ended"


@task
def is_left_alone() -> str:
    spin(300)
    assert not runtime.cancel_requested()
    return "whole"


@pytest.mark.anyio
async def test_a_cancel_that_races_with_the_end_of_its_body_never_touches_the_next_one_in_its_thread() -> None:
    dice, states = random.Random(3), dict[str, int]()

    @flow
    async def races() -> None:
        for _ in range(RACES_OF_RUNS):
            handle = ends_soon.submit(dice.randrange(20_000))
            nxt = is_left_alone.submit()
            await anyio.sleep(dice.random() * 0.002)
            try:
                await handle.cancel()
            except RunIsFinal:
                pass
            assert await nxt == "whole"
            await wait([handle])
            states[handle.state.name] = states.get(handle.state.name, 0) + 1

    async with open_runtime(worker_threads=1, journal="memory") as opened:
        await opened.submit(races)
        assert {run.state.name for run in opened.journal.runs()} <= {"Completed", "Cancelled"}
    print(states)
    assert set(states) == {"Completed", "Cancelled"}


@pytest.mark.anyio
async def test_a_cancel_that_races_with_a_task_that_is_called_is_seen_in_one_of_the_two_bodies_alone() -> None:
    seen, rounds, number, dice = list[type[BaseException]](), list[int](), 0, random.Random(4)

    @task
    def part(rounds: int) -> int:
        return spin(rounds)

    @flow
    def around() -> None:
        try:
            while True:
                part(200)
                rounds.append(number)
        except BaseException as error:
            seen.append(type(error))
            spin(500)
            raise

    async with open_runtime(worker_threads=1, journal="memory") as opened:
        for number in range(25):
            rounds.clear()
            handle = opened.submit(around)
            await until(lambda: bool(rounds))
            await anyio.sleep(dice.random() * 0.003)
            await handle.cancel()
            await wait([handle])
            assert handle.state.is_cancelled()
            assert len(seen) == number + 1
        assert all(run.state.is_final() for run in opened.journal.runs())
    assert set(seen) <= {Interrupted, CancelledRun}
