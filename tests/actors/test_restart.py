"""The supervision table, without a loop."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast, get_args

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
    Supervisor,
)
from actwright_actors.restart import AutoShutdown, Plan, allowed, calls_for_shutdown, needs_restart, plan

ERROR = ValueError("boom")
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
ORDERLY: list[ExitReason] = [Normal(), Shutdown()]
ABNORMAL: list[ExitReason] = [Killed(), Crashed(ERROR), StartFailed(ERROR)]
REASONS: list[ExitReason] = [*ORDERLY, *ABNORMAL]


def specs(*restarts: RestartType) -> list[ChildSpec]:
    return [ChildSpec(name, Worker, restart) for name, restart in zip("abcdef", restarts, strict=False)]


# -- who is restarted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ORDERLY, ids=repr)
def test_after_an_orderly_end_only_a_permanent_child_is_restarted(reason: ExitReason) -> None:
    assert [kind for kind in get_args(RestartType) if needs_restart(kind, reason)] == ["permanent"]


@pytest.mark.parametrize("reason", ABNORMAL, ids=repr)
def test_after_an_abnormal_end_all_but_a_temporary_child_are_restarted(reason: ExitReason) -> None:
    assert [kind for kind in get_args(RestartType) if needs_restart(kind, reason)] == ["permanent", "transient"]


def test_one_for_one_restarts_the_dead_alone() -> None:
    a, b, c = specs("permanent", "permanent", "permanent")
    assert plan("one_for_one", [a, b, c], b, Killed()) == Plan(stop=(), start=(b,))


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() -> None:
    a, b, c = specs("permanent", "permanent", "permanent")
    assert plan("one_for_all", [a, b, c], b, Killed()) == Plan(stop=(c, a), start=(a, b, c))


def test_rest_for_one_leaves_those_that_were_started_before_the_dead() -> None:
    a, b, c, d = specs("permanent", "permanent", "permanent", "permanent")
    assert plan("rest_for_one", [a, b, c, d], b, Killed()) == Plan(stop=(d, c), start=(b, c, d))


def test_a_temporary_sibling_is_stopped_with_the_group_and_not_started_again() -> None:
    a, b, c = specs("temporary", "permanent", "transient")
    assert plan("one_for_all", [a, b, c], b, Killed()) == Plan(stop=(c, a), start=(b, c))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_child_that_needs_no_restart_drags_nobody_along(strategy: Strategy) -> None:
    children = specs("permanent", "transient", "temporary")
    assert plan(strategy, children, children[1], Normal()) == Plan()
    assert plan(strategy, children, children[2], Killed()) == Plan()


def test_children_that_do_not_depend_on_each_other_are_not_looked_at() -> None:
    permanent, temporary = specs("permanent", "temporary")
    others = iter([permanent, temporary])
    plan("one_for_one", others, permanent, Killed())
    plan("one_for_all", others, temporary, Killed())
    assert len(list(others)) == 2


@given(st.lists(st.sampled_from(get_args(RestartType)), min_size=1, max_size=6), st.data())
def test_a_plan_spares_the_dead_and_starts_only_what_is_down(kinds: list[RestartType], data: st.DataObject) -> None:
    children = specs(*kinds)
    dead = data.draw(st.sampled_from(children))
    strategy: Strategy = data.draw(st.sampled_from(STRATEGIES))
    todo = plan(strategy, children, dead, data.draw(st.sampled_from(REASONS)))
    assert dead not in todo.stop
    assert all(child in (*todo.stop, dead) for child in todo.start)
    assert list(todo.start) == sorted(todo.start, key=children.index)
    assert list(todo.stop) == sorted(todo.stop, key=children.index, reverse=True)


# -- whether it may ----------------------------------------------------------------------------------------------------


def test_restarts_are_allowed_up_to_the_intensity_within_the_period() -> None:
    assert allowed([], now=0.0, intensity=1, period=5.0)
    assert not allowed([0.0], now=4.0, intensity=1, period=5.0)
    assert allowed([0.0], now=5.1, intensity=1, period=5.0)
    assert allowed([0.0, 1.0], now=2.0, intensity=3, period=5.0)
    assert not allowed([0.0, 1.0, 2.0], now=2.0, intensity=3, period=5.0)
    assert not allowed([], now=0.0, intensity=0, period=5.0)


@given(st.floats(0, 1e9), st.floats(1e-3, 1e6))
def test_the_last_instant_of_a_period_belongs_to_it_to_the_float(first: float, period: float) -> None:
    edge = first + period
    assert not allowed([first], edge, 1, period)
    assert allowed([first], math.nextafter(edge, math.inf), 1, period)


@given(st.lists(st.floats(0, 100)), st.integers(0, 5), st.floats(0.1, 50))
def test_no_period_ever_holds_more_restarts_than_the_intensity(deaths: list[float], most: int, period: float) -> None:
    history: list[float] = []
    for now in sorted(deaths):
        if allowed(history, now, most, period):
            history.append(now)
    assert most > 0 or history == []
    # Any `most` + 1 neighbours lie further apart than the period.
    assert all(last > first + period for first, last in zip(history, history[most:], strict=False))


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_back_off_grows_to_its_maximum_and_jitter_only_lengthens_it() -> None:
    backoff = Backoff(initial=1.0, factor=2.0, maximum=5.0, jitter=0.5)
    assert [backoff.delay(restarts, 0.0) for restarts in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert backoff.delay(0, 0.5) == 1.25
    assert Backoff().delay(3, 0.9) == 0.0


@pytest.mark.parametrize("factor", [2.0, 1e10])
def test_a_back_off_that_no_float_holds_any_more_is_its_maximum(factor: float) -> None:
    assert Backoff(initial=1.0, factor=factor, maximum=5.0).delay(10_000, 0.0) == 5.0


# -- its own end -------------------------------------------------------------------------------------------------------

MODES: tuple[AutoShutdown, ...] = get_args(AutoShutdown)
SIGNIFICANT = ChildSpec("s", Worker, "transient", significant=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_a_supervisor_ends_with_the_first_or_the_last_significant_child_that_is_not_restarted(
    mode: AutoShutdown, others: int, reason: ExitReason, restart: RestartType
) -> None:
    is_restarted = restart == "transient" and reason.is_abnormal
    is_enough = {"never": False, "any_significant": True, "all_significant": others == 0}[mode]
    spec = replace(SIGNIFICANT, restart=restart)
    assert calls_for_shutdown(mode, spec, reason, others) == (is_enough and not is_restarted)


@pytest.mark.parametrize("mode", MODES)
def test_the_end_of_a_child_that_is_not_significant_ends_no_supervisor(mode: AutoShutdown) -> None:
    assert not calls_for_shutdown(mode, replace(SIGNIFICANT, significant=False), Normal(), 0)


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"restart": "permanet"},
            "restart type of child 'a' is one of 'permanent', 'transient', 'temporary'; got 'perm",
        ),
        ({"stop_timeout": -1.0}, "stop_timeout of child 'a' is a number of at least 0; got -1.0"),
        ({"stop_timeout": math.nan}, "stop_timeout of child 'a'"),
        ({"significant": True}, "'a' is permanent, and so never ends by itself"),
    ],
)
def test_a_child_spec_that_cannot_be_is_refused_where_it_is_written(options: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ChildSpec("a", Worker, **options)


def test_an_actor_in_the_place_of_its_factory_is_refused() -> None:
    with pytest.raises(TypeError, match="factory of child 'a' makes an actor for each start"):
        ChildSpec("a", cast("Any", Worker()))


@pytest.mark.parametrize("what", ["initial", "factor", "maximum", "jitter", "reset_after"])
@pytest.mark.parametrize("value", [-0.5, math.nan])
def test_a_back_off_of_negative_numbers_is_refused(what: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"The {what} of a Backoff is a number of at least"):
        Backoff(**{what: value})


def test_a_back_off_that_would_shrink_is_refused() -> None:
    with pytest.raises(ValueError, match=r"factor of a Backoff is a number of at least 1; got 0\.9"):
        Backoff(factor=0.9)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"strategy": "one_for_al"}, "strategy of a supervisor is one of 'one_for_one', 'one_for_all', 'rest_for_one'"),
        ({"auto_shutdown": "any"}, "auto_shutdown of a supervisor is one of 'never', 'any_significant'"),
        ({"intensity": -1}, "intensity of a supervisor is a number of at least 0; got -1"),
        ({"period": 0.0}, "period of a supervisor is more than 0 seconds; got 0.0"),
        ({"period": math.nan}, "period of a supervisor is more than 0 seconds; got nan"),
        ({"children": [ChildSpec("a", Worker), ChildSpec("a", Worker)]}, "2 children of one supervisor are named 'a'"),
        ({"children": [SIGNIFICANT]}, "Child 's' is significant, and its supervisor never shuts down by itself"),
    ],
)
def test_a_supervisor_that_cannot_be_is_refused_where_it_is_made(options: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Supervisor(**options)


def test_what_has_no_name_or_no_significant_child_is_none_that_cannot_be() -> None:
    Supervisor([ChildSpec(None, Worker), ChildSpec(None, Worker)], auto_shutdown="all_significant")
