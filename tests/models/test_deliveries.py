"""A delivery's life: due, begun, ended, begun again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from actwright.models.deliveries import DeliveryStatus, HookDelivery

DUE = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def delivery() -> HookDelivery:
    return HookDelivery(
        id=uuid4(), transition_id=uuid4(), run_id=uuid4(), event="on_end", hook_name="tell", position=0, due_at=DUE
    )


def test_a_delivery_that_fails_and_then_succeeds_keeps_its_id_and_counts_its_attempts() -> None:
    first = delivery()
    failed = first.started(DUE).failed(DUE + SECOND, "ValueError: meh")
    assert (failed.status, failed.attempt, failed.error) == (DeliveryStatus.FAILED, 1, "ValueError: meh")
    again = failed.started(DUE + 2 * SECOND)
    assert (again.status, again.attempt, again.ended_at) == (DeliveryStatus.RUNNING, 2, None)
    done = again.succeeded(DUE + 3 * SECOND)
    assert (done.id, done.status, done.error) == (first.id, DeliveryStatus.SUCCEEDED, None)
    assert (done.due_at, done.started_at, done.ended_at) == (DUE, DUE + 2 * SECOND, DUE + 3 * SECOND)


def test_one_that_waits_to_be_retried_says_until_when_and_not_once_it_is_begun_or_over() -> None:
    waits = delivery().started(DUE).to_be_retried(DUE, "ValueError: meh", DUE + SECOND)
    assert (waits.status, waits.next_at) == (DeliveryStatus.DUE, DUE + SECOND)
    for after in (waits.started(DUE + SECOND), waits.skipped(DUE, "it expired"), waits.failed(DUE, "it is lost")):
        assert after.next_at is None


def test_one_that_failed_for_good_is_open_until_that_is_told_and_keeps_how_it_ended() -> None:
    untold = delivery().started(DUE).to_be_told(DUE + SECOND, "ValueError: meh")
    assert (untold.is_open, untold.telling().is_open) == (True, True)
    told = untold.telling().told()
    assert (told.is_open, told.status, told.untold) == (False, DeliveryStatus.FAILED, None)
    assert (told.attempt, told.ended_at, told.error) == (1, DUE + SECOND, "ValueError: meh")


def test_a_skipped_delivery_says_why_and_was_never_begun() -> None:
    skipped = delivery().skipped(DUE, "it expired")
    assert (skipped.status, skipped.attempt, skipped.error) == (DeliveryStatus.SKIPPED, 0, "it expired")
    assert (skipped.started_at, skipped.ended_at) == (None, DUE)
