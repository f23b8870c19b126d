"""The journal in memory: what it keeps, in which order, and what it lets go."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.exceptions import MissingResult
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import DeliveryChanged, Journal, Transition
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.runs import FlowRun
from actwright.models.states import Completed, Failed, Pending, Running, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def new_run(state: State[Any] | None = None) -> FlowRun:
    return FlowRun(id=uuid4(), name="r", flow_name="f", state=state or Pending(), expected_start_time=NOW)


def delivery_of(run: FlowRun, position: int = 0) -> HookDelivery:
    return HookDelivery(
        id=uuid4(),
        transition_id=run.state.id,
        run_id=run.id,
        event="on_end",
        hook_name="tell",
        position=position,
        due_at=NOW,
    )


def run_to_its_end(journal: Journal, data: object = None) -> FlowRun:
    run = new_run()
    journal.append(Transition(run))
    run = run.entered(Running())
    journal.append(Transition(run))
    run = run.entered(Completed(data=data))
    journal.append(Transition(run, (delivery_of(run),)))
    return run


def names(steps: Sequence[Transition]) -> list[str]:
    return [step.run.state.name for step in steps]


# Order


def test_what_a_run_went_through_is_told_in_order_and_the_run_as_it_last_was() -> None:
    journal = MemoryJournal()
    run = run_to_its_end(journal)
    assert names(journal.transitions(run.id)) == ["Pending", "Running", "Completed"]
    assert journal.run(run.id) == run
    assert journal.runs() == [run]


def test_runs_are_told_oldest_first_whichever_of_them_moved_last() -> None:
    journal = MemoryJournal()
    runs = [new_run() for _ in range(3)]
    journal.append(*map(Transition, runs))
    moved = runs[0].entered(Running())
    journal.append(Transition(moved))
    assert journal.runs() == [moved, *runs[1:]]


def test_deliveries_are_told_in_the_order_in_which_they_became_due_as_they_last_were() -> None:
    journal, run = MemoryJournal(), new_run(Failed())
    first, second = delivery_of(run, 0), delivery_of(run, 1)
    journal.append(Transition(run, (first, second)))
    done = second.started(NOW).succeeded(NOW)
    journal.append(DeliveryChanged(second.started(NOW)), DeliveryChanged(done))
    assert journal.deliveries(run.id) == [first, done]
    assert journal.deliveries() == [first, done]
    [step] = journal.transitions(run.id)
    assert [delivery.status for delivery in step.deliveries] == [DeliveryStatus.DUE, DeliveryStatus.DUE]


def test_deliveries_of_several_runs_are_told_in_the_order_in_which_they_became_due() -> None:
    journal = MemoryJournal()
    old, young = new_run(), new_run()
    journal.append(Transition(old), Transition(young))
    old, young = old.entered(Running()), young.entered(Running())
    first, second = delivery_of(young), delivery_of(old)
    journal.append(Transition(young, (first,)), Transition(old, (second,)))
    third = delivery_of(young)
    journal.append(Transition(young.entered(Completed()), (third,)))
    assert journal.deliveries() == [first, second, third]
    assert journal.deliveries(young.id) == [first, third]


def test_what_is_unknown_has_no_history() -> None:
    journal, unknown = MemoryJournal(), uuid4()
    assert journal.run(unknown) is None
    assert (journal.runs(), journal.transitions(unknown), journal.deliveries(unknown)) == ([], [], [])


def test_records_are_there_when_they_are_said_to_be_committed() -> None:
    journal, run = MemoryJournal(), new_run()
    seen: list[object] = []
    journal.append(Transition(run), committed=lambda: seen.append(journal.run(run.id)))
    assert seen == [run]


def test_what_is_committed_may_write_in_turn() -> None:
    journal, run = MemoryJournal(), new_run()
    journal.append(Transition(run), committed=lambda: journal.append(Transition(run.entered(Running()))))
    assert names(journal.transitions(run.id)) == ["Pending", "Running"]


def test_threads_may_write_at_once_and_lose_nothing() -> None:
    journal = MemoryJournal(keep_runs=1_000)

    def write() -> None:
        for _ in range(50):
            run_to_its_end(journal)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.runs()) == 200
    assert len(journal.deliveries()) == 200


# What it lets go


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5))
def test_all_open_runs_and_the_last_finished_ones_are_kept(finish: list[bool], keep: int) -> None:
    journal = MemoryJournal(keep_runs=keep)
    open_ids, finished_ids = list[UUID](), list[UUID]()
    for is_finished in finish:
        run = new_run(Running())
        journal.append(Transition(run))
        if is_finished:
            run = run.entered(Completed())
            journal.append(Transition(run, (delivery_of(run),)))
        (finished_ids if is_finished else open_ids).append(run.id)
    assert {run.id for run in journal.runs()} == {*open_ids, *finished_ids[-keep:]}
    assert {delivery.run_id for delivery in journal.deliveries()} == set(finished_ids[-keep:])


def test_runs_are_let_go_in_the_order_of_their_ends_and_not_of_their_beginnings() -> None:
    journal = MemoryJournal(keep_runs=1)
    early, late = new_run(), new_run()
    journal.append(Transition(early), Transition(late))
    journal.append(Transition(late.entered(Completed())), Transition(early.entered(Completed())))
    assert [run.id for run in journal.runs()] == [early.id]


def test_a_hook_may_end_after_its_run_was_let_go() -> None:
    journal = MemoryJournal(keep_runs=1)
    run = run_to_its_end(journal)
    [delivery] = journal.deliveries(run.id)
    run_to_its_end(journal)
    journal.append(DeliveryChanged(delivery.started(NOW)))
    assert journal.run(run.id) is None
    assert delivery.id not in {each.id for each in journal.deliveries()}


def test_to_keep_no_run_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_runs: expected at least 1, got 0"):
        MemoryJournal(keep_runs=0)


class Large:
    """Something that a weak reference can be made to; built-in exceptions cannot."""


class LargeError(Large, Exception):
    """Such an exception."""


def test_what_a_body_returned_is_not_kept_alive() -> None:
    journal, result = MemoryJournal(), Large()
    gone, run_id = weakref.ref(result), run_to_its_end(journal, data=result).id
    del result
    gc.collect()
    assert gone() is None
    kept = journal.run(run_id)
    assert kept is not None
    with pytest.raises(MissingResult):
        kept.state.result()


def test_what_a_body_raised_is_not_kept_alive() -> None:
    journal, error = MemoryJournal(), LargeError()
    gone, run = weakref.ref(error), new_run(Failed(message="meh", cause=error))
    journal.append(Transition(run))
    del error, run
    gc.collect()
    assert gone() is None
    [kept] = journal.runs()
    assert (kept.state.name, kept.state.message) == ("Failed", "meh")


def test_the_run_s_own_state_still_holds_what_history_does_not() -> None:
    journal = MemoryJournal()
    run = run_to_its_end(journal, data=42)
    assert run.state.result() == 42
    assert journal.run(run.id) == run


# Variables; tests/journal/test_keeping.py has what both journals have


def test_a_variable_is_a_copy_on_its_way_in_and_out() -> None:
    journal, value = MemoryJournal(), {"rows": [1]}
    journal.set_variable("v", value, overwrite=False)
    value["rows"].append(2)
    journal.variable("v")["rows"].append(3)
    assert journal.variable("v") == {"rows": [1]}
