"""The web application that is a service: served by a real uvicorn, killed, started again, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.engine.scripts import ended
from tests.examples.test_web_app import Server
from tests.recovery.trial import within

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "service"
PATIENCE_SECONDS = 20.0


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    path = tmp_path / "outbox"
    path.touch()
    return path


@contextmanager
def served(outbox: Path, **environment: str) -> Generator[tuple[Server, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"], cwd=FOLDER,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"OUTBOX": str(outbox), "EVERY_SECONDS": "3600", "ACTWRIGHT_UNDERSTUDY": "true"} | environment,
    )  # fmt: skip
    with ended(process):
        yield Server(process), process


def order(server: Server, city: str, **more: str) -> str:
    answer = httpx.post(f"{server.url}/reports", json={"city": city, **more})
    assert answer.status_code == 202
    return str(answer.json()["id"])


def state_of(server: Server, run_id: str) -> str:
    return str(httpx.get(f"{server.url}/reports/{run_id}").json()["state"])


def test_a_report_is_made_once_for_each_key_and_the_mail_room_told_and_a_stop_ends_well(outbox: Path) -> None:
    with served(outbox) as (server, _):
        first, again = order(server, "Rome", key="monday"), order(server, "Rome", key="monday")
        assert first == again
        assert within(PATIENCE_SECONDS, lambda: state_of(server, first) == "Completed")
        assert within(PATIENCE_SECONDS, lambda: outbox.read_text() == "Rome: 4 rows\n")
        assert httpx.get(f"{server.url}/reports/{'0' * 32}").status_code == 404
        health = httpx.get(f"{server.url}/health")
        assert (health.status_code, health.json()["phase"]) == (200, "serving")
        assert health.json()["serves"] == ["flow 'report'", "actor 'mail room'"]
        server.stop()
        server.ended()


def test_the_schedule_makes_reports_by_itself(outbox: Path) -> None:
    with served(outbox, EVERY_SECONDS="0.2"):
        assert within(PATIENCE_SECONDS, lambda: outbox.read_text().count("Oslo: 4 rows") >= 3)


def test_what_was_ordered_before_it_was_killed_is_made_when_it_is_started_again(outbox: Path) -> None:
    with served(outbox) as (server, process):
        ids = [order(server, city) for city in ("Rome", "Bern", "Paris")]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with served(outbox) as (server, _):
        assert within(PATIENCE_SECONDS, lambda: {state_of(server, each) for each in ids} == {"Completed"})
        assert within(PATIENCE_SECONDS, lambda: len({*outbox.read_text().splitlines()}) == len(ids))
