"""`actwright status`: services that serve, that died, that say nothing; what waits; and when it is well."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.control.shell import act, history_of_a_killed_program, printed
from tests.serving import flows as f
from tests.serving.conftest import told
from tests.serving.processes import Running, a_service, soon, submitted

from actwright.control.liveness import KnownNode, NodeStatus
from actwright.control.overviews import QUIET_SECONDS, Overview, SeenService, troubles
from actwright.journal.database import Database
from actwright.journal.queries import Work
from actwright.journal.schema import services
from actwright.journal.services import KnownService
from actwright.models.health import Health, OfferedFlow, Phase
from actwright.models.submissions import Waiting
from actwright.nodes.program import Program
from actwright.nodes.rows import NodeRow
from actwright.settings import get_current_settings

__all__ = ["told"]

pytestmark = [pytest.mark.slow, pytest.mark.costly]

Told = Callable[[], list[str]]

KEYS = {"journal", "at", "trouble", "services", "open_runs", "queue", "hooks", "processes"}
SERVICE_KEYS = {"id", "node_id", "process", "pid", "host", "said_at", "health"}
QUEUE_KEYS = {"entry", "queue", "due", "later", "due_since", "is_served"}


def test_without_a_journal_there_is_nothing_to_tell(actwright_home: Path) -> None:
    assert printed("status") is None
    ran = act("status")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


def test_a_journal_with_nothing_to_do_is_well() -> None:
    submitted(f.quick, at=datetime.now(UTC) + timedelta(hours=1))
    found = printed("status")
    assert set(found) == KEYS
    assert (found["trouble"], found["services"], found["processes"]) == ([], [], {})
    (waiting,) = found["queue"]
    assert set(waiting) == QUEUE_KEYS
    assert (waiting["due"], waiting["later"], waiting["due_since"], waiting["is_served"]) == (0, 1, None, False)
    lines = act("status").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["services", "runs", "queue", "hooks", "processes"]


def health_of_the_service() -> dict[str, Any] | None:
    ran = act("status", "-o", "json")
    found = json.loads(ran.stdout)
    assert ran.exit_code == bool(found["trouble"])
    return found["services"][0]["health"] if found["services"] else None


def test_a_service_is_shown_with_what_it_has_and_what_waits_for_it(told: Told) -> None:
    with a_service("waits", ACTWRIGHT_DRAIN_SECONDS="0") as service:
        submitted(f.waits, {"number": 1})
        soon(lambda: (health_of_the_service() or {}).get("claimed") == 1)
        found = printed("status")
        (seen,) = found["services"]
        assert set(seen) == SERVICE_KEYS
        assert (seen["process"], seen["host"]) == ("alive", socket.gethostname())
        assert seen["health"]["phase"] == "serving"
        assert seen["health"]["serves"] == ["flow 'waits'"]
        assert found["open_runs"] == {"Running": 1}
        assert found["processes"] == {"alive": 1}
        head, row, *_ = act("status").stdout.splitlines()
        assert head.split()[:5] == ["service", "status", "since", "pid", "serves"]
        assert row.split()[:2] == [seen["id"][:8], "serving"]
        service.send(signal.SIGTERM)
        service.exit_code()
    assert printed("status")["services"] == []


def test_what_nobody_serves_is_trouble_with_the_command_that_would(told: Told) -> None:
    with a_service("quick"):
        submitted(f.waits)
        submitted(f.waits, queue="night shift")
        ran = act("status")
        assert ran.exit_code == 1
        for command in (f"serve {f.__name__}:waits`", f"serve --queue='night shift' {f.__name__}:waits`"):
            assert f"nobody serves that: `actwright {command} does." in ran.stderr


def test_a_service_that_was_killed_is_shown_dead_until_it_is_recovered(told: Told) -> None:
    with a_service("waits") as service:
        submitted(f.waits)
        soon(lambda: told() == ["body 0"])
        kill(service)
    found = printed("status", code=1)
    assert [each["process"] for each in found["services"]] == ["dead"]
    assert "`actwright recover` sees to what it left" in found["trouble"][0]
    assert act("recover").exit_code == 0
    assert printed("status")["services"] == []


def kill(service: Running) -> None:
    service.send(signal.SIGKILL)
    service.exit_code()


def test_another_program_that_died_is_trouble_too() -> None:
    history_of_a_killed_program()
    found = printed("status", code=1)
    assert found["processes"] == {"dead": 1}
    assert found["hooks"] == {"due": 0, "running": 0, "failed": 1}
    assert found["open_runs"] == {"Running": 1}


def test_where_a_service_is_of_another_version_that_is_said(told: Told) -> None:
    with a_service("quick"):
        soon(lambda: health_of_the_service() is not None)
        with (
            closing(Database.open(get_current_settings().database)) as database,
            database.writing() as connection,
        ):
            connection.execute(services.update().values(health='{"phase": "humming"}'))
        ran = act("status")
    assert ran.exit_code == 1
    assert "is of another version" in ran.stderr


# What is wrong follows from what was found

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = replace(Program.of_this_process(), argv=("serve.py",))
NODE = KnownNode(NodeRow("n" * 36, 1, 7, "here", PROGRAM, NOW, None), Work(2, 3), NodeStatus.ALIVE, 7, None)
HEALTH = Health(phase=Phase.SERVING, at=NOW, since=NOW, offers=(OfferedFlow(entry="m:f", queues=("default",)),))
SERVICE = SeenService(KnownService("s" * 36, NODE.row.id, NOW, HEALTH), NODE)
WAITING = Waiting("m:f", "default", 2, 0, NOW)
WELL = Overview(NOW, [SERVICE], [NODE], {}, [WAITING], {})


def with_node(**changes: Any) -> Overview:
    node = replace(NODE, **changes)
    return replace(WELL, nodes=[node], services=[replace(SERVICE, node=node)], waiting=[])


def with_service(said_at: datetime | None = NOW, health: Health | None = HEALTH) -> Overview:
    known = replace(SERVICE.known, said_at=said_at, health=health)
    return replace(WELL, services=[replace(SERVICE, known=known)])


def test_all_is_well_where_all_that_is_due_is_served() -> None:
    assert troubles(WELL) == []
    assert troubles(with_service(said_at=NOW - timedelta(seconds=QUIET_SECONDS))) == []
    assert troubles(replace(WELL, waiting=[replace(WAITING, entry="m:g", due=0, later=7)])) == []
    assert troubles(replace(WELL, hooks={"FAILED": 3})) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (with_node(status=NodeStatus.DEAD), "died (open runs: 2, due hooks: 3): `actwright recover`"),
        (with_node(status=NodeStatus.STOPPED), "is stopped: `actwright recover --force nnnnnnnn`"),
        (with_node(status=NodeStatus.UNRESPONSIVE, unresponsive_seconds=9.0), "has not turned for 9 s"),
        (with_service(said_at=NOW - timedelta(seconds=40)), "has not said how it is for 40 s"),
        (with_service(health=HEALTH.model_copy(update={"trouble": ("it fell",)})), "Service ssssssss: it fell"),
    ],
)
def test_one_trouble_is_told_once(found: Overview, said: str) -> None:
    (trouble,) = troubles(found)
    assert said in trouble


def test_of_many_that_nobody_serves_some_are_told_and_how_many_more() -> None:
    waiting = [replace(WAITING, entry=f"m:g{number}") for number in range(25)]
    found = troubles(replace(WELL, waiting=waiting))
    assert len(found) == 11
    assert "15 more flows or queues" in found[-1]


def test_the_command_that_would_serve_them_is_safe_to_paste() -> None:
    (trouble,) = troubles(replace(WELL, waiting=[replace(WAITING, entry="/my dir/f.py:f", queue="a; rm -rf ~")]))
    assert "`actwright serve --queue='a; rm -rf ~' '/my dir/f.py:f'`" in trouble


def test_one_of_another_version_may_serve_what_waits() -> None:
    (trouble,) = troubles(replace(with_service(health=None), waiting=[replace(WAITING, entry="m:g")]))
    assert "is of another version" in trouble


@pytest.mark.parametrize(
    "found",
    [
        replace(WELL, services=[]),
        replace(WELL, services=[replace(SERVICE, node=replace(NODE, status=NodeStatus.STOPPED))]),
        with_service(health=HEALTH.model_copy(update={"phase": Phase.DRAINING})),
        replace(WELL, waiting=[replace(WAITING, entry="m:g")]),
        replace(WELL, waiting=[replace(WAITING, queue="night")]),
    ],
)
def test_what_is_due_and_no_service_takes_is_trouble(found: Overview) -> None:
    (trouble,) = troubles(found)
    assert trouble.startswith("2 submissions of m:")
