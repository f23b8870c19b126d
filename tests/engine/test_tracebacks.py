"""What the log shows of an exception: once, and the author's own frames."""

from __future__ import annotations

import logging

import pytest

from actwright import flow, run_flow, task

pytestmark = pytest.mark.anyio


@task
async def breaks() -> None:
    raise ValueError("no such table")


@flow
async def load() -> None:
    await breaks()


@flow
def breaks_in_a_hook() -> None: ...


@breaks_in_a_hook.on_completion
def bad_hook(*args: object) -> None:
    raise LookupError("no such channel")


async def test_an_exception_that_crosses_runs_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="no such table"):
        await run_flow(load)
    shown = [record for record in caplog.records if record.exc_info]
    assert [record.name for record in shown] == ["actwright.task_runs"]


async def test_a_traceback_shows_no_frame_of_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="no such table"):
        await run_flow(load)
    assert "in breaks" in caplog.text
    assert "actwright/engine" not in caplog.text


async def test_the_traceback_of_a_hook_shows_no_frame_of_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await run_flow(breaks_in_a_hook)
    assert "in bad_hook" in caplog.text
    assert "actwright/engine" not in caplog.text
