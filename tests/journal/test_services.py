"""What services say of themselves, as the journal keeps it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from actwright.journal.database import Database
from actwright.journal.schema import services
from actwright.journal.services import KnownService, every, forget, note
from actwright.models.health import Health, OfferedFlow, Phase
from actwright.nodes import rows
from actwright.nodes.program import Program

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEALTH = Health(phase=Phase.SERVING, at=NOW, since=NOW, offers=(OfferedFlow(entry="m:f", queues=("a", "b")),))
LATER = HEALTH.model_copy(update={"at": NOW + timedelta(seconds=5), "phase": Phase.DRAINING})


def test_what_a_service_says_is_read_back_and_stands_in_the_place_of_what_it_said_before(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "actwright.db")) as database, database.writing() as connection:
        rows.add(connection, "n", 1, "here", Program.of_this_process())
        note(connection, "s", "n", HEALTH)
        assert every(connection) == [KnownService("s", "n", NOW, HEALTH)]
        note(connection, "s", "n", LATER)
        assert every(connection) == [KnownService("s", "n", LATER.at, LATER)]
        forget(connection, "s")
        assert every(connection) == []


def test_one_that_cannot_be_read_is_there_without_its_health(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "actwright.db")) as database, database.writing() as connection:
        note(connection, "s", "n", HEALTH)
        connection.execute(services.update().values(health="no JSON", said_at="yesterday"))
        assert every(connection) == [KnownService("s", "n", None, None)]


def test_a_later_versions_further_words_are_passed_over(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "actwright.db")) as database, database.writing() as connection:
        note(connection, "s", "n", HEALTH)
        more = HEALTH.model_dump_json().replace("{", '{"mood": "good", ', 1)
        connection.execute(services.update().values(health=more))
        assert every(connection) == [KnownService("s", "n", NOW, HEALTH)]
