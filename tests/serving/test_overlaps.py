from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.serving.overlaps import OpenRun, Skip, Submit, meet
from actwright.serving.schedules import Interval, Overlap, Schedule

open_runs = st.lists(st.builds(OpenRun, st.uuids(), st.booleans()), max_size=8, unique_by=lambda run: run.id)
some_open_runs = open_runs.filter(bool)
OLD = OpenRun(uuid4(), begun=True)


def by(overlap: Overlap, queue_limit: int = 10) -> Schedule:
    return Schedule(Interval(60), name="minutely", overlap=overlap, queue_limit=queue_limit)


def ids(runs: list[OpenRun]) -> tuple[UUID, ...]:
    return tuple(run.id for run in runs)


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel", "allow"])
def test_with_no_open_run_the_new_one_begins_when_it_is_due(overlap: Overlap) -> None:
    assert meet(by(overlap), []) == Submit()


@given(open_runs)
def test_allow_pays_no_heed_to_others(runs: list[OpenRun]) -> None:
    assert meet(by("allow"), runs) == Submit()


@given(some_open_runs)
def test_skip_leaves_the_new_one_out_whether_or_not_the_others_have_begun(runs: list[OpenRun]) -> None:
    verdict = meet(by("skip"), runs)
    assert isinstance(verdict, Skip)
    assert str(runs[-1].id) in verdict.reason


@given(some_open_runs)
def test_cancel_cancels_each_and_begins_once_all_have_ended(runs: list[OpenRun]) -> None:
    assert meet(by("cancel"), runs) == Submit(after=ids(runs), cancel=ids(runs))


@given(some_open_runs, st.integers(1, 8))
def test_queue_waits_for_each_up_to_its_limit(runs: list[OpenRun], limit: int) -> None:
    waiting = [run for run in runs if not run.begun]
    verdict = meet(by("queue", limit), runs)
    if len(waiting) < limit:
        assert verdict == Submit(after=ids(runs))
    else:
        assert verdict == Skip(
            f"{len(waiting)} runs of schedule 'minutely' wait already, and its queue_limit is {limit}"
        )
