"""What takes the place of a flow or task that cannot be loaded."""

from __future__ import annotations

from typing import Any

import pytest

from actwright import Flow, Task, flow, task
from actwright.authoring.registration import RegisteredSubject, Registration
from actwright.replay.loading import NotLoadable
from actwright.replay.stand_ins import stand_in


@flow(name="nightly", description="At night.", version="3", retries=2, retry_delay_seconds=[1, 2], tags=["a"])
def some_flow(number: int) -> None: ...


@task(timeout_seconds=5, log_prints=True)
async def some_task() -> None: ...


WHY = NotLoadable("nightly", ["importing jobs:nightly failed: ModuleNotFoundError"])


def registered(subject: Any) -> RegisteredSubject:
    return Registration.from_json(Registration.of(subject, {}).to_json()).subject


def test_it_is_a_flow_or_a_task_of_that_name_and_those_options() -> None:
    made = stand_in(registered(some_flow), WHY)
    assert isinstance(made, Flow)
    assert (made.name, made.kind, made.description, made.version) == ("nightly", "flow", "At night.", "3")
    assert (made.tags, made.options.retries, made.options.retry_delays) == (frozenset({"a"}), 2, (1.0, 2.0))
    step = stand_in(registered(some_task), WHY)
    assert isinstance(step, Task)
    assert (step.name, step.kind, step.options.timeout_seconds, step.options.log_prints) == (
        "some_task", "task", 5.0, True,
    )  # fmt: skip


def test_running_it_in_any_way_says_what_could_not_be_loaded() -> None:
    step: Any = stand_in(registered(some_task), WHY)
    for run in (step, step.fn, step.submit, step.with_options(name="other")):
        with pytest.raises(NotLoadable, match="importing jobs:nightly failed"):
            run(1)
    with pytest.raises(NotLoadable):
        step.map([1, 2])
