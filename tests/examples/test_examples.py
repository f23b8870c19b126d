"""Each program in `examples/` runs, and prints what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TESTED_ELSEWHERE = {"cloud_run_job.py", "notify_slack.py", "web_app.py"}

PRINTS = {
    "first_flow.py": "Crashed: deleting the cloud job 'gpu-7'\nnightly ended Crashed\n",
    "hooks_of_flows_and_tasks.py": (
        "task my_task: Failed, The body raised ValueError: meh\n"
        "flow my-flow: Completed\n"
    ),
    "several_hooks.py": (
        "Task run succeeded!\n"
        "If the task run succeeds or fails, this hook runs.\n"
        "Task run failed!\n"
        "If the task run succeeds or fails, this hook runs.\n"
    ),
    "hook_with_default_argument.py": "custom_value Completed\n",
    "hook_with_keyword_arguments.py": "foo 42 Failed\n",
    "isolated_bodies.py": (
        "parse fine: Completed in attempt 1\n"
        "parse broken: Crashed in attempt 2\n"
        "parse endless: TimedOut in attempt 1\n"
        "['Completed', 'Crashed', 'TimedOut']\n"
    ),
    "sync_script.py": "4 pages: Running\n4 pages: Completed\n12 rows\n",
    "trio_program.py": (
        "wind: Completed, lock released\n"
        "wind measured\n"
        "frost: Cancelling, lock released\n"
        "frost was cancelled: True\n"
        "rain: Completed, lock released\n"
        "rain measured\n"
    ),
}  # fmt: skip


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=EXAMPLES, env=os.environ | environment,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_no_example_goes_untested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTS) | TESTED_ELSEWHERE


@pytest.mark.parametrize("name", PRINTS)
def test_an_example_prints_what_it_should(name: str) -> None:
    ran = run(name)
    assert (ran.returncode, ran.stdout) == (0, PRINTS[name]), ran.stderr


@pytest.mark.parametrize(
    ("name", "without", "says"),
    [
        ("trio_program.py", "trio", "This example needs trio: pip install trio\n"),
        ("web_app.py", "fastapi", "This example needs FastAPI and uvicorn: pip install fastapi uvicorn\n"),
    ],
)
def test_an_example_says_what_it_needs_where_that_is_not_installed(name: str, without: str, says: str) -> None:
    program = f"import sys, runpy; sys.modules[{without!r}] = None; runpy.run_path({name!r}, run_name='__main__')"
    ran = run("-c", program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", says)
