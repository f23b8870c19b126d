"""What a run registers, so that another process can deliver its hooks."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.authoring.named import nightly, notify

from actwright import flow, hook, task
from actwright.authoring import registration as registrations
from actwright.authoring.hooks import HOOK_EVENTS, Hook
from actwright.authoring.registration import Registration, due_for
from actwright.authoring.stored import Stored, store
from actwright.engine.outbox import due_hooks
from actwright.models.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Pending,
    Retrying,
    Running,
    Scheduled,
    State,
    TimedOut,
)

STATES = [
    maker()
    for maker in (
        AwaitingRetry, Cancelled, Cancelling, Completed, Crashed, Failed, Pending, Retrying, Running, Scheduled,
        TimedOut,
    )
]  # fmt: skip


def first(*_: Any) -> None: ...
def second(*_: Any) -> None: ...
def third(*_: Any) -> None: ...


@flow(name="work", retries=2, tags=["a", "b"], on_failure=[first, hook(second, retries=3, wait=False)], on_end=[third])
def work(number: int = 1) -> None:
    """Do it."""


EVERYWHERE = {"on_failure": (Hook(notify),), "on_end": (Hook(notify, timeout_seconds=5),)}


def test_it_comes_back_from_json_with_all_but_the_payloads() -> None:
    made = Registration.of(work, EVERYWHERE, Hook(notify))
    read = Registration.from_json(made.to_json())
    assert read == made
    assert read.hash == made.hash
    assert read.to_json() == made.to_json()


def test_it_holds_what_a_stand_in_needs() -> None:
    subject = Registration.from_json(Registration.of(work, {}).to_json()).subject
    assert (subject.kind, subject.name) == ("flow", "work")
    again = flow(lambda: None, name=subject.name, **subject.options)
    assert (again.description, again.tags, again.options.retries) == ("Do it.", frozenset({"a", "b"}), 2)
    assert again.options.retry_delays == work.options.retry_delays


def test_a_hook_comes_back_with_all_its_options() -> None:
    given_hook = hook(
        notify, wait=False, at_once=True, retries=1, retry_delay_seconds=2.0, timeout_seconds=3.0, expires_seconds=4.0,
        max_attempts=5,
    )  # fmt: skip
    made = Registration.of(nightly.with_options(on_cancellation=[given_hook]), {})
    (due,) = Registration.from_json(made.to_json()).hooks("on_cancellation")
    assert due.hook.hook_of(notify) == given_hook


def test_the_runs_own_hooks_come_before_the_runtimes() -> None:
    due = due_for(Registration.of(work, EVERYWHERE), Failed())
    assert [(each.position, each.event, each.name, each.runtime_wide) for each in due] == [
        (0, "on_failure", "first", False),
        (1, "on_failure", "second", False),
        (2, "on_end", "third", False),
        (3, "on_failure", "notify", True),
        (4, "on_end", "notify", True),
    ]


lists = st.dictionaries(
    st.sampled_from(HOOK_EVENTS), st.lists(st.sampled_from([first, second, third]), min_size=1, max_size=3)
)


@given(lists, lists, st.sampled_from(STATES), st.booleans())
def test_the_same_hooks_are_due_at_the_same_positions_as_in_the_process_that_died(
    own: dict[str, list[Any]], everywhere: dict[str, list[Any]], state: State[Any], at_once: bool
) -> None:
    if "on_cancellation" in own:
        own = {**own, "on_cancellation": [hook(own["on_cancellation"][0], at_once=at_once), *own["on_cancellation"]]}
    subject = nightly.with_options(**cast("Any", own))
    runtime_wide = {event: tuple(map(Hook, hooks)) for event, hooks in everywhere.items()}
    run = cast("Any", SimpleNamespace(options=subject.options))
    batches = due_hooks(run, cast("Any", SimpleNamespace(id=state.id, state=state)), runtime_wide)
    there = sorted(
        (due.delivery.position, due.delivery.event, due.delivery.hook_name, due.runtime_wide, due.hook.at_once)
        for batch in batches
        for due in batch.dues
    )
    here = due_for(Registration.of(subject, runtime_wide), state)
    assert [(due.position, due.event, due.name, due.runtime_wide, due.hook.at_once) for due in here] == there


def test_payloads_are_those_of_what_cannot_be_imported() -> None:
    def local(*_: Any) -> None: ...

    made = Registration.of(nightly.with_options(on_failure=[local, notify], on_end=[local]), {})
    assert set(made.payloads) == {store(local).object.references[0].where, *_payload_of_subject(made)}


def _payload_of_subject(made: Registration) -> set[str]:
    return {reference.where for reference in made.subject.stored.references if reference.way == "value"}


def test_what_no_other_process_could_find_is_named_with_the_reason() -> None:
    lock = threading.Lock()

    def locked(*_: Any) -> None:
        lock.acquire()

    made = Registration.of(nightly.with_options(on_failure=[locked, notify]), {}, Hook(locked))
    unfindable = Registration.from_json(made.to_json()).unfindable
    assert [each.name for each in unfindable] == ["locked", "locked"]
    assert unfindable[0].advice == (
        "Hook 'locked' cannot be found by another process: it cannot be kept by value: TypeError: cannot pickle "
        "'_thread.lock' object. It runs as long as this process lives; should it die, the hook is recorded as failed. "
        "Define it at the top level of a module, or have it refer to nothing that cannot be pickled."
    )


def test_where_loading_by_value_is_forbidden_what_has_no_path_is_lost() -> None:
    def local(*_: Any) -> None: ...

    made = Registration.of(nightly.with_options(on_failure=[local, notify]), {})
    assert made.unfindable == ()
    (lost,) = made.unfindable_where(by_value=False)
    assert (
        "'local' cannot be found by another process: it has no import path, and loading hooks by value" in lost.advice
    )


def test_hooks_that_cannot_be_compared_are_registered_anew() -> None:
    class Incomparable:
        def __call__(self, *_: Any) -> None: ...
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]

    def of_one() -> Registration:
        return Registration.of(work, {"on_end": (Hook(Incomparable()),)})

    assert [due.name for due in of_one().hooks("on_end")] == [due.name for due in of_one().hooks("on_end")]


def test_the_next_run_of_the_same_flow_registers_by_looking_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Registration.of(work, dict(EVERYWHERE), None)

    def not_again(item: object) -> Stored:
        raise AssertionError(item)

    monkeypatch.setattr(registrations, "store", not_again)
    assert Registration.of(work, dict(EVERYWHERE), None) is made


def test_looking_up_takes_less_than_two_microseconds() -> None:
    hooks = {"on_failure": (Hook(notify),)}
    Registration.of(work, hooks)

    def seconds_of_a_thousand() -> float:
        began = time.perf_counter()
        for _ in range(1_000):
            _ = Registration.of(work, hooks).hash
        return time.perf_counter() - began

    assert min(seconds_of_a_thousand() for _ in range(20)) < 0.002


def test_a_hook_that_is_added_later_is_in_later_registrations() -> None:
    @task(name="step", on_failure=[notify])
    def step() -> None: ...

    before = Registration.of(step, {})
    step.on_end(notify)
    after = Registration.of(step, {})
    assert before.hooks("on_end") == ()
    assert [due.name for due in after.hooks("on_end")] == ["notify"]
    assert before.hash != after.hash


def test_another_runtimes_hooks_make_another_registration() -> None:
    assert Registration.of(work, {}) != Registration.of(work, EVERYWHERE)
    assert Registration.of(work, EVERYWHERE) != Registration.of(work, EVERYWHERE, Hook(first))
    assert not Registration.of(nightly, {}).has_hooks
    assert Registration.of(nightly, EVERYWHERE).has_hooks


class Service:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    @flow(on_failure=[notify])
    def serve(self) -> None: ...


def test_a_flow_of_an_instance_is_registered_as_the_one_of_its_class() -> None:
    assert Registration.of(Service().serve, {}) is Registration.of(Service().serve, {})
    assert Registration.of(Service().serve, {}).subject.stored == store(Service.serve).object
