"""The queue before the writer: its order, its batches, who is held back and who is let in again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.journal import queue
from actwright.journal.batch import Entry
from actwright.journal.protocol import LogLine
from actwright.journal.queue import WriteQueue

WATCHDOG_SECONDS = 20
LINE = LogLine(UUID(int=0), datetime(2026, 1, 1, tzinfo=UTC), 20, "", "")
FOR_EVER = 3600.0


@pytest.fixture(autouse=True)
def lingers_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody waits for would stand until something urgent comes."""
    monkeypatch.setattr(queue, "_LINGER_SECONDS", FOR_EVER)


def nothing() -> None: ...


def entry(records: int = 1, *, awaited: bool = False) -> Entry:
    return Entry((LINE,) * records, (), nothing if awaited else None)


@contextmanager
def taking(queue: WriteQueue) -> Generator[Future[list[Entry]]]:
    """One `take` in a thread of its own."""
    taken: Future[list[Entry]] = Future()
    thread = threading.Thread(target=lambda: taken.set_result(queue.take()))
    thread.start()
    try:
        yield taken
    finally:
        queue.close()
        thread.join(WATCHDOG_SECONDS)


# What is taken


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_batches_are_what_was_added_in_order_and_end_with_the_entry_that_fills_them(sizes: list[int]) -> None:
    queue = WriteQueue(limit=10)
    added = [entry(size, awaited=True) for size in sizes]
    assert all(map(queue.add, added))
    assert len(queue) == queue.added == sum(sizes)
    taken: list[Entry] = []
    while len(taken) < len(added):
        batch = queue.take()
        assert sum(len(each.records) for each in batch[:-1]) < 1_000
        taken += batch
        assert queue.written(batch) == []
    assert [id(each) for each in taken] == [id(each) for each in added]
    assert (len(queue), queue.added) == (0, sum(sizes))


def test_what_nobody_waits_for_stands_until_somebody_waits_for_something_and_both_share_a_batch() -> None:
    queue = WriteQueue(limit=10)
    first, second = entry(), entry(awaited=True)
    with taking(queue) as taken:
        queue.add(first)
        queue.add(second)
        batch = taken.result(WATCHDOG_SECONDS)
    assert batch[0] is first
    assert batch in ([first], [first, second])
    assert len(queue) == 2


def lingering(queue: WriteQueue) -> bool:
    return queue._taker == "lingering"  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("urgent", [entry(awaited=True), entry(1_000), None], ids=["awaited", "a full batch", "close"])
def test_a_taker_that_lingers_is_woken_by_what_is_urgent_and_by_nothing_else(urgent: Entry | None) -> None:
    queue = WriteQueue(limit=10)
    with taking(queue) as taken:
        queue.add(entry())
        while not lingering(queue):
            threading.Event().wait(0.001)
        queue.add(entry())
        assert not taken.done()
        assert lingering(queue)
        if urgent is None:
            queue.close()
        else:
            queue.add(urgent)
        assert len(taken.result(WATCHDOG_SECONDS)) == 2 + (urgent is not None)


def test_what_nobody_waits_for_is_taken_all_the_same_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actwright.journal.queue._LINGER_SECONDS", 0.001)
    queue = WriteQueue(limit=10)
    queue.add(entry())
    with taking(queue) as taken:
        assert len(taken.result(WATCHDOG_SECONDS)) == 1


def _add_all(queue: WriteQueue, entries: list[Entry]) -> None:
    for each in entries:
        queue.add(each)


def test_many_threads_lose_nothing_and_each_ones_entries_stay_in_order() -> None:
    queue = WriteQueue(limit=1_000_000)
    mine = [[entry(awaited=True) for _ in range(200)] for _ in range(8)]
    threads = [threading.Thread(target=partial(_add_all, queue, each)) for each in mine]
    taken: list[Entry] = []
    with taking(queue) as first:
        for thread in threads:
            thread.start()
        taken += first.result(WATCHDOG_SECONDS)
        while len(taken) < 1_600:
            taken += queue.take()
        for thread in threads:
            thread.join(WATCHDOG_SECONDS)
    places = {id(each): place for place, each in enumerate(taken)}
    assert len(places) == 1_600
    for each in mine:
        assert [places[id(one)] for one in each] == sorted(places[id(one)] for one in each)


# Room


@given(limit=st.integers(1, 5), steps=st.lists(st.sampled_from(["ask", "add", "write"]), max_size=40))
def test_who_asks_for_room_is_let_in_at_once_or_told_later_each_once_and_in_order(limit: int, steps: list[str]) -> None:
    """Each that is let in adds one record, as a new run does; what has happened is added without asking."""
    queue, asked, let_in = WriteQueue(limit), 0, list[int]()

    def come_in(number: int) -> Callable[[], object]:
        return lambda: let_in.append(number)

    for step in steps:
        if step == "ask":
            if queue.has_room(come_in(asked)):
                assert len(queue) < limit
                let_in.append(asked)
            else:
                assert len(queue) >= limit or len(let_in) < asked
            asked += 1
        elif step == "add":
            queue.add(entry(awaited=True))
        elif len(queue):
            before = len(let_in)
            for tell in queue.written(queue.take()):
                tell()
            for _ in let_in[before:]:
                queue.add(entry(awaited=True))
            assert len(queue) <= limit
            assert len(queue) == limit or len(let_in) == asked
    assert let_in == list(range(len(let_in)))


def test_there_is_always_room_in_a_closed_queue_and_who_waited_is_told_when_it_closes() -> None:
    queue = WriteQueue(limit=1)
    queue.add(entry())
    assert not queue.has_room(nothing)
    assert queue.close() == [nothing]
    assert queue.close() == []
    assert queue.has_room(nothing)


# The end


def test_a_closed_queue_takes_nothing_more_and_gives_what_stands_in_it() -> None:
    queue = WriteQueue(limit=10)
    last = entry()
    queue.add(last)
    queue.close()
    assert not queue.add(entry())
    assert queue.take() == [last]
    assert queue.take() == []


def test_closing_ends_a_take_that_waits_for_the_first_entry() -> None:
    queue = WriteQueue(limit=10)
    with taking(queue) as taken:
        queue.close()
        assert taken.result(WATCHDOG_SECONDS) == []


def test_what_is_cleared_is_gone_and_leaves_room() -> None:
    queue = WriteQueue(limit=1)
    queue.add(entry(5, awaited=True))
    queue.clear()
    queue.close()
    assert len(queue) == 0
    assert queue.take() == []
