"""A death on demand: what is cut off, what is settled, which hooks run."""

from __future__ import annotations

import threading

import anyio
import pytest
from tests.testing_kit.flows import HOUR, fetch, hangs, nightly, note, noted, tries, unwound

from actwright import Runtime, flow, hook, run_flow, task
from actwright.exceptions import Fenced
from actwright.testing import HookRecorder, assert_hook_ran, harness, kill, kill_sync, open_runtime

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    noted.clear()
    tries.clear()
    unwound.clear()


async def test_a_killed_run_is_crashed_and_its_hook_runs() -> None:
    began = anyio.Event()
    async with open_runtime() as runtime:
        handle = runtime.submit(hangs, began)
        await began.wait()
        run = await kill(handle)
        assert run.id == handle.id
        assert run.state.is_crashed()
        assert_hook_ran(handle, "on_crashed", times=1, hook=note)
    assert noted == ["Crashed"]


async def test_the_body_of_a_killed_run_hears_of_it_only_when_the_runtime_is_left() -> None:
    began = anyio.Event()
    async with open_runtime() as runtime:
        handle = runtime.submit(hangs, began)
        await began.wait()
        await kill(handle)
        await anyio.wait_all_tasks_blocked()
        assert unwound == []
    assert unwound == ["body"]


async def test_whoever_awaits_a_killed_run_gets_fenced() -> None:
    began = anyio.Event()
    async with open_runtime() as runtime:
        handle = runtime.submit(hangs, began)
        await began.wait()
        await kill(handle)
        with pytest.raises(Fenced, match="killed by its test"):
            await handle


async def test_a_killed_runtime_takes_no_new_runs_and_another_one_goes_on_with_the_history() -> None:
    began = anyio.Event()
    async with open_runtime() as runtime:
        handle = runtime.submit(hangs, began)
        await began.wait()
        await kill(handle)
        with pytest.raises(Fenced):
            await run_flow(nightly)
        async with Runtime():
            assert await run_flow(nightly) == 4
            assert_hook_ran("nightly", "on_completion", times=1)
            assert_hook_ran("hangs", "on_crashed", times=1)


async def test_all_that_runs_dies_children_and_others_too() -> None:
    began, other_began = anyio.Event(), anyio.Event()

    @flow
    async def parent() -> None:
        await hangs(began)

    async with open_runtime() as runtime:
        handle, other = runtime.submit(parent), runtime.submit(hangs, other_began)
        await began.wait()
        await other_began.wait()
        assert (await kill(handle)).state.is_crashed()
        assert_hook_ran("hangs", "on_crashed", times=2)
        assert_hook_ran(other, "on_crashed", times=1)


async def test_what_waits_for_a_retry_when_it_is_killed_is_not_tried_again() -> None:
    began = anyio.Event()

    @flow(on_crashed=[note])
    async def body() -> None:
        await fetch()

    with harness() as made:
        async with open_runtime() as runtime:
            runtime.submit(hangs, began)  # at work, so that the delay is not skipped
            await began.wait()
            handle = runtime.submit(body)
            with anyio.fail_after(10):
                while "AwaitingRetry" not in {run.state.name for run in runtime.journal.runs()}:  # noqa: ASYNC110  # no hook may tell
                    await anyio.sleep(0.001)
            await kill(handle)
            made.advance(HOUR)
            await anyio.wait_all_tasks_blocked()
            assert_hook_ran(handle, "on_crashed", times=1)
        assert tries == [1]


async def test_a_hook_that_is_cut_short_runs_again_as_the_second_attempt_of_the_same_delivery() -> None:
    recorder, stopped = HookRecorder(), anyio.Event()

    @flow(on_completion=[StopsFirst(stopped), recorder.hook])
    async def body() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(body)
        await stopped.wait()
        run = await kill(handle)
        assert run.state.is_completed()  # final is final
        assert_hook_ran(handle, "on_completion", times=2)
    assert [(call.event, call.replayed) for call in recorder.calls] == [("on_completion", True)]


class StopsFirst:
    """A hook that waits for ever where it was made, and returns at once where it was loaded again."""

    def __init__(self, stopped: anyio.Event | None = None) -> None:
        self.stopped = stopped

    async def __call__(self, *_: object) -> None:
        if self.stopped is not None:
            self.stopped.set()
            await anyio.sleep_forever()

    def __reduce__(self) -> tuple[type[StopsFirst], tuple[()]]:
        return StopsFirst, ()


async def test_a_sync_body_that_is_killed_starts_nothing_any_more_and_holds_nobody_up() -> None:
    began, go_on, ended = anyio.Event(), threading.Event(), threading.Event()
    tried: list[str] = []

    @task
    def too_late() -> None:
        tried.append("ran")

    @flow(on_crashed=[note])
    def body() -> None:
        anyio.from_thread.run_sync(began.set, token=token)
        go_on.wait()
        try:
            too_late()
        except Fenced:
            tried.append("refused")
        finally:
            ended.set()

    token = anyio.lowlevel.current_token()
    async with open_runtime() as runtime:
        handle = runtime.submit(body)
        await began.wait()
        await kill(handle)
        go_on.set()
        await anyio.to_thread.run_sync(ended.wait)
    assert tried == ["refused"]
    assert noted == ["Crashed"]


async def test_a_hook_works_on_a_copy_of_what_it_closes_over_as_in_another_process() -> None:
    began, seen = anyio.Event(), list[str]()

    def local(*_: object) -> None:
        seen.append("here")

    async with open_runtime() as runtime:
        handle = runtime.submit(hangs.with_options(on_crashed=[local]), began)
        await began.wait()
        await kill(handle)
        assert_hook_ran(handle, "on_crashed", times=1, hook=local)
    assert seen == []


async def test_a_hook_that_no_other_process_could_find_fails_the_test_with_the_reason() -> None:
    began, lock = anyio.Event(), threading.Lock()

    def local(*_: object) -> None:
        with lock:
            pass

    async with open_runtime() as runtime:
        handle = runtime.submit(hangs.with_options(on_crashed=[local]), began)
        await began.wait()
        with pytest.raises(AssertionError, match=r"(?s)could not be found again.*'local'.*lock"):
            await kill(handle)


async def test_the_delays_of_a_replayed_hook_cost_no_time() -> None:
    began = anyio.Event()
    fails = hook(always_fails, retries=2, retry_delay_seconds=HOUR)
    async with open_runtime() as runtime:
        handle = runtime.submit(hangs.with_options(on_crashed=[fails]), began)
        await began.wait()
        await kill(handle)
        with pytest.raises(AssertionError, match=r"on_crashed 'always_fails' FAILED, attempt 3, replayed: ValueError"):
            assert_hook_ran(handle, "on_crashed")


def always_fails(*_: object) -> None:
    raise ValueError("always")


def test_sync_code_kills_too() -> None:
    began, go_on = threading.Event(), threading.Event()

    @task(on_crashed=[note])
    def body() -> None:
        began.set()
        go_on.wait()

    with harness():
        handle = body.submit()
        began.wait()
        assert kill_sync(handle).state.is_crashed()
        go_on.set()
    assert noted == ["Crashed"]


def test_a_body_may_kill_the_process_that_it_is_in() -> None:
    @flow(on_crashed=[note], name="suicidal")
    def body() -> None:
        kill_sync("suicidal")

    with harness(), pytest.raises(Fenced):
        body()
    assert noted == ["Crashed"]


async def test_a_run_that_has_ended_cannot_be_killed() -> None:
    async with open_runtime() as runtime:
        handle = runtime.submit(nightly)
        await handle
        with pytest.raises(AssertionError, match=r"(?s)one run that goes on.*means 0.*Completed"):
            await kill(handle)


async def test_history_in_memory_cannot_be_killed_and_it_says_why() -> None:
    began = anyio.Event()
    async with open_runtime(journal="memory") as runtime:
        handle = runtime.submit(hangs, began)
        await began.wait()
        with pytest.raises(TypeError, match="outlives a process"):
            await kill(handle)


async def test_kill_works_in_a_harness_alone() -> None:
    with pytest.raises(AssertionError, match="in a harness alone"):
        await kill("nightly")
