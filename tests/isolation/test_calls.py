"""What a body in a process of its own calls runs in its Runtime's process, as its children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.engine.subjects import final_state, started
from tests.engine.watched import open_runtime
from tests.isolation import bodies as b
from tests.isolation.helpers import apart, said

from actwright import FlowRun, TaskRun, run_flow, wait
from actwright.blocks import Secret
from actwright.exceptions import CancelledRun
from actwright.nodes.journal import journal_of_this_process

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@pytest.fixture(autouse=True)
def hooked() -> list[tuple[str, int]]:
    """What the hooks of tasks have noted: in the process that has this list."""
    b.hooked.clear()
    return b.hooked


async def test_calls_submits_maps_and_futures_work_in_plain_code(hooked: list[tuple[str, int]]) -> None:
    async with open_runtime():
        found = await run_flow(apart("flow", b.calls))
    here = os.getpid()
    assert found["own"] != here
    assert found["called"] == (20, here)
    assert found["futures"] == [(2, here), (4, here)]
    assert found["results"] == [(10, here), (12, here), (14, here)]
    assert found["completed"] == [10, 12, 14]
    assert (found["sum"], found["counts"], found["states"]) == (6, (2, 0), ["Completed"] * 3)
    assert found["subflow"] == ([6, 8], found["id"])
    assert found["apart"][1] not in (here, found["own"])
    assert (found["state"], found["name"], found["id is"]) == ("Completed", "double 1", True)
    assert found["shown"] == (["inner"], "red", found["id"])
    assert {pid for _, pid in hooked} == {here}
    assert ("double 10", here) in hooked


async def test_awaits_futures_and_iterations_work_in_async_code() -> None:
    async with open_runtime():
        found = await run_flow(apart("flow", b.acalls))
    here = os.getpid()
    assert found["own"] != here
    assert (found["awaited"], found["future"], found["done"]) == ((6, here), (3, here), 1)
    assert (found["mapped"], found["subflow"]) == ([(9, here), (12, here)], 15)
    assert (found["sync"], found["completed"]) == ((12, here), [21, 24])


async def test_what_it_calls_are_its_children(kind: str) -> None:
    async with open_runtime():
        state = await final_state(apart(kind, b.returns_a_future))
        runs = {run.name: run for run in journal_of_this_process().runs()}
    assert state.result() == (42, os.getpid())
    child = runs.pop("double 21")
    (parent,) = runs.values()
    assert isinstance(child, TaskRun)
    if isinstance(parent, FlowRun):
        assert (child.parent_flow_run_id, child.flow_run_id) == (parent.id, parent.id)
    else:
        assert child.parent_task_run_id == parent.id


async def test_what_a_task_raises_can_be_caught_in_there_or_goes_through(kind: str) -> None:
    async with open_runtime():
        assert (await final_state(apart(kind, b.catches_what_a_task_raises))).result() == (5, "Mine")
        state = await final_state(apart(kind, b.lets_it_through))
    with pytest.raises(b.Mine) as caught:
        state.result()
    assert caught.value.code == 5
    assert "lets_it_through" in caught.value.__notes__[0]


async def test_what_goes_there_and_back_is_the_same_object() -> None:
    error = ValueError("one")

    async with open_runtime():
        assert await run_flow(apart("flow", b.echo), error) is error
        assert await run_flow(apart("flow", b.echo), b.double) is b.double


async def test_a_future_goes_there_and_back() -> None:
    async with open_runtime():
        handle = b.double.submit(4)
        box = b.Box(handle)  # a future in a list would be waited for before the body begins
        returned = await run_flow(apart("flow", b.looks_into), box)
        assert await handle == (8, os.getpid())
    assert returned == ("double 4", (8, os.getpid()))


async def test_a_result_that_cannot_be_pickled_can_be_handed_on_and_not_be_had() -> None:
    async with open_runtime():
        found, said = await run_flow(apart("flow", b.hands_on_what_it_cannot_have))
    assert found == "the original"
    assert "What it returned, which is tests.isolation.bodies.Unpicklable, cannot be pickled" in said


async def test_an_argument_that_cannot_be_pickled_is_refused_where_it_is_given() -> None:
    async with open_runtime():
        told = await run_flow(apart("flow", b.gives_what_cannot_be_given))
    assert told.startswith("The call of task 'tells_found' cannot be pickled")


async def test_a_body_can_cancel_what_it_has_submitted(tmp_path: Path) -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", b.cancels_a_task), str(tmp_path / "naps")) == "Cancelled: enough"


@pytest.mark.parametrize("body", [b.waits_for_a_task, b.awaits_a_task])
async def test_cancelled_while_it_waits_for_a_task_it_is_woken_and_the_task_is_cancelled(
    kind: str, body: Any, tmp_path: Path
) -> None:
    async with open_runtime() as runtime:
        handle = started(runtime, apart(kind, body), str(tmp_path / "sleeps"), str(tmp_path / "told"))
        await said(tmp_path / "sleeps")
        await handle.cancel("we close early")
        await wait([handle])
        runs = {run.state.name for run in journal_of_this_process().runs()}
    assert handle.state.name == "Cancelled"
    assert runs == {"Cancelled"}
    told = await said(tmp_path / "told")
    if body is b.waits_for_a_task:
        assert told.startswith(("CancelledRun: ", "Interrupted: "))
    else:
        assert told in ("CancelledError", "Cancelled", "CancelledRun")  # whichever comes there first


async def test_a_body_that_was_told_to_stop_starts_nothing_any_more(tmp_path: Path) -> None:
    async with open_runtime() as runtime:
        handle = started(runtime, apart("flow", b.calls_when_stopped), str(tmp_path / "began"), str(tmp_path / "told"))
        await said(tmp_path / "began")
        await handle.cancel("no more")
        await wait([handle])
        names = [run.name for run in journal_of_this_process().runs()]
    assert isinstance(handle.state.result(raise_on_failure=False), CancelledRun)
    assert (await said(tmp_path / "told")).endswith("no more")
    assert len(names) == 1


@pytest.mark.parametrize("body", [b.keeps_a_secret, b.akeeps_a_secret])
async def test_blocks_and_variables_are_those_of_its_runtime(body: Any) -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", body)) == ("swordfish", True)
        assert (await Secret.aload("door")).get() == "swordfish"


async def test_processes_that_a_body_forks_can_be_terminated() -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", b.terminates_a_pool)) == [1, 2]


async def test_a_run_that_has_ended_refuses_a_cancel_by_the_same_exception() -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", b.cancels_what_has_ended)) == "Completed"


async def test_an_exception_whose_causes_lead_back_to_it_comes_whole() -> None:
    async with open_runtime():
        with pytest.raises(ValueError, match="first") as caught:
            await run_flow(apart("flow", b.tells_of_an_exception_in_a_circle))
    assert isinstance(caught.value.__context__, RuntimeError)
    assert caught.value.__context__.__cause__ is caught.value


async def test_what_a_body_notes_on_an_exception_of_a_task_is_there_for_its_caller() -> None:
    async with open_runtime():
        with pytest.raises(b.Mine) as caught:
            await run_flow(apart("flow", b.adds_a_note_to_what_a_task_raised))
    assert "seen in the body" in caught.value.__notes__
