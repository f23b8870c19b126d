"""This process's part in the queue for slots: what it does when the journal cannot be written, or is another's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Generator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, update

from actwright.exceptions import Fenced, JournalUnavailable, RuntimeClosed, WouldDeadlock
from actwright.journal.database import Database
from actwright.journal.schema import nodes
from actwright.journal.schema import slots as s
from actwright.journal.slot_queue import SlotQueue
from actwright.journal.slots import FRONT, all_rows, set_tag_limit
from actwright.models.slots import Claim, Limit, LimitKind, Want

WATCHDOG = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    with closing(Database.open(tmp_path / "actwright.db", busy_seconds=0.05)) as opened:
        with opened.writing() as connection:
            for node in ("ours", "theirs"):
                row = {
                    "id": node,
                    "epoch": 1,
                    "pid": 1,
                    "host": "here",
                    "program": "{}",
                    "started_at": "",
                    "prunings": 0,
                }
                connection.execute(insert(nodes), row)
        yield opened


@contextmanager
def queue_of(
    database: Database, node: str = "ours", *, dead: Collection[str] = (), patience: float = WATCHDOG
) -> Generator[SlotQueue]:
    def dead_among(_: Connection, ids: Collection[str]) -> list[str]:
        return sorted({*ids} & {*dead})

    queue = SlotQueue(database, node, 1, dead_among=dead_among, patience=patience)
    try:
        yield queue
    finally:
        queue.close()


def tagged(id: str, *tags: str) -> Claim:
    return Claim(id, tuple(Want(Limit(LimitKind.TAG, tag)) for tag in tags), f"the one of {id}")


def claim(id: str, *, around: str = "", occupy: int = 1, slots: int = 1) -> Claim:
    wants = (Want(Limit(LimitKind.NAME, "db"), occupy, slots),)
    return Claim(id, wants, f"the one of {id}", claims_around=frozenset(around.split()))


def titles(database: Database, *, held: bool = True) -> list[str]:
    with database.reading() as connection:
        return [row.claim_id for row in all_rows(connection) if row.is_held is held]


@contextmanager
def locked(database: Database) -> Generator[None]:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_what_is_asked_while_the_journal_is_locked_is_had_when_it_can_be_written(database: Database) -> None:
    with queue_of(database) as queue:
        with locked(database):
            answer = queue.ask(claim("a"))
            with pytest.raises(TimeoutError):
                answer.result(0.3)
        answer.result(WATCHDOG)
        assert titles(database) == ["a"]


def test_who_has_no_patience_hears_that_the_journal_cannot_be_written_and_leaves_nothing(database: Database) -> None:
    with queue_of(database, patience=0) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        waits = queue.ask(claim("b"))
        queue.give_up("nobody").result(WATCHDOG)  # by then it stands in the queue
        with locked(database):
            new = queue.ask(claim("c"))
            for answer in (waits, new):
                with pytest.raises(JournalUnavailable):
                    answer.result(WATCHDOG)
            queue.free("a")
        queue.ask(claim("d")).result(WATCHDOG)  # what was to be given back was tried again
        assert (titles(database), titles(database, held=False)) == (["d"], [])


def test_one_that_gives_up_is_answered_also_while_the_journal_is_locked(database: Database) -> None:
    with queue_of(database) as queue:
        with locked(database):
            queue.ask(claim("a"))
            assert queue.give_up("a").result(WATCHDOG) == []
        queue.ask(claim("b")).result(WATCHDOG)
        assert titles(database) == ["b"]


def test_who_gives_up_hears_who_is_in_the_way_or_that_nobody_is_any_more(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        queue.ask(claim("b"))
        queue.ask(claim("c"))
        in_the_way = queue.give_up("c").result(WATCHDOG)
        assert [row.claim_id for row in in_the_way or ()] == ["a", "b"]
        assert queue.give_up("a").result(WATCHDOG) is None
        assert (titles(database), titles(database, held=False)) == (["a"], ["b"])


def test_of_one_process_the_next_one_comes_in_in_the_transaction_in_which_the_first_leaves(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        waits = queue.ask(claim("b"))
        queue.free("a")
        queue.free("a")
        waits.result(WATCHDOG)
        assert titles(database) == ["b"]


def test_what_another_process_frees_is_seen(database: Database) -> None:
    with queue_of(database) as ours, queue_of(database, "theirs") as theirs:
        theirs.ask(claim("a")).result(WATCHDOG)
        waits = ours.ask(claim("b"))
        with pytest.raises(TimeoutError):
            waits.result(0.1)
        theirs.free("a")
        waits.result(WATCHDOG)


def test_what_a_dead_node_holds_and_waits_for_is_free(database: Database) -> None:
    with queue_of(database, "theirs") as theirs, queue_of(database, dead=["theirs"]) as ours:
        theirs.ask(claim("a")).result(WATCHDOG)
        theirs.ask(claim("b"))
        ours.ask(claim("c")).result(WATCHDOG)
        assert "a" not in titles(database)


def test_one_that_is_deleted_by_hand_is_at_the_end_of_the_queue_again(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        waits = queue.ask(claim("b"))
        queue.give_up("nobody").result(WATCHDOG)
        with database.writing() as connection:
            connection.execute(delete(s).where(s.c.claim_id == "b"))
        queue.free("a")
        waits.result(WATCHDOG)
        assert titles(database) == ["b"]


def test_a_node_that_was_taken_over_gets_no_slots_any_more(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        waits = queue.ask(claim("b"))
        with database.writing() as connection:
            connection.execute(update(nodes).where(nodes.c.id == "ours").values(epoch=2))
            connection.execute(delete(s))
        for answer in (waits, queue.ask(claim("c"))):
            with pytest.raises(Fenced):
                answer.result(WATCHDOG)
        assert queue.give_up("a").result(WATCHDOG) == []
        assert titles(database) == []


def test_who_waits_when_it_closes_hears_of_that_and_who_comes_later_as_well(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a")).result(WATCHDOG)
        waits = queue.ask(claim("b"))
        queue.close()
        for answer in (waits, queue.ask(claim("c"))):
            with pytest.raises(RuntimeClosed):
                answer.result(WATCHDOG)
        assert queue.give_up("c").result(WATCHDOG) == []
        assert (titles(database), titles(database, held=False)) == ([], [])


def test_one_that_nobody_asks_has_no_thread(database: Database) -> None:
    with queue_of(database) as queue:
        queue.limits_changed()
        assert "actwright-slots" not in [thread.name for thread in threading.enumerate()]
        queue.ask(claim("a")).result(WATCHDOG)
        assert "actwright-slots" in [thread.name for thread in threading.enumerate()]


def test_an_inner_claim_that_could_only_wait_for_ever_is_refused(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("a", slots=2)).result(WATCHDOG)
        with pytest.raises(WouldDeadlock):
            queue.ask(claim("b", around="a", occupy=2, slots=2)).result(WATCHDOG)
        assert titles(database, held=False) == []


def test_a_crowd_is_let_in_by_few_transactions(database: Database) -> None:
    with queue_of(database) as queue:
        answers: list[Future[None]] = []
        with locked(database):
            answers += [queue.ask(claim(str(number), slots=100)) for number in range(100)]
        for answer in answers:
            answer.result(WATCHDOG)
        assert titles(database) == [str(number) for number in range(100)]


MORE_THAN_ARE_READ = FRONT + 6


def test_behind_any_number_that_nothing_lets_in_one_that_something_does_comes_in(database: Database) -> None:
    with database.writing() as connection:
        set_tag_limit(connection, "shut", 0)
        set_tag_limit(connection, "db", 1)
    with queue_of(database) as queue:
        for number in range(MORE_THAN_ARE_READ):
            queue.ask(tagged(str(number), "shut", "db"))
        queue.ask(tagged("a", "db")).result(WATCHDOG)


def test_behind_any_number_that_wait_one_that_may_overtake_them_comes_in(database: Database) -> None:
    with queue_of(database) as queue:
        queue.ask(claim("outer")).result(WATCHDOG)
        for number in range(MORE_THAN_ARE_READ):
            queue.ask(claim(str(number)))
        queue.ask(claim("inner", around="outer")).result(WATCHDOG)
        queue.free("inner")
        queue.free("outer")
        queue.give_up("nobody").result(WATCHDOG)
        assert titles(database) == ["0"]
