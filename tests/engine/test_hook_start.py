"""When a hook begins, and how that is written: with the transition that makes it due, or by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio
import pytest
from tests.engine.watched import at_rest, open_runtime

from actwright import Runtime, flow, hook
from actwright.journal.protocol import DeliveryChanged, Record, Transition
from actwright.models.deliveries import DeliveryStatus
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def body() -> None: ...


async def usual(*_: object) -> None: ...


def written_by(
    opened: Runtime, monkeypatch: pytest.MonkeyPatch, after_due: Callable[[], object] = lambda: None
) -> list[Record]:
    """All that is written from now on, as it comes; `after_due` is called once a transition with its hooks is."""
    written: list[Record] = []
    append = opened.journal.append

    def note(*records: Record, committed: Callable[[], object] | None = None) -> None:
        append(*records, committed=committed)
        for record in records:
            written.append(record)
            if isinstance(record, Transition) and record.deliveries:
                after_due()

    monkeypatch.setattr(opened.journal, "append", note)
    return written


async def test_the_start_of_the_first_hook_is_written_with_its_transition_and_that_of_others_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor is that of one that waits for the body to unwind, comes before a body, or may begin so many times at most: a
    death in between would count for one in the hook."""
    async with open_runtime(clock=ManualClock()) as opened:
        written = written_by(opened, monkeypatch)
        await flow(body, on_running=[usual], on_completion=[usual, usual])()
        await flow(body, on_completion=[hook(usual, max_attempts=1)])()
        handle = opened.submit(flow(anyio.sleep_forever, on_cancellation=[usual, hook(usual, at_once=True)]))
        await at_rest()
        await handle.cancel()
        await at_rest()
    due = [delivery for record in written if isinstance(record, Transition) for delivery in record.deliveries]
    begun = [(delivery.event, delivery.position) for delivery in due if delivery.status is DeliveryStatus.RUNNING]
    assert begun == [("on_completion", 0), ("on_cancellation", 1)]
    changes = [record.delivery for record in written if isinstance(record, DeliveryChanged)]
    begun_later = {delivery.id for delivery in changes if delivery.status is DeliveryStatus.RUNNING}
    assert begun_later == {delivery.id for delivery in due if delivery.status is DeliveryStatus.DUE}
    ended = [(delivery.status, delivery.attempt) for delivery in opened.journal.deliveries()]
    assert ended == [(DeliveryStatus.SUCCEEDED, 1)] * 6


async def test_a_hook_began_when_it_was_called_and_not_when_that_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with open_runtime(clock=clock) as opened:
        written_by(opened, monkeypatch, after_due=lambda: clock.advance(7))
        await flow(body, on_completion=[usual])()
    (delivery,) = opened.journal.deliveries()
    assert delivery.started_at == delivery.due_at + timedelta(seconds=7)


async def test_one_that_expired_before_it_was_called_never_began_though_that_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, called = ManualClock(), list[None]()

    async def late(*_: object) -> None:
        called.append(None)

    async with open_runtime(clock=clock) as opened:
        written_by(opened, monkeypatch, after_due=lambda: clock.advance(7))
        await flow(body, on_completion=[hook(late, expires_seconds=5)])()
    (delivery,) = opened.journal.deliveries()
    assert (delivery.status, delivery.attempt, delivery.started_at) == (DeliveryStatus.SKIPPED, 0, None)
    assert called == []
