"""Wherever a run is called from, and whatever its history is kept in, its body has its process."""

from __future__ import annotations

import os
from contextvars import Context
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.engine.subjects import started
from tests.engine.watched import open_runtime
from tests.isolation import bodies as b
from tests.isolation.helpers import apart, is_gone, said

from actwright import flow, run_flow
from actwright.authoring.entry import load_engine
from actwright.nodes.node import open_nodes
from actwright.testing import harness, kill
from actwright_actors.backends import BackendName

pytestmark = pytest.mark.costly


def test_a_plain_call_in_sync_code_runs_the_body_there(kind: str, background_backend: BackendName) -> None:
    found = apart(kind, b.whereabouts)()
    assert found["pid"] != os.getpid()
    assert found["backend"] is None


def test_an_async_body_that_sync_code_submits_runs_there_on_the_back_end_of_the_background(
    background_backend: BackendName,
) -> None:
    @flow
    def around() -> Any:
        return apart("task", b.awhereabouts).submit().result()

    found = around()
    assert found["pid"] != os.getpid()
    assert found["backend"] == background_backend


def test_what_a_body_raises_reaches_its_caller_in_sync_code(background_backend: BackendName) -> None:
    with pytest.raises(b.Mine) as caught:
        apart("flow", b.fails)(3)
    assert caught.value.code == 3


@pytest.mark.anyio
async def test_a_sync_call_in_async_code_runs_the_body_there() -> None:
    async with open_runtime():
        assert apart("flow", b.whereabouts)()["pid"] != os.getpid()
        await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_history_in_memory_is_no_hindrance() -> None:
    async with open_runtime(journal="memory"):
        assert (await run_flow(apart("flow", b.calls)))["called"] == (20, os.getpid())
    assert open_nodes() == []


@pytest.mark.anyio
async def test_a_hook_may_call_what_runs_there() -> None:
    found: list[Any] = []

    async def calls_one(flow: Any, flow_run: Any, state: Any) -> None:
        found.append(await run_flow(apart("flow", b.whereabouts)))

    async with open_runtime():
        await run_flow(flow(b.nothing, on_completion=[calls_one]))
    assert found[0]["pid"] != os.getpid()


@pytest.mark.anyio
async def test_the_death_of_its_program_as_the_test_kit_has_it_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    with harness():
        async with open_runtime(cancel_grace_seconds=0.2) as runtime:
            handle = started(runtime, apart("flow", b.ignores_sigterm), str(path))
            pids = [int(pid) for pid in (await said(path)).split()]
            killed = await kill(handle)
            assert [pid for pid in pids if not is_gone(pid)] == []
            assert killed.state.name == "Crashed"


def test_a_process_that_is_there_for_one_body_loads_no_engine() -> None:
    # In a context of its own: a variable that another test has left set has its module loaded there.
    found: list[str] = Context().run(apart("flow", b.engine_modules))
    assert found == []
    assert load_engine() is not None
