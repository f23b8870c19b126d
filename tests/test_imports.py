"""What importing costs: nothing is started, opened or configured, and what only some programs need is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROBE = """
import json, logging, sys

opened = []
def audit(event, args):
    if event == "open" and not str(args[0]).endswith((".py", ".pyc", ".so")) and args[0] not in (".", ""):
        opened.append([str(args[0]), str(args[1])])
sys.addaudithook(audit)

{program}

import threading
print(json.dumps({{
    "threads": [thread.name for thread in threading.enumerate()],
    "opened": opened,
    "handlers": [repr(handler) for handler in logging.getLogger().handlers + logging.getLogger("actwright").handlers],
    "levels": [logging.getLogger(name).level for name in ("", "actwright")],
    "modules": sorted(sys.modules),
}}))
"""

DEFAULT_LEVELS = [30, 0]  # WARNING at the root; nothing of its own below

LATER = {
    "trio",
    "uvloop",
    "pydantic_settings",
    "typer",
    "rich",
    "coolname",
    "sqlalchemy",
    "fastapi",
    "httpx",
    "cryptography",
    "cronsim",
    "dateutil",
    "prometheus_client",
    "pythonjsonlogger",
    "opentelemetry",
    "actwright.engine",
}


def after(program: str) -> dict[str, Any]:
    """What a bare Python finds about itself after this program."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE.format(program=program)],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


LEAN = ["from actwright import flow, task", "import actwright_actors"]


@pytest.mark.parametrize("program", [*LEAN, "from actwright import *"])
def test_importing_starts_no_thread_and_configures_no_logging(program: str) -> None:
    found = after(program)
    assert found["threads"] == ["MainThread"]
    assert found["handlers"] == []
    assert found["levels"] == DEFAULT_LEVELS


@pytest.mark.parametrize("program", LEAN)
def test_importing_opens_no_file_but_modules(program: str) -> None:
    assert after(program)["opened"] == []


@pytest.mark.parametrize("program", LEAN)
def test_importing_loads_only_what_every_program_needs(program: str) -> None:
    loaded = set(after(program)["modules"])
    assert loaded & LATER == set()


def test_writing_a_flow_loads_no_more() -> None:
    loaded = set(after("from actwright import flow\n@flow\ndef work(number: int) -> int: return number")["modules"])
    assert loaded & LATER == set()


@pytest.mark.parametrize("name", ["trio", "typer", "rich", "pythonjsonlogger"])
def test_running_a_flow_on_asyncio_never_loads_what_it_does_not_use(name: str) -> None:
    program = """
from actwright import flow
import anyio
@flow
async def work(): ...
anyio.run(work)
"""
    assert name not in after(program)["modules"]
