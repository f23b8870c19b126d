"""What people ask of history, on histories that were made by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, update

from actwright.journal import queries
from actwright.journal.database import Database
from actwright.journal.rows import utf8
from actwright.journal.schema import hook_deliveries, logs, nodes, runs, transitions
from actwright.models.deliveries import DeliveryStatus


def an_id(number: int) -> str:
    return str(UUID(int=number << 96))


def at(minute: int) -> str:
    return f"2025-01-31T08:{minute:02}:00.000000+00:00"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(Database.open(tmp_path / "actwright.db")) as database, database.writing() as connection:
        yield connection


def add_run(
    connection: Connection, number: int, kind: str = "flow", subject: str = "work", caller: int | None = None,
    task: int | None = None, flow_run: int | None = None, state: str = "Completed", tags: str = "[]",
) -> str:  # fmt: skip
    """A run that began in that minute; its callers come before it."""
    id, state_id = an_id(number), an_id(1000 + number)
    type = "FAILED" if state in ("TimedOut", "Überfällig") else state.upper()
    entered = {"type": type, "name": state, "message": None}
    connection.execute(
        insert(transitions).values(id=state_id, run_id=id, at=at(number), run_count=1, cause=None, **entered)
    )
    connection.execute(
        insert(runs).values(
            id=id, kind=kind, subject_name=subject, name=f"name-{number}", node_id="node", state_id=state_id,
            state_type=entered["type"], state_name=state, state_at=at(number), run_count=1, parameters="{}", tags=tags,
            parent_flow_run_id=None if caller is None else an_id(caller),
            parent_task_run_id=None if task is None else an_id(task),
            flow_run_id=None if flow_run is None else an_id(flow_run),
            expected_start_at=at(number), ended_at=None if state == "Running" else at(number),
        )
    )  # fmt: skip
    return id


def add_delivery(connection: Connection, run: int, status: str = "SUCCEEDED", position: int = 0) -> str:
    id = an_id(10_000 + 100 * run + position)
    connection.execute(
        insert(hook_deliveries).values(
            id=id, transition_id=an_id(1000 + run), run_id=an_id(run), node_id="node", event="on_end", hook_name="tell",
            position=position, due_at=at(run), status=status, attempt=1, cuts=0, replayed=False,
        )
    )  # fmt: skip
    return id


def found(connection: Connection, **filters: object) -> list[int]:
    return [one.run.id.int >> 96 for one in queries.find_runs(connection, **filters)]  # type: ignore[arg-type]


def test_runs_come_newest_first_and_no_more_than_are_wanted(connection: Connection) -> None:
    for number in (2, 1, 3):
        add_run(connection, number)
    assert found(connection) == [3, 2, 1]
    assert found(connection, limit=2) == [3, 2]


def test_what_others_called_is_left_out_unless_it_is_asked_for(connection: Connection) -> None:
    add_run(connection, 1)
    add_run(connection, 2, caller=1)
    add_run(connection, 3, "task", caller=1, flow_run=1)
    add_run(connection, 4, "task")
    assert found(connection) == [4, 1]
    assert found(connection, called=True) == [4, 3, 2, 1]


def test_a_state_is_meant_by_its_type_or_its_name_in_any_case(connection: Connection) -> None:
    add_run(connection, 1, state="TimedOut")
    add_run(connection, 2, state="Failed")
    add_run(connection, 3)
    assert found(connection, states=["failed"]) == [2, 1]
    assert found(connection, states=["timedout"]) == [1]
    assert found(connection, states=["TimedOut", "COMPLETED"]) == [3, 1]


def test_so_is_one_whose_name_is_no_ascii(connection: Connection) -> None:
    add_run(connection, 1, state="Überfällig")
    for given in ("Überfällig", "überfällig", "ÜBERFÄLLIG"):
        assert found(connection, states=[given]) == [1]


def test_words_that_are_no_utf8_are_looked_for_as_history_has_them(connection: Connection) -> None:
    given = "\udcff"  # as a command line has a byte that is none
    add_run(connection, 1, subject=utf8(given))
    connection.execute(update(runs).values(name=utf8(given)))
    assert found(connection, flow=given) == [1]
    assert [each.run.id for each in queries.matching_runs(connection, given)] == [UUID(an_id(1))]
    assert found(connection, tags=[given]) == []
    assert queries.matching_deliveries(connection, given) == []


def test_a_filter_that_is_misspelt_and_a_word_in_the_place_of_several_are_refused(connection: Connection) -> None:
    with pytest.raises(TypeError, match=r"Runs have no filter 'state'\. There are called, ended_before, flow,"):
        found(connection, state=["Running"])
    for name in ("states", "tags"):
        with pytest.raises(TypeError, match=rf"{name} must be several; got 'web'. Write {name}=\['web'\]"):
            found(connection, **{name: "web"})


def test_of_a_flow_are_its_runs_and_what_ran_within_them(connection: Connection) -> None:
    add_run(connection, 1, subject="work")
    add_run(connection, 2, "task", "work")  # a task of that name is not that flow
    add_run(connection, 3, "task", "other", caller=1, flow_run=1)
    add_run(connection, 4, subject="other", caller=1)
    add_run(connection, 5, subject="other")
    assert found(connection, flow="work") == [1]
    assert found(connection, flow="work", called=True) == [4, 3, 1]


def test_each_tag_must_be_there_and_as_a_whole(connection: Connection) -> None:
    add_run(connection, 1, tags='["a","b"]')
    add_run(connection, 2, tags='["a"]')
    add_run(connection, 3, tags='["ab"]')
    assert found(connection, tags=["a"]) == [2, 1]
    assert found(connection, tags=["a", "b"]) == [1]


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5)), None], ids=["UTC", "New York", "local"])
def test_since_is_a_time_of_any_zone_and_includes_itself(
    connection: Connection, in_tokyo: None, zone: tzinfo | None
) -> None:
    add_run(connection, 1)
    add_run(connection, 2)
    add_delivery(connection, 1)
    add_delivery(connection, 2)
    since = datetime(2025, 1, 31, 8, 2, tzinfo=UTC).astimezone(zone)
    given = since if zone else since.replace(tzinfo=None)
    assert found(connection, since=given) == [2]
    assert [each.delivery.run_id for each in queries.find_deliveries(connection, since=given)] == [UUID(an_id(2))]


def test_a_run_is_meant_by_its_id_before_its_name_before_the_beginning_of_its_id(connection: Connection) -> None:
    first, second = add_run(connection, 1), add_run(connection, 2)
    connection.execute(update(runs).where(runs.c.id == second).values(name=first))
    assert [str(one.run.id) for one in queries.matching_runs(connection, first)] == [first]
    connection.execute(update(runs).where(runs.c.id == second).values(name="0000"))
    assert [str(one.run.id) for one in queries.matching_runs(connection, "0000")] == [second]
    assert len(queries.matching_runs(connection, "000")) == 2
    for nothing in ("", "%", "_", "nobody"):
        assert queries.matching_runs(connection, nothing) == []


def test_all_that_a_run_called_is_found_at_any_depth_and_once(connection: Connection) -> None:
    add_run(connection, 1)
    add_run(connection, 2, "task", caller=1, flow_run=1)
    add_run(connection, 3, caller=1, task=2)  # a subflow that the task called: its flow run is its caller's
    add_run(connection, 4, "task", caller=3, flow_run=3)
    add_run(connection, 5)
    called = queries.called_by(connection, an_id(1))
    assert [one.run.id.int >> 96 for one in called] == [2, 3, 4]
    assert queries.called_by(connection, an_id(4)) == []


def test_deliveries_are_filtered_and_come_newest_first(connection: Connection) -> None:
    for number in (1, 2):
        add_run(connection, number)
        add_delivery(connection, number, position=0)
        add_delivery(connection, number, "FAILED", position=1)
    every = queries.find_deliveries(connection)
    assert [(one.run_name, one.delivery.position) for one in every] == [
        ("name-2", 1), ("name-2", 0), ("name-1", 1), ("name-1", 0)
    ]  # fmt: skip
    failed = queries.find_deliveries(connection, statuses=[DeliveryStatus.FAILED], run_id=an_id(1))
    assert [(one.run_name, one.delivery.position) for one in failed] == [("name-1", 1)]
    assert len(queries.find_deliveries(connection, limit=3)) == 3
    assert len(queries.find_deliveries(connection, since=datetime(2025, 1, 31, 8, 2, tzinfo=UTC))) == 2


def test_what_is_left_to_do_is_counted_by_node(connection: Connection) -> None:
    for name in ("node", "idle"):
        connection.execute(
            insert(nodes).values(
                id=name, epoch=1, pid=1, host="", program="", started_at=at(0), settled_at=None, prunings=0
            )
        )
    add_run(connection, 1, state="Running")
    add_run(connection, 2)
    for position, status in enumerate(("DUE", "RUNNING", "FAILED", "SKIPPED", "SUCCEEDED")):
        add_delivery(connection, 2, status, position)
    assert queries.work_of_nodes(connection) == {"node": (1, 2)}


def test_what_a_node_did_after_a_place_in_history_and_what_was_open_before(connection: Connection) -> None:
    add_run(connection, 1)
    before = add_delivery(connection, 1)
    add_delivery(connection, 1, position=1)
    seq = queries.last_seq(connection)
    add_run(connection, 2)
    after = add_delivery(connection, 2)
    assert [one.run.name for one in queries.node_runs(connection, "node", seq)] == ["name-2"]
    among = queries.node_deliveries(connection, "node", seq, [before])
    assert [str(one.delivery.id) for one in among] == [before, after]
    assert queries.node_runs(connection, "other", 0) == []


def test_runs_that_ended_before_a_moment_are_found_and_open_ones_never(connection: Connection) -> None:
    for number in (1, 2, 3):
        add_run(connection, number)
    add_run(connection, 0, state="Running")
    assert found(connection, ended_before=datetime(2025, 1, 31, 8, 3, tzinfo=UTC)) == [2, 1]
    assert found(connection, ended_before=datetime(2025, 1, 31, 10, 3, tzinfo=timezone(timedelta(hours=2)))) == [2, 1]


def test_of_log_lines_those_of_a_level_and_of_what_was_called_are_told_in_the_order_of_time(
    connection: Connection,
) -> None:
    flow, task = add_run(connection, 1), add_run(connection, 2, kind="task", caller=1)
    for run, minute, level in ((flow, 3, 20), (task, 1, 40), (flow, 2, 30), ("other", 2, 40)):
        connection.execute(insert(logs).values(run_id=run, at=at(minute), level=level, logger="", message=str(minute)))

    def told(**options: Any) -> list[str]:
        return [kept.line.message for kept in queries.kept_lines(connection, flow, **options)]

    assert told() == ["2", "3"]
    assert told(called=True) == ["1", "2", "3"]
    assert told(called=True, level=30) == ["1", "2"]
    assert told(called=True, level=30, limit=1) == ["2"]
    assert [kept.line.message for kept in queries.lines_after(connection, 1, level=30)] == ["1", "2", "2"]
    assert queries.last_line_seq(connection) == 4


def test_of_log_lines_the_last_ones_come_oldest_first(connection: Connection) -> None:
    for minute in range(3):
        connection.execute(insert(logs).values(run_id="run", at=at(minute), level=20, logger="", message=str(minute)))
    connection.execute(insert(logs).values(run_id="other", at=at(9), level=20, logger="", message="no"))
    assert [kept.line.message for kept in queries.kept_lines(connection, "run")] == ["0", "1", "2"]
    assert [kept.line.message for kept in queries.kept_lines(connection, "run", limit=2)] == ["1", "2"]
