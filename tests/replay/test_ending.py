"""A replay process ends, whatever its hooks leave running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nodes.stage import DEADLINE
from tests.replay.dead import DeadNode, dead_node, entering
from tests.replay.leaving import NOTES, leaves_a_job, leaves_a_short_thread, leaves_a_thread

from actwright.models.deliveries import DeliveryStatus
from actwright.models.states import Failed
from actwright.replay.main import MORE, NOTHING_LEFT

pytestmark = pytest.mark.slow


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DeadNode]:
    with dead_node(tmp_path) as dead:
        yield dead


def replay_process(node: DeadNode, last_seconds: float) -> tuple[int, str]:
    """Its exit code, and what it said."""
    notes = node.database.path.with_name("notes")
    notes.touch()
    program = f"from actwright.replay import main; main.LAST_SECONDS = {last_seconds}; main.main()"
    environment = {**os.environ, NOTES: str(notes), "PYTHONUNBUFFERED": ""}
    ran = subprocess.run(
        [sys.executable, "-c", program, str(node.database.path), node.id], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + notes.read_text()


def test_a_thread_that_never_ends_holds_nobody_up(node: DeadNode) -> None:
    _, (due,), records = entering(Failed(), leaves_a_thread)
    node.write(*records)
    code, said = replay_process(node, last_seconds=0.2)
    assert (code, node.is_settled) == (NOTHING_LEFT, True)
    assert node.deliveries()[due.id][0] == DeliveryStatus.SUCCEEDED
    assert "Ends without waiting for what hooks left behind: left by a hook\n" in said
    assert "not flushed yet" in said


def test_a_job_that_never_ends_keeps_its_loop_from_closing_and_not_its_process_from_ending(node: DeadNode) -> None:
    _, (due,), records = entering(Failed(), leaves_a_job)
    node.write(*records)
    code, said = replay_process(node, last_seconds=0.2)
    assert code == MORE
    assert node.deliveries()[due.id][0] == DeliveryStatus.FAILED
    assert "Ends without waiting for what hooks left behind: asyncio_0" in said
    assert replay_process(node, last_seconds=0.2) == (NOTHING_LEFT, "")


def test_a_thread_that_ends_soon_and_what_is_to_run_at_exit_are_waited_for(node: DeadNode) -> None:
    _, _, records = entering(Failed(), leaves_a_short_thread)
    node.write(*records)
    code, said = replay_process(node, last_seconds=DEADLINE)
    assert code == NOTHING_LEFT
    assert said.splitlines()[-2:] == ["thread", "exit"]
