"""A body in a process of its own that is told to stop: by SIGTERM, and when its grace is over by SIGKILL."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, final_state, started
from tests.engine.watched import open_runtime, until
from tests.isolation import bodies as b
from tests.isolation.helpers import apart, is_gone, said

from actwright import wait
from actwright.exceptions import CancelledRun, Fenced
from actwright.nodes import rows
from actwright.nodes.node import open_nodes

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@bodies
async def test_a_cancel_unwinds_the_body_and_its_run_is_cancelled(
    kind: str, is_async: bool, tmp_path: Path, recorder: Recorder
) -> None:
    hooks: Any = {event: [recorder.hook(event)] for event in ("on_cancellation", "on_crashed", "on_failure", "on_end")}
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle = started(runtime, apart(kind, b.anaps if is_async else b.naps, **hooks), str(path))
        assert await said(path) == "began"
        await handle.cancel("we close early")
        await wait([handle])
    assert (handle.state.name, handle.state.message) == ("Cancelled", "we close early")
    assert recorder.order == ["on_cancellation", "on_end"]
    what, asked = (await said(path)).split()
    assert what in (("CancelledError", "Cancelled") if is_async else ("Interrupted",))
    assert asked == "True"


async def test_a_plain_body_may_go_on_and_ask_whether_to_stop(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle = started(runtime, apart(kind, b.asks), str(path))
        await said(path)
        await handle.cancel("it is late")
        await wait([handle])
        assert (await said(path)).endswith(f"run {handle.name!r}: it is late")
    assert handle.state.name == "Cancelled"


async def test_one_with_a_handler_of_its_own_is_asked_by_that_and_may_ask(tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle = started(runtime, apart("task", b.handles_sigterm), str(path))
        await said(path)
        await handle.cancel("tidy up")
        await wait([handle])
        assert await said(path) == "its own handler"
    assert handle.state.name == "Cancelled"


@bodies
async def test_a_timeout_stops_the_body(kind: str, is_async: bool, tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime():
        subject = apart(kind, b.anaps if is_async else b.naps, timeout_seconds=3.0)
        state = await final_state(subject, str(path))
    assert (state.name, state.message) == ("TimedOut", "The body took longer than its timeout of 3 s")
    assert (await said(path)).endswith(" True")


@pytest.mark.parametrize("body", [b.ignores_sigterm, b.catches_everything])
async def test_one_that_ignores_it_is_killed_with_all_that_it_started_when_its_grace_is_over(
    kind: str, body: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pids"
    async with open_runtime(cancel_grace_seconds=0.3) as runtime:
        handle = started(runtime, apart(kind, body), str(path))
        pids = [int(pid) for pid in (await said(path)).split()]
        await handle.cancel("enough")
        await wait([handle])
        assert [pid for pid in pids if not is_gone(pid)] == []
    assert (handle.state.name, handle.state.message) == ("Cancelled", "enough")
    assert "has not ended within 0.3 s: its process is killed" in caplog.text
    assert "abandoned" not in caplog.text


async def test_one_that_was_killed_has_ended_and_so_may_be_tried_again(tmp_path: Path) -> None:
    async with open_runtime(cancel_grace_seconds=0.2):
        subject = apart("task", b.ignores_sigterm_at_first, retries=1, timeout_seconds=3.0)
        state = await final_state(subject, str(tmp_path / "pids"))
    assert state.result() == 2


async def test_cancelled_while_it_waits_for_a_place_it_never_starts(tmp_path: Path) -> None:
    async with open_runtime(worker_threads=1) as runtime:
        first = started(runtime, apart("task", b.waits_for_word), str(tmp_path / "first"))
        await said(tmp_path / "first")
        second = started(runtime, apart("task", b.waits_for_word), str(tmp_path / "second"))
        await until(lambda: second.state.is_running())
        await second.cancel()
        await wait([second])
        assert second.state.name == "Cancelled"
        (tmp_path / "first.go").touch()
        assert await first == "went on"
    assert not (tmp_path / "second").exists()


async def test_cancelled_as_soon_as_it_runs_it_is_cancelled(kind: str, tmp_path: Path) -> None:
    async with open_runtime() as runtime:
        handle = started(runtime, apart(kind, b.naps), str(tmp_path / "said"))
        await until(lambda: handle.state.is_running())
        await handle.cancel()
        await wait([handle])
    assert handle.state.name == "Cancelled"


async def test_leaving_a_runtime_that_cancels_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    async with open_runtime(on_exit="cancel", cancel_grace_seconds=0.2) as runtime:
        handle = started(runtime, apart("flow", b.ignores_sigterm), str(path))
        pids = [int(pid) for pid in (await said(path)).split()]
    assert [pid for pid in pids if not is_gone(pid)] == []
    with pytest.raises(CancelledRun):
        handle.state.result()


async def test_where_another_process_takes_the_runs_over_it_is_ended_although_it_ignores_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actwright.engine.isolated_process._LAST_SECONDS", 0.2)
    path = tmp_path / "pids"
    async with open_runtime(cancel_grace_seconds=0.2) as runtime:
        handle = started(runtime, apart("flow", b.ignores_sigterm), str(path))
        pids = [int(pid) for pid in (await said(path)).split()]
        (node,) = open_nodes()
        with node.database.writing() as connection:
            rows.take_over(connection, node.id)
        node.journal.append()
        with pytest.raises(Fenced):
            await handle
    assert [pid for pid in pids if not is_gone(pid)] == []


async def test_a_sigterm_from_elsewhere_is_no_cancel(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    async with open_runtime() as runtime:
        handle = started(runtime, apart("task", b.waits_for_word), str(path))
        os.kill(int(await said(path)), signal.SIGTERM)
        await wait([handle])
    assert handle.state.name == "Crashed"
