"""Snapshots of runs, and what entering a state changes in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import AwaitingRetry, Cancelling, Completed, Failed, Pending, Retrying, Running


def flow_run(**fields: Any) -> FlowRun:
    now = datetime.now(UTC)
    return FlowRun(id=uuid4(), name="brave-otter", flow_name="f", state=Pending(), expected_start_time=now, **fields)


def test_a_run_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        flow_run().name = "other"


def test_entering_a_state_leaves_the_earlier_snapshot_as_it_was() -> None:
    before = flow_run()
    after = before.entered(Running())
    assert (before.state_name, before.run_count, before.start_time) == ("Pending", 0, None)
    assert (after.id, after.state_name, after.state_type, after.run_count) == (before.id, "Running", "RUNNING", 1)


@given(st.integers(min_value=0, max_value=5))
def test_each_attempt_is_counted_and_the_first_one_is_the_start(retries: int) -> None:
    first = Running()
    run = flow_run().entered(first)
    for _ in range(retries):
        run = run.entered(AwaitingRetry()).entered(Retrying())
    assert run.run_count == retries + 1
    assert run.start_time == first.timestamp
    assert run.end_time is None


@pytest.mark.parametrize("start", [Running(), Cancelling()], ids=str)
def test_the_end_is_when_it_became_final_whether_or_not_it_had_started(start: Any) -> None:
    end = Failed()
    run = flow_run().entered(start).entered(end)
    assert run.end_time == end.timestamp
    assert run.state is end
    assert run.start_time == (start.timestamp if start.is_running() else None)


def test_a_task_run_s_parent_is_the_task_run_that_called_it_before_any_flow_run() -> None:
    task, flow = uuid4(), uuid4()
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"name": "t", "task_name": "t", "state": Completed(), "expected_start_time": now}
    assert TaskRun(id=uuid4(), parent_flow_run_id=flow, **fields).parent_id == flow
    assert TaskRun(id=uuid4(), parent_task_run_id=task, flow_run_id=flow, **fields).parent_id == task
    assert TaskRun(id=uuid4(), flow_run_id=flow, **fields).parent_id is None


def test_a_run_is_called_by_its_kind_and_its_name() -> None:
    assert flow_run().title == "Flow run 'brave-otter'"


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("value", ["x" * 10**6, Unshowable(), list(range(10**5))], ids=["huge", "raising", "long"])
def test_a_run_is_shown_whatever_its_parameters_are(value: object) -> None:
    shown = repr(flow_run(parameters={"value": value}))
    assert shown.startswith("<FlowRun 'brave-otter' Pending (value=")
    assert len(shown) < 300
