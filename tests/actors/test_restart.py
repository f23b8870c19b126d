"""The supervision table, without a loop."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.actors.helpers import Worker

from actwright_actors import (
    Backoff,
    ChildSpec,
    Crashed,
    ExitReason,
    Killed,
    Normal,
    RestartType,
    Shutdown,
    StartFailed,
    Strategy,
)
from actwright_actors.restart import Plan, allowed, needs_restart, plan

ERROR = ValueError("boom")
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
ORDERLY: list[ExitReason] = [Normal(), Shutdown()]
ABNORMAL: list[ExitReason] = [Killed(), Crashed(ERROR), StartFailed(ERROR)]
REASONS: list[ExitReason] = [*ORDERLY, *ABNORMAL]


def specs(*restarts: RestartType) -> list[ChildSpec]:
    return [ChildSpec(name, Worker, restart) for name, restart in zip("abcdef", restarts, strict=False)]


@pytest.mark.parametrize("reason", ORDERLY, ids=repr)
def test_after_an_orderly_end_only_a_permanent_child_is_restarted(reason: ExitReason) -> None:
    assert [kind for kind in get_args(RestartType) if needs_restart(kind, reason)] == ["permanent"]


@pytest.mark.parametrize("reason", ABNORMAL, ids=repr)
def test_after_an_abnormal_end_all_but_a_temporary_child_are_restarted(reason: ExitReason) -> None:
    assert [kind for kind in get_args(RestartType) if needs_restart(kind, reason)] == ["permanent", "transient"]


def test_one_for_one_restarts_the_dead_alone() -> None:
    children = specs("permanent", "permanent", "permanent")
    assert plan("one_for_one", children, "b", Killed()) == Plan(stop=(), start=("b",))


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() -> None:
    children = specs("permanent", "permanent", "permanent")
    assert plan("one_for_all", children, "b", Killed()) == Plan(stop=("c", "a"), start=("a", "b", "c"))


def test_rest_for_one_leaves_those_that_were_started_before_the_dead() -> None:
    children = specs("permanent", "permanent", "permanent", "permanent")
    assert plan("rest_for_one", children, "b", Killed()) == Plan(stop=("d", "c"), start=("b", "c", "d"))


def test_a_temporary_sibling_is_stopped_with_the_group_and_not_started_again() -> None:
    children = specs("temporary", "permanent", "transient")
    assert plan("one_for_all", children, "b", Killed()) == Plan(stop=("c", "a"), start=("b", "c"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_child_that_needs_no_restart_drags_nobody_along(strategy: Strategy) -> None:
    children = specs("permanent", "transient", "temporary")
    ends: list[tuple[str, ExitReason]] = [("b", Normal()), ("c", Killed())]
    for name, reason in ends:
        assert plan(strategy, children, name, reason) == Plan()


@given(st.lists(st.sampled_from(get_args(RestartType)), min_size=1, max_size=6), st.data())
def test_a_plan_spares_the_dead_and_starts_only_what_is_down(kinds: list[RestartType], data: st.DataObject) -> None:
    children = specs(*kinds)
    dead = data.draw(st.sampled_from(children)).name
    strategy: Strategy = data.draw(st.sampled_from(STRATEGIES))
    reason = data.draw(st.sampled_from(REASONS))
    todo = plan(strategy, children, dead, reason)
    names = [child.name for child in children]
    assert dead not in todo.stop
    assert set(todo.start) <= {*todo.stop, dead}
    assert list(todo.start) == sorted(todo.start, key=names.index)
    assert list(todo.stop) == sorted(todo.stop, key=names.index, reverse=True)


def test_restarts_are_allowed_up_to_the_intensity_within_the_period() -> None:
    assert allowed([], now=0.0, intensity=1, period=5.0)
    assert not allowed([0.0], now=5.0, intensity=1, period=5.0)
    assert allowed([0.0], now=5.1, intensity=1, period=5.0)
    assert allowed([0.0, 1.0], now=2.0, intensity=3, period=5.0)
    assert not allowed([], now=0.0, intensity=0, period=5.0)


@given(st.lists(st.floats(0, 100)), st.integers(0, 5), st.floats(0.1, 50))
def test_no_period_ever_holds_more_restarts_than_the_intensity(deaths: list[float], most: int, period: float) -> None:
    history: list[float] = []
    for now in sorted(deaths):
        if allowed(history, now, most, period):
            history.append(now)
    assert most > 0 or history == []
    # Any `most` + 1 neighbours lie further apart than the period.
    assert all(last - first > period for first, last in zip(history, history[most:], strict=False))


def test_a_back_off_grows_to_its_maximum_and_jitter_only_lengthens_it() -> None:
    backoff = Backoff(initial=1.0, factor=2.0, maximum=5.0, jitter=0.5)
    assert [backoff.delay(restarts, 0.0) for restarts in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert backoff.delay(0, 0.5) == 1.25
    assert backoff.delay(10_000, 0.0) == 5.0
    assert Backoff().delay(3, 0.9) == 0.0
