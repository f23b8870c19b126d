"""`actwright.runtime`: what code may ask about the run around it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.watched import open_runtime

from actwright import Runtime, flow, hook, runtime, tags, task
from actwright.engine import background

EMPTY_RUN: dict[str, Any] = {
    "id": None,
    "name": None,
    "tags": [],
    "parameters": {},
    "run_count": 0,
    "start_time": None,
    "expected_start_time": None,
    "scheduled_start_time": None,
    "state_name": None,
    "parent_flow_run_id": None,
    "parent_task_run_id": None,
}
EMPTY: dict[str, dict[str, Any]] = {
    "flow_run": {**EMPTY_RUN, "flow_name": None, "flow_version": None, "root_flow_run_id": None},
    "task_run": {**EMPTY_RUN, "task_name": None, "flow_run_id": None},
    "flow": {"name": None, "version": None, "description": None},
    "hook": {"name": None, "event": None, "delivery_id": None, "attempt": 0, "replayed": False, "due_at": None},
}


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    """A sync task that is called in async code lives on a background loop."""
    yield
    background.close()


def told(part: str) -> dict[str, Any]:
    """All that one part tells here."""
    return {name: getattr(getattr(runtime, part), name) for name in EMPTY[part]}


def all_told() -> dict[str, dict[str, Any]]:
    return {part: told(part) for part in EMPTY}


def test_every_attribute_is_tested_here() -> None:
    assert sorted(runtime.__all__) == sorted([*EMPTY, "cancel_requested", "no_interrupt", "raise_if_cancelled"])
    for part, values in EMPTY.items():
        here: object = getattr(runtime, part)
        assert {name for name in dir(type(here)) if not name.startswith("_")} == set(values)


def test_outside_of_runs_every_attribute_is_empty() -> None:
    assert all_told() == EMPTY


@pytest.mark.anyio
async def test_in_an_open_runtime_but_outside_of_runs_every_attribute_is_empty() -> None:
    async with open_runtime():
        assert all_told() == EMPTY


@pytest.mark.anyio
async def test_a_flow_body_is_told_of_its_run_and_its_flow() -> None:
    @flow(name="load", version="7", description="Loads.", flow_run_name="load {table}", tags=["io"], retries=1)
    async def work(table: str, limit: str | int = 5) -> dict[str, dict[str, Any]]:
        if runtime.flow_run.run_count == 1:
            raise ValueError("again")
        return all_told()

    before = datetime.now(UTC)
    async with open_runtime() as opened:
        with tags("nightly"):
            handle = opened.submit(work, "users", limit=3)
        found = await handle
    run = found["flow_run"]
    assert before <= run["expected_start_time"] <= run["start_time"] <= datetime.now(UTC)
    assert run == {
        **EMPTY["flow_run"],
        "id": handle.id,
        "name": "load users",
        "tags": ["io", "nightly"],
        "parameters": {"table": "users", "limit": 3},
        "run_count": 2,
        "start_time": handle.run.start_time,
        "expected_start_time": handle.run.expected_start_time,
        "scheduled_start_time": handle.run.expected_start_time,
        "state_name": "Retrying",
        "flow_name": "load",
        "flow_version": "7",
        "root_flow_run_id": handle.id,
    }
    assert found["flow"] == {"name": "load", "version": "7", "description": "Loads."}
    assert found["task_run"] == EMPTY["task_run"]
    assert found["hook"] == EMPTY["hook"]


@pytest.mark.anyio
async def test_the_root_is_the_flow_run_around_all_others() -> None:
    @flow
    def inner() -> Any:
        return runtime.flow_run.root_flow_run_id

    @task
    def between() -> Any:
        return runtime.flow_run.root_flow_run_id, inner()

    @flow
    def middle() -> Any:
        return between()

    @flow
    def root() -> Any:
        return middle()

    async with open_runtime() as opened:
        handle = opened.submit(root)
        assert await handle == (handle.id, handle.id)


@task(task_run_name="part {number}", tags=["cpu"])
def part(number: int) -> dict[str, dict[str, Any]]:
    return all_told()


@task
async def outer() -> tuple[Any, dict[str, dict[str, Any]]]:
    return runtime.task_run.id, part(2)


@pytest.mark.anyio
async def test_a_task_body_is_told_of_its_run_and_of_the_flow_run_around_it_at_any_distance() -> None:
    @flow
    async def work() -> tuple[dict[str, Any], tuple[Any, dict[str, Any]]]:
        return part(1), await outer()

    async with open_runtime() as opened:
        handle = opened.submit(work)
        called, (outer_id, nested) = await handle
    for found, number, parents in (
        (called, 1, {"parent_flow_run_id": handle.id, "parent_task_run_id": None}),
        (nested, 2, {"parent_flow_run_id": None, "parent_task_run_id": outer_id}),
    ):
        assert found["task_run"] == {
            **found["task_run"],
            **parents,
            "name": f"part {number}",
            "task_name": "part",
            "tags": ["cpu"],
            "parameters": {"number": number},
            "run_count": 1,
            "state_name": "Running",
            "flow_run_id": handle.id,
        }
        assert found["flow_run"]["id"] == handle.id
        assert found["flow_run"]["flow_name"] == found["flow"]["name"] == "work"


@pytest.mark.anyio
async def test_a_task_outside_of_flows_knows_no_flow_run() -> None:
    async with open_runtime():
        found = part(1)
    assert found["task_run"]["name"] == "part 1"
    assert found["task_run"]["flow_run_id"] is None
    assert found["flow_run"] == EMPTY["flow_run"]
    assert found["flow"] == EMPTY["flow"]


@pytest.mark.anyio
async def test_a_subflow_is_told_of_the_flow_run_that_called_it() -> None:
    @flow
    def inner() -> dict[str, Any]:
        return told("flow_run")

    @flow
    async def work() -> dict[str, Any]:
        return inner()

    async with open_runtime() as opened:
        handle = opened.submit(work)
        found = await handle
    assert found["flow_name"] == "inner"
    assert found["parent_flow_run_id"] == handle.id


@pytest.mark.anyio
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_hook_is_told_of_its_run_and_of_its_delivery(is_async: bool) -> None:
    found: list[dict[str, dict[str, Any]]] = []

    def note(*_: object) -> None:
        found.append(all_told())
        if len(found) == 1:
            raise ValueError("again")

    async def note_async(*_: object) -> None:
        note()

    @flow(on_completion=[hook(note_async if is_async else note, retries=1)])
    async def work() -> None: ...

    async with open_runtime() as opened:
        handle = opened.submit(work)
        await handle
        [delivery] = opened.journal.deliveries(handle.id)
    assert [tell["flow_run"]["id"] for tell in found] == [handle.id] * 2
    assert [tell["flow_run"]["state_name"] for tell in found] == ["Completed"] * 2
    always = {
        "name": "note_async" if is_async else "note",
        "event": "on_completion",
        "delivery_id": delivery.id,
        "replayed": False,
        "due_at": delivery.due_at,
    }
    assert [tell["hook"] for tell in found] == [always | {"attempt": attempt} for attempt in (1, 2)]


@pytest.mark.anyio
async def test_a_hook_of_a_task_is_told_of_the_task_run_and_of_the_flow_run_around_it() -> None:
    found: list[dict[str, dict[str, Any]]] = []

    def note(*_: object) -> None:
        found.append(all_told())

    @flow
    async def work() -> None:
        part.with_options(on_completion=[note])(1)

    async with open_runtime() as opened:
        handle = opened.submit(work)
        await handle
    [tell] = found
    assert tell["task_run"]["name"] == "part 1"
    assert tell["task_run"]["flow_run_id"] == tell["flow_run"]["id"] == handle.id


@pytest.mark.anyio
async def test_what_it_gives_is_a_copy() -> None:
    @task
    async def work(rows: list[int]) -> tuple[list[str], dict[str, Any]]:
        runtime.task_run.tags.append("mine")
        runtime.task_run.parameters["rows"] = None
        return runtime.task_run.tags, runtime.task_run.parameters

    async with Runtime():
        assert await work([1]) == ([], {"rows": [1]})
