"""What the health endpoint answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actwright.models.health import Health, Phase, Takeover
from actwright.serving.pages import PATHS, page
from actwright.serving.prometheus import CONTENT_TYPE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WELL = Health(
    phase=Phase.SERVING,
    at=NOW,
    since=NOW,
    serves=("flow 'report'",),
    claimed=2,
    limit=3,
    waiting=4,
    waiting_seconds=1.5,
    open_runs=5,
    due_hooks=6,
    ended_runs={"flow COMPLETED": 7, "task FAILED": 8},
    ended_hooks={"on_failure SUCCEEDED": 9},
    restarts=10,
    loop_lag_seconds=0.25,
    journal_lag_seconds=0.5,
    takeover=Takeover.AT_NEXT_START,
)


def health(**changes: Any) -> Health:
    return WELL.model_copy(update=changes)


@pytest.mark.parametrize(
    ("of", "ready"),
    [
        (health(), 200),
        (health(phase=Phase.STARTING), 503),
        (health(phase=Phase.DRAINING), 503),
        (health(phase=Phase.FAILED, trouble=("it fell",)), 503),
        (health(trouble=("the journal is away",)), 503),
    ],
)
def test_it_is_ready_while_it_serves_without_trouble_and_alive_always(of: Health, ready: int) -> None:
    found = page("/readyz", of)
    assert found.status == ready
    assert json.loads(found.body) == {"status": of.phase, "trouble": list(of.trouble)}
    assert (page("/livez", of).status, page("/livez", of).body) == (200, found.body)


def test_status_is_all_that_the_service_tells_and_is_read_back_as_that() -> None:
    found = page("/status", WELL)
    assert (found.status, found.content_type) == (200, "application/json")
    assert Health.model_validate_json(found.body) == WELL


def test_another_path_is_told_which_there_are() -> None:
    assert page("/", WELL).status == 404
    assert all(path in page("/status/", WELL).body for path in PATHS)


def samples(of: Health) -> Iterator[tuple[str, str, float]]:
    found = page("/metrics", of)
    assert (found.status, found.content_type) == (200, CONTENT_TYPE)
    for family in text_string_to_metric_families(found.body):
        for each in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
            yield each.name, labels, each.value


def test_a_scraper_reads_every_number_and_how_the_process_is() -> None:
    found = {(name, labels): value for name, labels, value in samples(WELL)}
    assert {key: value for key, value in found.items() if key[0].startswith("actwright_")} == {
        ("actwright_service_info", "takeover=at next start,version=0.1.0"): 1,
        ("actwright_ready", ""): 1,
        ("actwright_claimed_runs", ""): 2,
        ("actwright_claimed_runs_limit", ""): 3,
        ("actwright_waiting_submissions", ""): 4,
        ("actwright_waiting_seconds", ""): 1.5,
        ("actwright_open_runs", ""): 5,
        ("actwright_due_hooks", ""): 6,
        ("actwright_runs_ended_total", "kind=flow,state=COMPLETED"): 7,
        ("actwright_runs_ended_total", "kind=task,state=FAILED"): 8,
        ("actwright_hooks_ended_total", "event=on_failure,status=SUCCEEDED"): 9,
        ("actwright_restarts_total", ""): 10,
        ("actwright_loop_lag_seconds", ""): 0.25,
        ("actwright_journal_lag_seconds", ""): 0.5,
    }
    assert found["process_resident_memory_bytes", ""] > 0


def test_the_page_on_services_lists_each_metric_of_ours() -> None:
    page_on_services = (Path(__file__).parents[2] / "docs" / "services.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(actwright_\w+)`", page_on_services))
    assert listed == {name for name, _, _ in samples(WELL) if name.startswith("actwright_")}


def test_what_is_not_known_has_no_number() -> None:
    names = {name for name, _, _ in samples(health(limit=None, waiting=None, trouble=("the journal is away",)))}
    assert not names & {"actwright_claimed_runs_limit", "actwright_waiting_submissions", "actwright_waiting_seconds"}
    assert ("actwright_ready", "", 0) in list(samples(health(phase=Phase.DRAINING)))
