"""What an instrument hears, and what becomes of one that fails; and the warning about slow handlers."""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    ActorRef,
    ChildSpec,
    Crashed,
    DeadLetter,
    ExitReason,
    Instrument,
    Killed,
    Shutdown,
    Supervisor,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


class Recorder(Instrument):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def actor_started(self, ref: ActorRef[Any]) -> None:
        self.events.append(("started", ref.name))

    def actor_restarted(self, ref: ActorRef[Any], reason: ExitReason, restarts: int) -> None:
        self.events.append(("restarted", ref.name, reason, restarts))

    def actor_ended(self, ref: ActorRef[Any], reason: ExitReason) -> None:
        self.events.append(("ended", ref.name, reason))

    def message_handled(self, ref: ActorRef[Any], message: Any, seconds: float) -> None:
        assert 0 <= seconds < 20
        self.events.append(("handled", ref.name, message))

    def dead_letter(self, letter: DeadLetter) -> None:
        self.events.append(("dead letter", letter.message))


async def test_an_instrument_hears_of_a_life_from_its_start_to_its_end() -> None:
    recorder = Recorder()
    async with open_system(instrument=recorder) as system:
        ref = await system.spawn(Worker(), name="one")
        ref.tell("told")
        await ref.ask("asked")
        ref.tell("expiring", expires_in=60)
        await ref.drain_and_wait()
        ref.tell("late")
    assert recorder.events == [
        ("started", "one"),
        ("handled", "one", "told"),
        ("handled", "one", "asked"),
        ("handled", "one", "expiring"),
        ("ended", "one", ref.exit_reason),
        ("dead letter", "late"),
    ]


async def test_an_instrument_hears_of_restarts() -> None:
    recorder = Recorder()
    async with open_system(instrument=recorder) as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)]), name="top")
        child = system.lookup("child")
        assert child is not None
        child.kill()
        await anyio.wait_all_tasks_blocked()
        assert child.is_alive
    of_child = [event for event in recorder.events if event[1] == "child"]
    assert of_child == [
        ("started", "child"),
        ("restarted", "child", Killed(), 1),
        ("started", "child"),
        ("ended", "child", Shutdown()),
    ]


async def test_a_message_that_crashes_its_actor_does_not_count_as_handled() -> None:
    recorder = Recorder()
    async with open_system(instrument=recorder) as system:
        ref = await system.spawn(Worker(), name="one")
        crash = raising(ValueError("boom"))
        ref.tell(crash)
        assert isinstance(await ref.stopped(), Crashed)
    assert [event[0] for event in recorder.events] == ["started", "ended"]


async def test_what_was_stale_when_its_turn_came_does_not_count_as_handled() -> None:
    recorder, clock = Recorder(), ManualClock()
    async with open_system(instrument=recorder, clock=clock) as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker, name="one")
        worker.context.timers.start("key", "cancelled", 1)
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("expired", expires_in=1)
        clock.advance(1)
        worker.context.timers.cancel("key")
        hold.release.set()
        await ref.drain_and_wait()
        assert system.tree().actors == ()
    assert [event for event in recorder.events if event[0] == "handled"] == [("handled", "one", hold)]
    assert ("dead letter", "expired") in recorder.events


@pytest.mark.parametrize(
    "method", ["actor_started", "actor_restarted", "actor_ended", "message_handled", "dead_letter"]
)
async def test_an_instrument_that_raises_is_logged_and_taken_out(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        calls.append(method)
        raise ValueError("broken instrument")

    calls: list[str] = []
    recorder = Recorder()
    monkeypatch.setattr(recorder, method, fail)
    async with open_system(instrument=recorder) as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)], intensity=5))
        child = system.lookup("child")
        assert child is not None
        for _ in range(2):
            child.kill()
            await anyio.wait_all_tasks_blocked()
            assert await child.ask("still served") == "still served"
            free = await system.spawn(Worker())
            await free.stop_and_wait()
            free.tell("late")
    assert calls == [method]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["broken instrument"]


async def test_the_base_class_hears_everything_and_does_nothing() -> None:
    async with open_system(instrument=Instrument()) as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)]))
        child = system.lookup("child")
        assert child is not None
        child.kill()
        assert await child.ask("answer") == "answer"
        await (free := await system.spawn(Worker())).stop_and_wait()
        free.tell("late")
        assert system.dead_letters == 1


# -- slow handlers -----------------------------------------------------------------------------------------------------


async def block() -> None:
    time.sleep(0.03)  # noqa: ASYNC251  # to hold the loop is what this is about


async def test_a_handler_that_takes_long_is_named_in_the_log_with_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system(slow_handler_seconds=0.02) as system:
        ref = await system.spawn(Worker(), name="slow one")
        ref.tell("quick")
        ref.tell(block)
        ref.tell("waits")
        ref.tell("waits too")
        await ref.drain_and_wait()
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "'slow one' took 0.0" in record.getMessage()
    assert "2 messages wait" in record.getMessage()


@pytest.mark.parametrize("limit", [None, 60.0])
async def test_there_is_no_warning_below_the_limit_or_without_one(
    limit: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_system(slow_handler_seconds=limit) as system:
        ref = await system.spawn(Worker())
        ref.tell(block)
        await ref.drain_and_wait()
    assert caplog.records == []
