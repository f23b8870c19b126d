"""What becomes of the runs and hooks of a process that died, as pure decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.journal.records import NOW, any_delivery, delivery_for, new_run

from actwright import Flow, flow, hook
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.authoring.registration import RegisteredHook, Registration
from actwright.engine.outbox import due_hooks
from actwright.exceptions import InternalError
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.runs import FlowRun
from actwright.models.states import AwaitingRetry, Cancelling, Completed, Pending, Retrying, Running, Scheduled, State
from actwright.models.transitions import may_follow
from actwright.replay.settling import (
    ALONE_FROM_CUT,
    OpenDelivery,
    OpenRun,
    children_first,
    next_work,
    settled_delivery,
    settled_run,
    settled_runs,
)

LATER = NOW + timedelta(minutes=1)
OPEN_STATES = [Pending, Scheduled, Running, Retrying, AwaitingRetry, Cancelling]
WHY = "Its process (pid 7 on host) died."


def tell(subject: object, run: object, state: object) -> None: ...
def also(subject: object, run: object, state: object) -> None: ...


def body() -> None: ...


hooks: dict[str, Any] = {event: [tell, also] for event in HOOK_EVENTS}
with_every_hook: Flow[..., Any] = flow(body, **hooks)
REGISTERED = Registration.of(with_every_hook, {}, backend="asyncio")


def a_hook(max_attempts: int | None = None, retry_delay_seconds: float = float("inf")) -> RegisteredHook:
    registered = REGISTERED.own["on_end"][0]
    return replace(registered, max_attempts=max_attempts, retry_delay_seconds=retry_delay_seconds)


# Runs


@pytest.mark.parametrize("make", OPEN_STATES)
def test_an_open_run_becomes_crashed_or_where_a_cancel_was_committed_cancelled(make: Any) -> None:
    state: State[Any] = make(message="as asked")
    settled = settled_run(OpenRun(new_run(state), None), WHY, LATER).run
    assert may_follow(state, settled.state)
    assert settled.state.name == ("Cancelled" if state.is_cancelling() else "Crashed")
    told = "as asked" if state.is_cancelling() else f"{WHY} It was {state.name}."
    assert settled.state.message == told
    assert settled.end_time == settled.state.timestamp == LATER


@pytest.mark.parametrize(("make", "events"), [(Running, ["on_crashed", "on_end"]), (Cancelling, ["on_end"])])
def test_its_end_makes_due_what_it_would_have_made_due_in_its_own_process(make: Any, events: list[str]) -> None:
    step = settled_run(OpenRun(new_run(make()), REGISTERED), WHY, LATER)
    assert [due.event for due in step.deliveries] == [event for event in events for _ in range(2)]
    assert [due.hook_name for due in step.deliveries] == ["tell", "also"] * len(events)
    assert [due.position for due in step.deliveries] == list(range(len(step.deliveries)))
    expected = _as_the_engine_would(with_every_hook, step.run)
    assert [(due.event, due.hook_name, due.position) for due in step.deliveries] == expected
    for due in step.deliveries:
        assert (due.transition_id, due.run_id, due.due_at) == (step.run.state.id, step.run.id, LATER)
        assert (due.status, due.attempt, due.replayed) == (DeliveryStatus.DUE, 0, True)
    assert step.registration is REGISTERED


def _as_the_engine_would(subject: Flow[Any, Any], run: Any) -> list[tuple[str, str, int]]:
    class Live:
        options = subject.options

    (batch,) = due_hooks(Live, run, {})  # type: ignore[arg-type]
    return [(due.delivery.event, due.delivery.hook_name, due.delivery.position) for due in batch.dues]


def test_a_run_without_hooks_ends_and_makes_nothing_due() -> None:
    assert settled_run(OpenRun(new_run(Running()), None), WHY, LATER).deliveries == ()


@st.composite
def families(draw: st.DrawFn) -> list[OpenRun]:
    """Runs in any order; some of their callers are not open any more."""
    made: list[FlowRun] = []
    for _ in range(draw(st.integers(0, 12))):
        callers = [None, uuid4(), *(run.id for run in made)]
        made.append(new_run(Running(), parent_flow_run_id=draw(st.sampled_from(callers))))
    return [OpenRun(run, None) for run in draw(st.permutations(made))]


@given(runs=families())
def test_no_run_is_settled_before_those_that_it_called(runs: list[OpenRun]) -> None:
    ordered = children_first(runs)
    assert sorted(id(each) for each in ordered) == sorted(id(each) for each in runs)
    places = {each.run.id: place for place, each in enumerate(ordered)}
    for each in ordered:
        caller = each.run.parent_id
        assert caller is None or caller not in places or places[each.run.id] < places[caller]


def test_a_long_line_of_calls_is_no_obstacle() -> None:
    runs: list[OpenRun] = []
    parent: UUID | None = None
    for _ in range(3_000):
        run = new_run(Running(), parent_flow_run_id=parent)
        runs.append(OpenRun(run, None))
        parent = run.id
    assert children_first(runs) == runs[::-1]


@pytest.mark.parametrize("make", OPEN_STATES)
def test_a_run_that_was_to_be_cancelled_goes_by_cancelling_to_cancelled_with_the_hooks_of_both(make: Any) -> None:
    run = new_run(make(message="before"))
    steps = settled_runs([OpenRun(run, REGISTERED)], WHY, LATER, {run.id: "as asked"}).steps
    states = [step.run.state for step in steps]
    already = run.state.is_cancelling()
    assert [state.name for state in states] == (["Cancelled"] if already else ["Cancelling", "Cancelled"])
    assert {state.message for state in states} == {"before" if already else "as asked"}
    assert all(may_follow(before, after) for before, after in zip([run.state, *states], states, strict=False))
    events = [due.event for step in steps for due in step.deliveries]
    expected = ["on_end"] * 2 if already else [*["on_cancellation"] * 2, *["on_end"] * 2]
    assert events == expected


@given(runs=families(), data=st.data())
def test_what_a_run_called_that_was_to_be_cancelled_is_cancelled_with_it_and_nothing_else(
    runs: list[OpenRun], data: st.DataObject
) -> None:
    asked = data.draw(st.sets(st.sampled_from([each.run.id for each in runs]))) if runs else set[UUID]()
    steps = settled_runs(runs, WHY, LATER, dict.fromkeys(asked)).steps
    ends = {step.run.id: step.run.state for step in steps if step.run.state.is_final()}
    assert ends.keys() == {each.run.id for each in runs}
    callers = {each.run.id: each.run.parent_id for each in runs}

    def is_within(run_id: UUID | None) -> bool:
        return run_id is not None and (run_id in asked or is_within(callers.get(run_id)))

    assert {run_id for run_id, state in ends.items() if state.is_cancelled()} == set(filter(is_within, callers))
    order = [step.run.id for step in steps if step.run.state.is_final()]
    assert all(
        order.index(run_id) < order.index(caller)
        for run_id, caller in callers.items()
        if caller is not None and caller in callers
    )


def test_all_that_it_called_has_one_reason_which_names_it_however_deep_that_is() -> None:
    top = new_run(Running())
    runs = [top]
    for _ in range(3):
        runs.append(new_run(Running(), parent_flow_run_id=runs[-1].id))
    steps = settled_runs([OpenRun(run, None) for run in runs], WHY, LATER, {top.id: "enough"}).steps
    reasons = {step.run.id: step.run.state.message for step in steps}
    assert [reasons[run.id] for run in runs] == ["enough", *[f"{top.title}: enough"] * 3]


@pytest.mark.parametrize("left", [0, 1, 3])
@pytest.mark.parametrize("make", [Scheduled, AwaitingRetry, Running, Retrying, Cancelling])
def test_a_submitted_run_is_claimed_again_if_no_body_was_at_work_or_while_crash_retries_are_left(
    make: Any, left: int
) -> None:
    run = new_run(make(message="before"))
    settled = settled_runs([OpenRun(run, REGISTERED)], WHY, LATER, {}, {run.id: left})
    states = [step.run.state for step in settled.steps]
    if run.state.is_cancelling():
        assert ([state.name for state in states], settled.unbegun, settled.retried) == (["Cancelled"], [], [])
    elif not run.state.is_running():
        assert (states, settled.unbegun, settled.retried) == ([], [run.id], [])
    elif left:
        assert ([state.name for state in states], settled.unbegun, settled.retried) == (["AwaitingRetry"], [], [run.id])
        assert f"{WHY} It was {run.state.name}; {left} " in str(states[0].message)
        assert [each.event for each in settled.steps[0].deliveries] == ["on_retry"] * len(REGISTERED.own["on_retry"])
    else:
        assert ([state.name for state in states], settled.unbegun, settled.retried) == (["Crashed"], [], [])
    assert all(may_follow(run.state, state) for state in states)


def test_a_submitted_run_that_was_to_be_cancelled_is_cancelled_and_not_claimed_again() -> None:
    run = new_run(Running())
    settled = settled_runs([OpenRun(run, REGISTERED)], WHY, LATER, {run.id: "enough"}, {run.id: 3})
    assert [step.run.state.name for step in settled.steps] == ["Cancelling", "Cancelled"]
    assert (settled.unbegun, settled.retried) == ([], [])


# Deliveries


def open_deliveries() -> st.SearchStrategy[HookDelivery]:
    def as_it_can_be(delivery: HookDelivery) -> HookDelivery:
        begun = delivery.attempt > 0
        status = delivery.status if delivery.status is DeliveryStatus.DUE or begun else DeliveryStatus.DUE
        next_at = delivery.next_at if begun and status is DeliveryStatus.DUE else None
        return delivery.changed(status=status, cuts=min(delivery.cuts, delivery.attempt), untold=None, next_at=next_at)

    return any_delivery().filter(lambda each: each.is_open).map(as_it_can_be)


attempts = st.none() | st.integers(1, 5)


@given(
    delivery=open_deliveries(), max_attempts=attempts, max_deaths=st.integers(1, 4), event=st.sampled_from(HOOK_EVENTS)
)
def test_only_an_on_running_that_had_not_begun_is_skipped(
    delivery: HookDelivery, max_attempts: int | None, max_deaths: int, event: str
) -> None:
    delivery = delivery.changed(event=event)
    settled = settled_delivery(delivery, a_hook(max_attempts), max_deaths, LATER)
    not_begun = delivery.status is DeliveryStatus.DUE and delivery.attempt == 0
    assert (settled.status is DeliveryStatus.SKIPPED) == (event == "on_running" and not_begun)


@given(delivery=open_deliveries(), max_attempts=attempts, max_deaths=st.integers(1, 4))
def test_what_is_left_is_due_again_counts_a_cut_where_it_was_under_way_and_is_no_attempt_of_its_own(
    delivery: HookDelivery, max_attempts: int | None, max_deaths: int
) -> None:
    settled = settled_delivery(delivery, a_hook(max_attempts), max_deaths, LATER)
    was_cut = delivery.status is DeliveryStatus.RUNNING
    assert settled.status is not DeliveryStatus.RUNNING
    assert (settled.id, settled.position, settled.due_at) == (delivery.id, delivery.position, delivery.due_at)
    assert (settled.attempt, settled.replayed) == (delivery.attempt, True)
    assert settled.cuts == delivery.cuts + was_cut
    if not was_cut and settled.status is DeliveryStatus.DUE:
        assert settled == delivery.changed(replayed=True)


@given(delivery=open_deliveries(), max_attempts=attempts, max_deaths=st.integers(1, 4))
def test_it_is_given_up_only_for_a_cut_that_was_its_last_attempt_or_one_death_alone_too_many(
    delivery: HookDelivery, max_attempts: int | None, max_deaths: int
) -> None:
    settled = settled_delivery(delivery, a_hook(max_attempts), max_deaths, LATER)
    was_cut = delivery.status is DeliveryStatus.RUNNING
    out_of_attempts = max_attempts is not None and delivery.attempt >= max_attempts
    too_deadly = settled.cuts - ALONE_FROM_CUT >= max_deaths
    assert (settled.status is DeliveryStatus.FAILED) == (was_cut and (out_of_attempts or too_deadly))
    if settled.status is DeliveryStatus.FAILED:
        assert settled.ended_at == LATER
        assert settled.error


@pytest.mark.parametrize("max_deaths", [1, 3])
def test_a_hook_that_always_ends_its_process_is_begun_twice_and_then_alone_as_often_as_is_allowed(
    max_deaths: int,
) -> None:
    delivery = delivery_for(new_run(Running()))
    begun = [0, 0]  # among others, alone
    for _ in count():
        begun[delivery.cuts >= ALONE_FROM_CUT] += 1
        delivery = settled_delivery(delivery.started(NOW), a_hook(None), max_deaths, LATER)
        if not delivery.is_open:
            break
    assert begun == [2, max_deaths]
    assert delivery.error == f"its process died each of the {max_deaths} times that it ran alone in one"


@given(delivery=open_deliveries(), max_attempts=attempts, max_deaths=st.integers(1, 4))
def test_one_that_is_given_up_is_due_until_whoever_is_to_be_told_was(
    delivery: HookDelivery, max_attempts: int | None, max_deaths: int
) -> None:
    settled = settled_delivery(delivery, a_hook(max_attempts), max_deaths, LATER)
    told = settled_delivery(delivery, a_hook(max_attempts), max_deaths, LATER, tells=True)
    if settled.status is DeliveryStatus.FAILED:
        assert told == settled.changed(status=DeliveryStatus.DUE, untold=0)
    else:
        assert told == settled


@pytest.mark.parametrize("max_deaths", [1, 3])
@pytest.mark.parametrize("cuts", [0, 5])
def test_telling_of_a_failure_is_done_again_as_often_as_a_hook_would_be_run(max_deaths: int, cuts: int) -> None:
    """However often the hook itself was cut short, and however few attempts it may have."""
    failed = delivery_for(new_run(Running())).started(NOW).changed(cuts=cuts).to_be_told(NOW, "ValueError: meh")
    delivery, begun = failed, [0, 0]  # among others, alone
    for _ in range(2 + max_deaths):
        assert delivery.is_open
        begun[_work([OpenDelivery(delivery, new_run(Running()), REGISTERED)] * 2) != [ANY, ANY]] += 1
        delivery = settled_delivery(delivery.telling(), a_hook(1), max_deaths, LATER, tells=True)
    assert begun == [2, max_deaths]
    assert delivery.error == (
        "ValueError: meh (on_hook_failure was not told: "
        f"its process died each of the {max_deaths} times that it ran alone in one)"
    )
    assert (delivery.status, delivery.untold) == (DeliveryStatus.FAILED, None)
    assert (delivery.attempt, delivery.cuts, delivery.ended_at) == (1, cuts, NOW)


def test_a_delivery_of_an_unregistered_run_is_a_bug_that_is_named() -> None:
    run = new_run(Running())
    lost = OpenDelivery(delivery_for(run), run, None)
    with pytest.raises(InternalError, match=str(lost.delivery.id)):
        _ = lost.known


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_delivery_finds_its_hook_by_its_place_among_those_of_its_transition(position: int) -> None:
    step = settled_run(OpenRun(new_run(Running()), REGISTERED), WHY, LATER)
    open_delivery = OpenDelivery(step.deliveries[position], step.run, REGISTERED)
    assert open_delivery.registered.event == step.deliveries[position].event
    assert open_delivery.hook.name == step.deliveries[position].hook_name


@given(delay=st.floats(0, 100), left=st.floats(-100, 1000))
def test_one_that_waits_for_its_retry_waits_no_longer_than_its_delay_from_now(delay: float, left: float) -> None:
    waits = delivery_for(new_run(Completed())).started(NOW).to_be_retried(NOW, "no", LATER + timedelta(seconds=left))
    settled = settled_delivery(waits, a_hook(retry_delay_seconds=delay), 3, LATER)
    assert settled.next_at is not None
    assert settled.next_at - LATER == min(timedelta(seconds=left), timedelta(seconds=delay))


# What one replay process does

slow: Any = flow(body, on_end=[hook(tell, retries=1, retry_delay_seconds=60), hook(also)])
SLOW = Registration.of(slow, {}, backend="asyncio")
SLOW_ON_TRIO = replace(SLOW, backend="trio")


@st.composite
def lefts(draw: st.DrawFn) -> tuple[list[OpenDelivery], dict[UUID, UUID | None]]:
    """What is due, some of it begun before, or waiting to be tried again; and which run called which."""
    runs = draw(st.lists(st.sampled_from([SLOW, SLOW_ON_TRIO]).map(lambda of: (new_run(Completed()), of)), max_size=5))
    callers: dict[UUID, UUID | None] = {}
    for place, (run, _) in enumerate(runs):
        callers[run.id] = draw(st.sampled_from([None, *(above.id for above, _ in runs[:place])]))
    due: list[OpenDelivery] = []
    moments = st.integers(-30, 100).map(lambda seconds: NOW + timedelta(seconds=seconds))
    for run, registration in reversed(runs):
        for position in draw(st.sampled_from([(0,), (0, 1), (1,)])):
            delivery = delivery_for(run, position, cuts=draw(st.integers(0, 4)))
            if position == 0 and draw(st.booleans()):
                next_at = draw(st.none() | moments)
                delivery = delivery.started(NOW).to_be_retried(draw(moments), "no", next_at)
            due.append(OpenDelivery(delivery, run, registration))
    return due, callers


def _work(due: list[OpenDelivery]) -> list[OpenDelivery]:
    return next_work(due, {}).due


NEVER_BEGUN = datetime.min.replace(tzinfo=UTC)


def _could_begin(each: OpenDelivery) -> datetime:
    """By itself: when its last attempt was over, and its delay after that."""
    return each.delivery.next_at or each.delivery.ended_at or NEVER_BEGUN


def _within(each: OpenDelivery, run: UUID, callers: dict[UUID, UUID | None]) -> bool:
    """Whether it is of that run or of one that this called, at any distance."""
    above: UUID | None = each.run.id
    while above is not None and above != run:
        above = callers[above]
    return above == run


@given(left=lefts())
def test_all_has_its_turn_after_what_is_before_it_in_its_run_or_in_those_that_this_called(left: Any) -> None:
    due, callers = left
    done: list[OpenDelivery] = []
    queue = list(due)
    while queue:
        work = next_work(queue, callers)
        assert work.due
        assert (work.others_from is None) == (len(work.due) == len(queue))
        done += work.due
        queue = [each for each in queue if each not in work.due]
    for place, each in enumerate(due):
        before = [other for other in due[:place] if _within(other, each.run.id, callers)]
        assert all(done.index(other) < done.index(each) for other in before)


@given(left=lefts())
def test_the_first_is_the_one_that_could_begin_first_and_it_is_told_when_the_rest_could(left: Any) -> None:
    """One can when it and each before it, of its run and of those that this called, can."""
    due, callers = left
    work = next_work(due, callers)
    turns = [
        max(_could_begin(other) for other in due[: place + 1] if _within(other, each.run.id, callers))
        for place, each in enumerate(due)
    ]
    if due:
        assert work.due[0] is due[turns.index(min(turns))]
    rest = [at for each, at in zip(due, turns, strict=True) if each not in work.due]
    assert work.others_from == (min(rest) if rest else None)


@given(left=lefts())
def test_who_may_be_to_blame_is_alone_and_the_others_share_a_process_on_one_back_end(left: Any) -> None:
    due, callers = left
    work = next_work(due, callers)
    suspects = [each for each in work.due if each.delivery.cuts >= ALONE_FROM_CUT]
    assert suspects == [] or len(work.due) == 1
    assert len({each.known.backend for each in work.due}) == (1 if due else 0)


@given(backends=st.lists(st.sampled_from([SLOW, SLOW_ON_TRIO]), min_size=1, max_size=8))
def test_what_was_never_begun_shares_a_process_as_far_as_one_back_end_reaches(backends: list[Registration]) -> None:
    runs = [(new_run(Completed()), of) for of in backends]
    due = [OpenDelivery(delivery_for(run), run, of) for run, of in runs]
    assert _work(due) == list(takewhile(lambda each: each.known.backend == backends[0].backend, due))
