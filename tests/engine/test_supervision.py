"""Actors of the engine that die: no run is lost with them, and no hook is lost or called twice.

What kills an actor here is a bug of the engine's, which no test can foresee: so it strikes everywhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Unpack

import anyio
import anyio.lowlevel
import pytest
from tests.engine.faults import infrastructure, kill, leaks_no_task, live, names
from tests.engine.gate import Gate
from tests.engine.phases import BEFORE_THE_END, Phase, name_of
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, forget_history

from actwright import Flow, Runtime, flow, hook, task, wait
from actwright import runtime as here
from actwright.engine.hook_actor import HookActor
from actwright.engine.messages import BodyEnded
from actwright.engine.options import RuntimeKeywords
from actwright.engine.run_actor import RunActor
from actwright.engine.supervisor import RunSupervisor
from actwright.exceptions import CrashedRun, InternalError, RunIsFinal
from actwright.models.deliveries import DeliveryStatus
from actwright.models.outcomes import Returned
from actwright.models.transitions import hook_events
from actwright_actors.testing import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@asynccontextmanager
async def open_runtime(**options: Unpack[RuntimeKeywords]) -> AsyncGenerator[Runtime]:
    """A Runtime that a fault cannot keep open for longer than a test has."""
    with anyio.fail_after(40):
        options |= {"cancel_grace_seconds": 20, "hook_grace_seconds": 5}
        async with Runtime(**options) as runtime:
            yield runtime


def due(runtime: Runtime) -> list[tuple[str, Any]]:
    """Each hook that history made due, for runs with a hook in each list: its list, and the state it is for."""
    transitions = [step for run in runtime.journal.runs() for step in runtime.journal.transitions(run.id)]
    return [(event, step.run.state.id) for step in transitions for event in hook_events(step.run.state)]


def called(recorder: Recorder) -> list[tuple[str, Any]]:
    """Each call of a hook, alike."""
    return [(seen.label, seen.state.id) for seen in recorder.seen]


# The actor of a run


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("phase", BEFORE_THE_END, ids=name_of)
async def test_a_run_whose_actor_dies_before_the_end_is_crashed_with_each_hook_once(
    phase: Phase, times: int, recorder: Recorder
) -> None:
    gate = Gate()
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle = await phase(runtime, recorder, gate)
            for _ in range(times):
                if not handle.done():
                    kill(runtime, handle)
                await at_rest()
            gate.open()
            await wait([handle])
            assert handle.state.is_crashed()
            with pytest.raises(CrashedRun, match="ended before its run did"):
                await handle
            assert names(runtime, handle)[-1] == "Crashed"
            assert all(run.state.is_final() for run in runtime.journal.runs())
    assert recorder.order == ["on_running", "on_crashed", "on_end"]


async def test_a_run_whose_actor_dies_before_it_began_is_crashed_without_its_body(recorder: Recorder) -> None:
    @flow(**recorder.all_hooks())
    async def never() -> None:
        recorder.mark("body")

    async with open_runtime() as runtime:
        handle = runtime.submit(never)
        kill(runtime, handle)
        await wait([handle])
        assert names(runtime, handle) == ["Pending", "Crashed"]
    assert recorder.order == ["on_crashed", "on_end"]


@pytest.mark.parametrize("event", ["on_completion", "on_end"])
async def test_a_final_state_outlives_its_actor_and_its_hooks_run_once(event: str, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        recorder.mark(event)
        await gate.astop_here()

    async def body() -> int:
        return 42

    hooks: dict[str, Any] = {**recorder.all_hooks(), event: [slow]}
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(body, **hooks))
        await gate.reached()
        kill(runtime, handle)
        await at_rest()
        gate.open()
        assert await handle == 42
    assert recorder.order == ["on_running", "on_completion", "on_end"]


@pytest.mark.parametrize("where", ["while the body unwinds", "while the hooks run"])
async def test_a_run_that_is_being_cancelled_when_its_actor_dies_is_cancelled(
    where: str, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    gate, started = Gate(), anyio.Event()

    async def slow(*_: object) -> None:
        recorder.mark("on_cancellation")
        if "hooks" in where:
            await gate.astop_here()

    async def body() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            if "body" in where:
                with anyio.CancelScope(shield=True):
                    await gate.astop_here()

    hooks: dict[str, Any] = {**recorder.all_hooks(), "on_cancellation": [slow]}
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(body, **hooks))
        await started.wait()
        await handle.cancel("enough")
        await gate.reached()
        kill(runtime, handle)
        await at_rest()
        gate.open()
        await wait([handle])
        assert names(runtime, handle)[-2:] == ["Cancelling", "Cancelled"]
        assert handle.state.message == "enough"
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]
    assert "It is abandoned" not in caplog.text, "the end of its body was not heard"


async def test_a_cancel_that_is_lost_with_an_actor_is_answered_with_the_state_that_the_run_comes_to() -> None:
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(anyio.sleep_forever, name="f"))
        await at_rest()
        kill(runtime, handle)
        with pytest.raises(RunIsFinal, match="already Crashed"):
            await handle.cancel()


async def test_children_that_end_while_their_parents_actor_dies_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()
    child = task(gate.astop_here, name="child")

    @flow
    async def parent() -> None:
        child.submit()

    async with open_runtime() as runtime:
        handle = runtime.submit(parent)
        await gate.reached()
        await at_rest()
        run = live(runtime, handle)
        [child_run] = run.children

        def lose(_: object) -> None:
            kill(runtime, handle)

        monkeypatch.setattr(run, "signal", lose)  # what the child's end says
        child_run.signal(BodyEnded(1, Returned(None)))
        await wait([handle])
        assert handle.state.is_crashed()


# Faults at every message

Fault = Callable[[Any], None]


def crashes(actor: Any) -> None:
    """Before the message is handled: it is lost."""
    raise RuntimeError("a bug of the engine's")


def is_killed(actor: Any) -> None:
    """Once the message is handled."""
    actor.context.ref.kill()


def strike(monkeypatch: pytest.MonkeyPatch, actors: type[Any], fault: Fault, at: int) -> Callable[[], bool]:
    """Have the `at`th message to any of these actors do harm; tells whether there were so many."""
    handle, numbers, struck = actors.handle, count(1), list[object]()

    async def faulty(actor: Any, message: Any) -> None:
        if next(numbers) == at:
            struck.append(message)
            fault(actor)
        await handle(actor, message)

    monkeypatch.setattr(actors, "handle", faulty)
    return lambda: bool(struck)


def with_child(recorder: Recorder) -> Flow[[], Any]:
    @task(**recorder.all_hooks())
    async def child() -> int:
        return 1

    @flow(**recorder.all_hooks())
    async def parent() -> int:
        return await child.submit() + await child()

    return parent


def retried(recorder: Recorder) -> Flow[[], Any]:
    async def fail() -> None:
        raise ValueError("boom")

    def always(*_: object) -> bool:
        return True

    return flow(fail, retries=2, retry_condition_fn=always, **recorder.all_hooks())


def sync_with_child(recorder: Recorder) -> Flow[[], Any]:
    @task(**recorder.all_hooks())
    def child() -> int:
        return 1

    @flow(**recorder.all_hooks())
    def parent() -> int:
        return child.submit().result() + child()

    return parent


def cancels_itself(recorder: Recorder) -> Flow[[], Any]:
    @task(**recorder.all_hooks())
    async def child() -> None:
        await anyio.sleep_forever()

    @flow(**recorder.all_hooks())
    async def parent() -> None:
        handle = child.submit()
        handle.cancel()
        await wait([handle])

    return parent


SCENARIOS = [with_child, retried, sync_with_child, cancels_itself]


@pytest.mark.parametrize("fault", [crashes, is_killed], ids=name_of)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
async def test_whatever_message_kills_a_runs_actor_each_due_hook_runs_once_and_each_run_ends(
    scenario: Callable[[Recorder], Flow[[], Any]],
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for at in count(1):
        recorder = Recorder()
        with monkeypatch.context() as patch, leaks_no_task():
            was_struck = strike(patch, RunActor, fault, at)
            async with open_runtime() as runtime:
                handle = runtime.submit(scenario(recorder))
                await wait([handle])
            runs = runtime.journal.runs()
            assert all(run.state.is_final() for run in runs), (at, runs)
            assert sorted(called(recorder)) == sorted(due(runtime)), at
            deliveries = runtime.journal.deliveries()
            assert {delivery.status for delivery in deliveries} == {DeliveryStatus.SUCCEEDED}, at
            assert {delivery.attempt for delivery in deliveries} == {1}, at
            parent = max(runs, key=lambda run: run.end_time or run.expected_start_time)
            assert parent.kind == "flow", at  # children are final first
        forget_history()
        if not was_struck():
            assert at > 10
            break
    assert "abandoned" not in caplog.text  # that a body has ended is never missed


async def test_a_run_whose_actors_die_one_after_the_other_is_given_up_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle = RunActor.handle

    async def faulty(actor: RunActor, message: Any) -> None:
        if actor.run.subject.name == "hopeless":
            crashes(actor)
        await handle(actor, message)

    monkeypatch.setattr(RunActor, "handle", faulty)
    hopeless = task(anyio.sleep_forever, name="hopeless")

    @flow
    async def around() -> str:
        submitted = hopeless.submit()
        with pytest.raises(InternalError, match="ended before its run did"):
            await submitted
        return "went on"

    async with open_runtime() as runtime:
        assert await runtime.submit(around) == "went on"


# The hook actor


@pytest.mark.parametrize("fault", [crashes, is_killed], ids=name_of)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
async def test_whatever_message_kills_the_hook_actor_each_due_hook_runs(
    scenario: Callable[[Recorder], Flow[[], Any]], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in count(1):
        recorder = Recorder()
        with monkeypatch.context() as patch, leaks_no_task():
            was_struck = strike(patch, HookActor, fault, at)
            async with open_runtime() as runtime:
                handle = runtime.submit(scenario(recorder))
                await wait([handle])
            assert all(run.state.is_final() and not run.state.is_crashed() for run in runtime.journal.runs()), at
            assert sorted(called(recorder)) == sorted(due(runtime)), at
        forget_history()
        if not was_struck():
            assert at > 3
            return


async def test_hooks_handed_over_in_the_moment_in_which_the_hook_actor_dies_run_once(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        infrastructure(runtime, "hooks").kill()

    async with open_runtime() as runtime:
        handle = runtime.submit(flow(body, **recorder.all_hooks()))
        await handle
    assert "Crashed" not in caplog.text  # they are neither begun nor put away twice
    assert recorder.order == ["on_running", "on_completion", "on_end"]


async def test_a_sync_hook_that_runs_while_the_hook_actor_dies_is_not_called_again(recorder: Recorder) -> None:
    gate = Gate()

    def slow(*_: object) -> None:
        recorder.mark("slow")
        gate.stop_here()
        recorder.mark("done")

    async def body() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(flow(body, on_completion=[slow, recorder.hook("next")]))
        await gate.reached()
        infrastructure(runtime, "hooks").kill()
        await at_rest()
        gate.open()
        await handle
        assert {delivery.attempt for delivery in runtime.journal.deliveries(handle.id)} == {1}
    assert recorder.order == ["slow", "done", "next"]


async def test_an_async_hook_that_the_hook_actor_took_with_it_runs_again_with_the_same_delivery(
    recorder: Recorder,
) -> None:
    gate, box = Gate(), list[Any]()

    async def slow(*_: object) -> None:
        box.append((here.hook.delivery_id, here.hook.attempt))
        await gate.astop_here()
        recorder.mark("done")

    async def body() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(flow(body, on_completion=[recorder.hook("first"), slow]))
        await gate.reached()
        infrastructure(runtime, "hooks").kill()
        await at_rest()
        gate.open()
        await handle
    (first, one), (second, two) = box
    assert first == second
    assert (one, two) == (1, 2)
    assert recorder.order == ["first", "done"]


async def test_a_try_that_went_down_with_the_hook_actor_uses_up_no_retry() -> None:
    gate = Gate()
    attempts: list[int] = []

    async def fails(*_: object) -> None:
        attempts.append(here.hook.attempt)
        if len(attempts) == 1:
            await gate.astop_here()
        raise ValueError("the channel is gone")

    async with open_runtime() as runtime:
        handle = runtime.submit(flow(anyio.lowlevel.checkpoint, name="f", on_completion=[hook(fails, retries=1)]))
        await gate.reached()
        infrastructure(runtime, "hooks").kill()
        await wait([handle])
        (delivery,) = runtime.journal.deliveries(handle.id)
    assert attempts == [1, 2, 3]
    assert (delivery.status, delivery.attempt) == (DeliveryStatus.FAILED, 3)


async def test_a_failed_try_whose_code_still_runs_is_not_written_down_again_when_the_hook_actor_dies(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, clock = Gate(), ManualClock()

    def hangs_once(*_: object) -> None:
        if here.hook.attempt == 1:
            gate.stop_here()

    async def body() -> None: ...

    async with open_runtime(clock=clock) as runtime:
        retried = hook(hangs_once, retries=1, timeout_seconds=5)
        handle = runtime.submit(flow(body, on_completion=[retried]))
        await gate.reached()
        clock.advance(5)
        await at_rest()
        infrastructure(runtime, "hooks").kill()
        await at_rest()
        gate.open()
        await handle
        [delivery] = runtime.journal.deliveries(handle.id)
        assert (delivery.status, delivery.attempt) == (DeliveryStatus.SUCCEEDED, 2)
    assert caplog.text.count("An error was encountered while running hook") == 1


# The supervisor of runs


@pytest.mark.parametrize("fault", [crashes, is_killed], ids=name_of)
async def test_a_run_whose_actor_dies_while_the_supervisor_of_runs_does_is_crashed(
    fault: Fault, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike(monkeypatch, RunSupervisor, fault, 1)
    gate = Gate()
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(gate.astop_here, name="f", **recorder.all_hooks()))
        await gate.reached()
        kill(runtime, handle)
        await wait([handle])
        assert handle.state.is_crashed()
    assert recorder.order == ["on_running", "on_crashed", "on_end"]


async def test_runs_that_started_before_the_supervisor_of_runs_died_are_still_watched(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(gate.astop_here, name="f", **recorder.all_hooks()))
        await gate.reached()
        infrastructure(runtime, "runs").kill()
        await at_rest()
        kill(runtime, handle)
        await wait([handle])
        assert handle.state.is_crashed()
        with pytest.raises(RunIsFinal):
            await runtime.cancel(handle.id)
    assert recorder.order == ["on_running", "on_crashed", "on_end"]


@pytest.mark.parametrize("name", ["hooks", "runs"])
async def test_infrastructure_that_keeps_dying_hangs_nobody(name: Any, recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(gate.astop_here, name="f", **recorder.all_hooks()))
        await gate.reached()
        for _ in range(3):
            infrastructure(runtime, name).kill()
            await at_rest()
        gate.open()
        await handle
    assert recorder.order == ["on_running", "on_completion", "on_end"]
