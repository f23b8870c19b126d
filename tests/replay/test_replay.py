"""A replay process's work, in this process: it goes on as a node that died, and says what is left."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import update
from tests.engine.scripts import EACH_BACKEND
from tests.isolation.helpers import is_gone
from tests.journal.records import NOW, new_run
from tests.replay.dead import DeadNode, dead_node, entering

from actwright import Flow, flow, hook, runtime, task
from actwright.journal.checking import check
from actwright.journal.protocol import DeliveryChanged
from actwright.journal.schema import nodes
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.runs import TaskRun
from actwright.models.states import Cancelling, Failed, Pending, Running
from actwright.nodes import rows
from actwright.nodes.bodies import BODY_VARIABLE, claim_path
from actwright.replay import main, takeover
from actwright.replay.main import FENCED, MORE, NOTHING_LEFT, replay
from actwright_actors.backends import current_backend_name

heard: list[tuple[str, str, str]] = []
"""What hooks were called for: which, of which run, in which state."""

facts: list[Any] = []


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadNode]:
    # What a process does before it loads code, this one has done long ago.
    monkeypatch.setattr(main, "preparing", _already_prepared)
    heard.clear()
    facts.clear()
    with dead_node(tmp_path) as dead:
        yield dead


def _already_prepared(*_: object) -> AbstractContextManager[None]:
    return nullcontext()


def _unwanted(*_: object) -> None:
    raise AssertionError("nothing is due")


def tell(subject: Any, run: Any, state: Any) -> None:
    heard.append(("tell", run.name, state.name))


async def atell(subject: Any, run: Any, state: Any) -> None:
    await anyio.lowlevel.checkpoint()
    heard.append(("atell", run.name, state.name))
    facts.append(current_backend_name())


def look(subject: Any, run: Any, state: Any) -> None:
    its = runtime.hook
    facts.extend([its.delivery_id, its.attempt, its.replayed, its.due_at, subject, run.state is state])


async def linger(subject: Any, run: Any, state: Any) -> None:
    for _ in range(2_000):
        await anyio.lowlevel.checkpoint()
    heard.append(("linger", run.name, state.name))


def note_flow_run(subject: Any, run: Any, state: Any) -> None:
    facts.append(runtime.flow_run.id)


def fail(subject: Any, run: Any, state: Any) -> None:
    raise ValueError("on purpose")


def take_over_meanwhile(subject: Any, run: Any, state: Any) -> None:
    """Another process thinks that this one is dead."""
    (dead,) = known_to_hooks
    with dead.database.writing() as connection:
        connection.execute(update(nodes).values(epoch=nodes.c.epoch + 1))
    heard.append(("take over", run.name, state.name))


known_to_hooks: list[DeadNode] = []


@flow(on_failure=[tell, atell], on_crashed=[tell, atell])
def subject() -> None: ...


@flow(on_failure=[look])
def looking() -> None: ...


@flow(on_failure=[linger])
def lingering() -> None: ...


@task(on_crashed=[tell, note_flow_run])
def within() -> None: ...


@flow(on_failure=[fail, tell])
def failing() -> None: ...


@flow(on_failure=[take_over_meanwhile, tell])
def stolen() -> None: ...


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_every_hook_that_is_due_runs_once_in_order_on_what_its_run_ran_on(node: DeadNode, backend: str) -> None:
    parent, _, of_parent = entering(Running(), subject, backend=backend, run=new_run(name="parent"))
    child = new_run(name="child", parent_flow_run_id=parent.id)
    _, _, of_child = entering(Failed(), subject, backend=backend, run=child)
    node.write(*of_parent, *of_child)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert heard == [
        *[("tell", "child", "Failed"), ("atell", "child", "Failed")],
        *[("tell", "parent", "Crashed"), ("atell", "parent", "Crashed")],
    ]
    assert facts == [backend, backend]
    assert set(node.deliveries().values()) == {(DeliveryStatus.SUCCEEDED, 1, 0)}
    assert node.is_settled
    assert check(node.database) == []
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert len(heard) == 4


def test_what_an_isolated_body_has_left_is_gone_before_its_run_is_crashed(
    node: DeadNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, records = entering(Running(), subject)
    node.write(*records)
    gone_before: list[bool] = []
    settle = takeover.take_over

    def take_over(*args: Any) -> Any:
        gone_before.append(is_gone(left.pid))
        return settle(*args)

    monkeypatch.setattr(main, "take_over", take_over)
    path = claim_path(node.database.path.parent / "nodes", node.id, "token")
    path.parent.mkdir()
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env={**os.environ, BODY_VARIABLE: "token"}) as left:
        path.write_text(str(left.pid))
        assert replay(node.database, node.id) == NOTHING_LEFT
    assert gone_before == [True]
    assert [state for _, _, state in heard] == ["Crashed", "Crashed"]


def test_a_node_without_hooks_is_settled_without_a_loop(node: DeadNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_deliver", _unwanted)

    @flow
    def without() -> None: ...

    run, _, records = entering(Running(), without)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert node.states() == {run.id: "Crashed"}


def test_a_hook_sees_its_delivery_the_next_attempt_and_its_own_flow(node: DeadNode) -> None:
    _, (due,), records = entering(Failed(), looking, begun=1)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert facts == [due.id, 2, True, due.due_at, looking, True]
    assert node.deliveries()[due.id] == (DeliveryStatus.SUCCEEDED, 2, 1)


def test_a_hook_sees_its_own_flow_also_when_what_that_called_came_first(node: DeadNode) -> None:
    parent, _, of_parent = entering(Failed(), looking)
    _, _, of_child = entering(Failed(), looking, run=new_run(parent_flow_run_id=parent.id))
    node.write(*of_child, *of_parent)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert [fact for fact in facts if isinstance(fact, Flow)] == [looking, looking]


def test_a_hook_that_cannot_be_loaded_is_called_by_its_own_name(
    node: DeadNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, (due,), records = entering(Failed(), looking)
    node.write(*records)
    monkeypatch.delattr(f"{__name__}.look")
    with caplog.at_level("INFO", "actwright"):
        replay(node.database, node.id)
    assert node.deliveries()[due.id][0] == DeliveryStatus.FAILED
    assert "Running hook 'look' in response to entering state 'Failed'" in caplog.text


def test_runs_that_called_each_other_a_thousand_deep_have_their_hooks_run_from_the_inside_out(node: DeadNode) -> None:
    outermost, _, records = entering(Running(), subject, run=new_run(name="outermost"))
    flow_ids = {"flow_run_id": outermost.id, "parent_flow_run_id": outermost.id}
    called = new_task_run("0", **flow_ids)
    for depth in range(1_000):
        run, _, more = entering(Running(), within, run=called)
        records += more
        called = new_task_run(f"{depth + 1}", parent_task_run_id=run.id, **flow_ids)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    told = [name for what, name, _ in heard if what == "tell"]
    assert told == [*(str(depth) for depth in reversed(range(1_000))), "outermost"]
    assert facts[:-1] == [outermost.id] * 1_000  # and what `atell` noted of the outermost


def new_task_run(name: str, **parents: Any) -> TaskRun:
    return TaskRun(id=uuid4(), task_name="within", name=name, state=Pending(), expected_start_time=NOW, **parents)


def test_the_hooks_of_a_run_wait_for_those_of_all_that_was_called_in_it(node: DeadNode) -> None:
    """Also where a run between the two has none."""

    @flow
    def between() -> None: ...

    outer, _, of_outer = entering(Failed(), subject, run=new_run(name="outer"))
    middle, _, of_middle = entering(Failed(), between, run=new_run(parent_flow_run_id=outer.id))
    _, _, of_inner = entering(Failed(), lingering, run=new_run(name="inner", parent_flow_run_id=middle.id))
    node.write(*of_outer, *of_middle, *of_inner)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert [(what, name) for what, name, _ in heard] == [("linger", "inner"), ("tell", "outer"), ("atell", "outer")]


def test_a_hook_that_raises_is_recorded_and_the_next_one_runs(node: DeadNode) -> None:
    _, (first, second), records = entering(Failed(), failing)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert node.deliveries()[first.id][0] == DeliveryStatus.FAILED
    assert node.deliveries()[second.id][0] == DeliveryStatus.SUCCEEDED


def test_one_that_may_be_to_blame_is_alone_and_the_rest_is_for_another_process(node: DeadNode) -> None:
    run, (first, second), records = entering(Failed(), subject, begun=1)
    suspect = first.to_be_retried(NOW, "cut").started(NOW)
    node.write(*records, DeliveryChanged(_with_cuts(suspect, 1)))
    assert replay(node.database, node.id) == MORE
    assert heard == [("tell", run.name, "Failed")]
    assert node.deliveries()[second.id] == (DeliveryStatus.DUE, 0, 0)
    assert not node.is_settled
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert [what for what, *_ in heard] == ["tell", "atell"]


def _with_cuts(delivery: Any, cuts: int) -> Any:
    return delivery.changed(cuts=cuts)


def test_hooks_of_another_back_end_are_for_another_process(node: DeadNode) -> None:
    for backend in ("asyncio", "trio"):
        _, _, records = entering(Failed(), subject, backend=backend)
        node.write(*records)
    assert replay(node.database, node.id) == MORE
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert facts == ["asyncio", "trio"]


def test_one_that_another_process_took_over_starts_no_further_hook_and_says_so(node: DeadNode) -> None:
    known_to_hooks[:] = [node]
    run, (first, second), records = entering(Failed(), stolen)
    node.write(*records)
    assert replay(node.database, node.id) == FENCED
    assert heard == [("take over", run.name, "Failed")]
    assert node.deliveries() == {
        first.id: (DeliveryStatus.RUNNING, 1, 0),
        second.id: (DeliveryStatus.DUE, 0, 0),
    }


def test_the_hooks_of_a_cancelled_run_see_cancelling_and_then_cancelled(node: DeadNode) -> None:
    cancelled: Any = flow(subject.fn, name="cancelled", on_cancellation=[tell], on_end=[tell])
    _, _, records = entering(Cancelling(), cancelled, run=new_run(name="r"))
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert heard == [("tell", "r", "Cancelling"), ("tell", "r", "Cancelled")]


@pytest.mark.parametrize(("max_attempts", "attempts"), [(None, 3), (3, 3), (2, 2)])
def test_a_death_uses_up_an_attempt_and_no_retry(node: DeadNode, max_attempts: int | None, attempts: int) -> None:
    retried: Any = failing.with_options(on_failure=[hook(fail, retries=1, max_attempts=max_attempts)])
    _, (due,), records = entering(Failed(), retried, begun=1)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert node.deliveries()[due.id] == (DeliveryStatus.FAILED, attempts, 1)


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_retry_that_waits_is_made_when_it_is_due_and_not_before(node: DeadNode, backend: str) -> None:
    retried: Any = subject.with_options(on_failure=[hook(tell, retries=1, retry_delay_seconds=60)])
    _, (due,), records = entering(Failed(), retried, backend=backend, begun=1)
    now = datetime.now(UTC)
    node.write(*records, DeliveryChanged(due.to_be_retried(now, "ValueError: no", now + timedelta(seconds=0.5))))
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert datetime.now(UTC) >= now + timedelta(seconds=0.5)
    assert node.deliveries() == {due.id: (DeliveryStatus.SUCCEEDED, 2, 0)}
    assert check(node.database) == []


def test_a_retry_waits_no_longer_than_its_delay_whatever_becomes_of_the_time_of_day(node: DeadNode) -> None:
    retried: Any = subject.with_options(on_failure=[hook(tell, retries=1, retry_delay_seconds=0.05)])
    _, (due,), records = entering(Failed(), retried, begun=1)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    node.write(*records, DeliveryChanged(due.to_be_retried(NOW, "ValueError: no", tomorrow)))
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert node.deliveries()[due.id] == (DeliveryStatus.SUCCEEDED, 2, 0)


def _another_than(backend: str) -> str:
    return "asyncio" if backend == "trio" else "trio"


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_one_that_waits_for_its_retry_leaves_the_process_to_others_that_need_one(node: DeadNode, backend: str) -> None:
    """Here these are on another back end. What comes after it, in its run and in the one that called it, waits too."""
    retried: Any = subject.with_options(on_failure=[hook(fail, retries=1, retry_delay_seconds=60), tell])
    outer = new_run(name="outer")
    _, (slow, after), waiting = entering(
        Failed(), retried, backend=backend, run=new_run(name="inner", parent_flow_run_id=outer.id)
    )
    _, caller, of_outer = entering(Failed(), subject, backend=backend, run=outer)
    _, other, ready = entering(Failed(), subject, backend=_another_than(backend), run=new_run(name="other"))
    node.write(*of_outer[:2], *waiting, *of_outer[2:], *ready)
    began = datetime.now(UTC)
    assert replay(node.database, node.id) == MORE
    assert replay(node.database, node.id) == MORE
    assert datetime.now(UTC) - began < timedelta(seconds=30)
    assert [name for _, name, _ in heard] == ["other", "other"]
    assert node.deliveries() == {
        slow.id: (DeliveryStatus.DUE, 1, 0),
        **{due.id: (DeliveryStatus.DUE, 0, 0) for due in (after, *caller)},
        **{due.id: (DeliveryStatus.SUCCEEDED, 1, 0) for due in other},
    }
    assert check(node.database) == []


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_one_that_waits_less_long_than_any_other_is_waited_for_in_its_process(node: DeadNode, backend: str) -> None:
    now = datetime.now(UTC)
    retried: Any = subject.with_options(on_failure=[hook(tell, retries=1, retry_delay_seconds=60)])
    for seconds, cuts in ((30, 2), (0.3, 0), (0.2, 2), (40, 0)):
        _, (due,), records = entering(Failed(), retried, backend=backend, begun=1, run=new_run(name=f"{seconds}"))
        waits = due.to_be_retried(now, "ValueError: no", now + timedelta(seconds=seconds))
        node.write(*records, DeliveryChanged(_with_cuts(waits, cuts)))
    assert replay(node.database, node.id) == MORE
    assert [name for _, name, _ in heard] == ["0.2"]
    assert replay(node.database, node.id) == MORE
    assert [name for _, name, _ in heard] == ["0.2", "0.3"]


@pytest.mark.parametrize("backend", EACH_BACKEND)
@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(hours=1)], ids=["is over", "is of another time"])
def test_one_whose_wait_is_over_or_longer_than_its_delay_keeps_no_process_from_going_on(
    node: DeadNode, backend: str, ahead: timedelta
) -> None:
    """A time that lies further ahead than the delay does so because the time of day was set back."""
    other = _another_than(backend)
    retried: Any = subject.with_options(on_failure=[hook(tell, retries=1, retry_delay_seconds=0.2)])
    for each in (backend, other):
        _, (due,), records = entering(Failed(), retried, backend=each, begun=1, run=new_run(name=each))
        node.write(*records, DeliveryChanged(due.to_be_retried(NOW, "no", datetime.now(UTC) + ahead)))
    assert replay(node.database, node.id) == MORE
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert sorted(name for _, name, _ in heard) == sorted([backend, other])


def test_one_that_is_tried_again_and_again_lets_each_other_go_first(node: DeadNode) -> None:
    retried: Any = subject.with_options(on_failure=[hook(fail, retries=9, retry_delay_seconds=0.001)])
    _, (failing_one,), records = entering(Failed(), retried, backend="asyncio")
    _, _, ready = entering(Failed(), subject, backend="trio", run=new_run(name="other"))
    node.write(*records, *ready)
    assert replay(node.database, node.id) == MORE
    assert node.deliveries()[failing_one.id] == (DeliveryStatus.DUE, 1, 0)
    assert replay(node.database, node.id) == MORE
    assert [name for _, name, _ in heard] == ["other", "other"]
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert node.deliveries()[failing_one.id] == (DeliveryStatus.FAILED, 10, 0)


stuck_until = threading.Event()


def stick(subject: Any, run: Any, state: Any) -> None:
    heard.append(("stick", run.name, state.name))
    stuck_until.wait(20)


@pytest.mark.parametrize("others", [True, False], ids=["others are due", "nothing else is due"])
def test_one_whose_thread_does_not_return_is_tried_again_in_the_next_process(
    node: DeadNode, others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actwright.replay.delivering.LAST_SECONDS", 0.1)
    stuck_until.clear()
    retried: Any = subject.with_options(on_failure=[hook(stick, retries=1, timeout_seconds=0.1)])
    _, (due,), records = entering(Failed(), retried, backend="asyncio", run=new_run(name="stuck"))
    node.write(*records)
    if others:
        node.write(*entering(Failed(), subject, backend="trio", run=new_run(name="other"))[2])
    try:
        assert replay(node.database, node.id) == MORE
        assert node.deliveries()[due.id] == (DeliveryStatus.DUE, 1, 0)
        if others:
            assert replay(node.database, node.id) == MORE
            assert [name for _, name, _ in heard] == ["stuck", "other", "other"]
        assert replay(node.database, node.id) == NOTHING_LEFT
    finally:
        stuck_until.set()
    assert node.deliveries()[due.id] == (DeliveryStatus.FAILED, 2, 0)


def note_failure(delivery: HookDelivery) -> None:
    facts.append((delivery.status, delivery.attempt, delivery.error))


def test_what_a_death_kept_from_being_told_is_told_and_its_hook_not_run_again(node: DeadNode) -> None:
    """And the hooks after it run after that."""
    run, (due, after), records = entering(Failed(), subject, begun=1, on_hook_failure=note_failure)
    node.write(*records, DeliveryChanged(due.to_be_told(NOW, "ValueError: no").telling()))
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert facts[0] == (DeliveryStatus.FAILED, 1, "ValueError: no")
    assert heard == [("atell", run.name, "Failed")]
    assert node.deliveries() == {due.id: (DeliveryStatus.FAILED, 1, 0), after.id: (DeliveryStatus.SUCCEEDED, 1, 0)}
    assert check(node.database) == []


def look_meanwhile(delivery: HookDelivery) -> None:
    (dead,) = known_to_hooks
    facts.extend([check(dead.database), dead.deliveries()[delivery.id][0], dead.is_settled])


def test_while_it_is_told_a_delivery_is_open_and_what_the_journal_says_agrees(node: DeadNode) -> None:
    known_to_hooks[:] = [node]
    _, (due, _), records = entering(Failed(), failing, on_hook_failure=look_meanwhile)
    node.write(*records)
    assert replay(node.database, node.id) == NOTHING_LEFT
    assert facts == [[], DeliveryStatus.RUNNING, False]
    assert node.deliveries()[due.id][0] == DeliveryStatus.FAILED


def test_a_node_that_still_has_work_is_not_settled_by_the_rows(node: DeadNode) -> None:
    _, _, records = entering(Failed(), subject)
    node.write(*records)
    with node.database.writing() as connection:
        assert rows.has_work(connection, node.id)
        assert not rows.settle(connection, node.id)
