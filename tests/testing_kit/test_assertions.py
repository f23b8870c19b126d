"""What assertions about hooks accept, and what they say when they fail."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest
from tests.testing_kit.flows import hangs, nightly, note

from actwright import Handle, Runtime, flow, task, wait
from actwright.testing import HookRecorder, assert_hook_ran, assert_no_failed_hooks, harness, kill, open_runtime

pytestmark = pytest.mark.anyio


def fails(*_: object) -> None:
    raise ValueError("no such channel")


@flow(on_failure=[note, fails], on_running=[note], retries=1)
async def failing() -> None:
    raise KeyError("page")


async def ended(runtime: Runtime, subject: Any) -> Handle[Any]:
    handle = runtime.submit(subject)
    await wait([handle])
    return handle


async def test_a_run_is_named_by_its_handle_itself_its_id_its_name_or_its_flow() -> None:
    async with open_runtime() as runtime:
        handle = await ended(runtime, nightly)
        for run in (
            handle,
            handle.run,
            handle.id,
            str(handle.id),
            handle.name,
            "nightly",
            nightly,
            nightly.with_options(),
        ):
            assert_hook_ran(run, "on_completion", times=1, hook=note)


async def test_hooks_are_counted_of_all_runs_and_hooks_that_are_meant() -> None:
    async with open_runtime() as runtime:
        for _ in range(2):
            await ended(runtime, failing)
        assert_hook_ran("failing", "on_failure", times=2)
        assert_hook_ran("failing", "on_failure", times=2, hook="note")
        assert_hook_ran("failing", "on_running", times=4)
        assert_hook_ran("failing", "on_failure")
        assert_hook_ran("failing", "on_failure", times=0, hook=fails)


async def test_a_failure_tells_what_did_run() -> None:
    async with open_runtime() as runtime:
        handle = await ended(runtime, failing)
        with pytest.raises(AssertionError) as caught:
            assert_hook_ran(handle, "on_failure", times=1, hook=fails)
    assert str(caught.value) == (
        "Expected the on_failure hook 'fails' to run once; it succeeded never.\n"
        f"  Flow run {handle.name!r} of 'failing' went through: Pending, Running, AwaitingRetry, Retrying, Failed\n"
        "    on_running 'note' SUCCEEDED\n"
        "    on_running 'note' SUCCEEDED\n"
        "    on_failure 'note' SUCCEEDED\n"
        "    on_failure 'fails' FAILED: ValueError: no such channel"
    )


async def test_a_run_without_hooks_is_told_of_too() -> None:
    @flow
    async def bare() -> None: ...

    async with open_runtime() as runtime:
        with pytest.raises(AssertionError, match=r"(?s)at least once; it succeeded never.*no hook was due"):
            assert_hook_ran(await ended(runtime, bare), "on_end")


async def test_a_run_that_is_not_there_is_told_with_those_that_are() -> None:
    async with open_runtime() as runtime:
        handle = await ended(runtime, nightly)
        with pytest.raises(AssertionError, match=rf"no run nigtly.*{re.escape(handle.run.title)} of 'nightly'"):
            assert_hook_ran("nigtly", "on_end")


async def test_an_event_that_is_none_and_a_run_that_is_none_are_said_to_be() -> None:
    async with open_runtime():
        with pytest.raises(ValueError, match=r"no event 'on_fail'.*on_failure"):
            assert_hook_ran("nightly", "on_fail")
        with pytest.raises(TypeError, match="Expected a run"):
            assert_hook_ran(3, "on_failure")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_failed_hooks_are_found_wherever_they_are() -> None:
    async with open_runtime() as runtime:
        await ended(runtime, nightly)
        assert_no_failed_hooks()
        await ended(runtime, failing)
        with pytest.raises(AssertionError, match=r"(?s)Hooks have failed.*'failing'.*no such channel"):
            assert_no_failed_hooks()


async def test_history_in_memory_is_asked_of_its_runtime() -> None:
    async with open_runtime(journal="memory") as runtime:
        await ended(runtime, failing)
        assert_hook_ran("failing", "on_failure", times=1, runtime=runtime)
        with pytest.raises(AssertionError):
            assert_no_failed_hooks(runtime)


async def test_a_flow_and_a_task_of_one_name_are_two() -> None:
    @task(name="nightly", on_completion=[note])
    async def step() -> None: ...

    @flow(name="nightly")
    async def body() -> None:
        await step()

    async with open_runtime() as runtime:
        await ended(runtime, body)
        assert_hook_ran(step, "on_completion", times=1)
        assert_hook_ran(body, "on_completion", times=0)
        assert_hook_ran("nightly", "on_completion", times=1)


async def test_history_in_memory_is_found_in_a_harness_without_being_named() -> None:
    async with open_runtime(journal="memory") as runtime:
        await ended(runtime, failing)
        assert_hook_ran(failing, "on_failure", times=1)
        with pytest.raises(AssertionError, match="no such channel"):
            assert_no_failed_hooks()


async def test_history_in_memory_is_found_until_the_harness_ends() -> None:
    with harness():
        async with open_runtime(journal="memory") as runtime:
            await ended(runtime, nightly)
        assert_hook_ran(nightly, "on_completion", times=1)


async def test_without_a_harness_the_history_in_memory_of_an_open_runtime_is_found() -> None:
    async with Runtime(journal="memory") as runtime:
        await ended(runtime, failing)
        assert_hook_ran(failing, "on_failure", times=1)
    with pytest.raises(AssertionError, match=r"no run 'failing' in this history.*pass `runtime=`"):
        assert_hook_ran(failing, "on_failure")
    assert_hook_ran(failing, "on_failure", times=1, runtime=runtime)


async def test_after_a_death_each_run_and_hook_is_found_once() -> None:
    async with open_runtime() as runtime:
        began = anyio.Event()
        handle = runtime.submit(hangs, began)
        await began.wait()
        await kill(handle)
        assert_hook_ran(hangs, "on_crashed", times=1)


async def test_a_failure_tells_of_the_very_hooks_that_it_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_runtime(journal="memory") as runtime:
        handle = await ended(runtime, nightly)
        asked, read = list[Any](), runtime.journal.deliveries

        def deliveries(run_id: Any = None) -> Any:
            """The first time, none is there yet."""
            asked.append(run_id)
            return read(run_id) if len(asked) > 1 else []

        monkeypatch.setattr(runtime.journal, "deliveries", deliveries)
        with pytest.raises(AssertionError, match=r"(?s)it succeeded never.*no hook was due"):
            assert_hook_ran(handle, "on_completion", runtime=runtime)


async def test_a_recorder_keeps_what_its_hooks_get_in_order() -> None:
    recorder = HookRecorder()
    async with open_runtime(flow_hooks=recorder.hooks()) as runtime:
        handle = await ended(runtime, nightly)
    assert recorder.events == ["on_running", "on_completion", "on_end"]
    last = recorder.calls[-1]
    assert (last.subject, last.run.id, last.attempt, last.replayed) == (nightly, handle.id, 1, False)
    assert last.state is handle.state


async def test_a_recorder_records_the_events_that_it_is_told_to() -> None:
    recorder = HookRecorder()
    async with open_runtime(flow_hooks=recorder.hooks("on_end")) as runtime:
        await ended(runtime, nightly)
    assert recorder.events == ["on_end"]
    with pytest.raises(ValueError, match="no event 'on_ending'"):
        recorder.hooks("on_ending")
