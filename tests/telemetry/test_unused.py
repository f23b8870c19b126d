"""A program that does not use OpenTelemetry never loads it, and keeps nothing of it."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scripts import run_script

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import anyio
from actwright import flow, run_flow, task
from actwright.client import get_client
from actwright.serving import Service

def tell(*_): pass

@task(retries=1)
def part():
    raise ValueError("no")

@flow(on_end=[tell])
def whole():
    part(return_state=True)

@flow(isolation="process")
def apart():
    return "opentelemetry" in sys.modules

async def main():
    async with Service(whole), get_client() as client:
        run = await client.submit_flow(whole)
        await run.wait()
        print(await run_flow(apart))

if __name__ == "__main__":
    whole()
    anyio.run(main)
    print("opentelemetry" in sys.modules)
"""


def runs_well(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    ran = run_script(folder, program)
    assert ran.returncode == 0, ran.stderr
    return ran


def carried(home: Path) -> list[Any]:
    """What history has of contexts."""
    with closing(sqlite3.connect(home / "actwright.db")) as journal:
        of_runs = journal.execute("SELECT trace_context FROM runs").fetchall()
        return [value for (value,) in of_runs + journal.execute("SELECT caller_context FROM submissions").fetchall()]


def test_it_is_loaded_by_no_run_no_hook_no_submission_and_no_isolated_body(
    tmp_path: Path, actwright_home: Path
) -> None:
    ran = run_script(tmp_path, PROGRAM)
    assert ran.stdout.splitlines() == ["False", "False"], ran.stderr
    assert carried(actwright_home) == [None] * 6


def test_where_no_provider_is_set_nothing_is_made_of_it(tmp_path: Path, actwright_home: Path) -> None:
    runs_well(tmp_path, f"from opentelemetry import trace, metrics\n{PROGRAM}")
    assert carried(actwright_home) == [None] * 6


def test_a_provider_that_the_environment_names_is_used(
    tmp_path: Path, actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    runs_well(tmp_path, PROGRAM)
    *of_runs, of_submission = carried(actwright_home)
    assert all("traceparent" in each for each in of_runs)
    assert of_submission is None


def test_one_that_the_environment_names_and_that_there_is_not_fails_no_run(
    tmp_path: Path, actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "no_such_provider")
    ran = runs_well(tmp_path, PROGRAM)
    assert ran.stderr.count("OpenTelemetry raised") == ran.stderr.count("Failed to load") == 1
    assert carried(actwright_home) == [None] * 6


def test_a_propagator_that_the_environment_names_and_that_there_is_not_fails_no_run(
    tmp_path: Path, actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    monkeypatch.setenv("OTEL_PROPAGATORS", "no_such_propagator")
    ran = runs_well(tmp_path, PROGRAM)
    assert ran.stderr.count("OpenTelemetry raised") == 1
    assert carried(actwright_home) == [None] * 6
