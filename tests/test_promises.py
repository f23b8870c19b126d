"""How far README's promise reaches: what kills a process does not take its hooks with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENDLESS = """
import os, sys
from pathlib import Path
import anyio
from actwright import flow, run_flow

def tell(flow, flow_run, state):
    with open("told.txt", "a") as told:
        print(state.name, file=told)

@flow(on_running=[tell], on_cancellation=[tell], on_crashed=[tell], on_end=[tell])
async def endless():
    print("begun", flush=True)
    await anyio.sleep_forever()

if __name__ == "__main__":
    anyio.run(run_flow, endless)
"""

NEXT_PROGRAM = """
from actwright import flow

@flow
def trivial(): ...

if __name__ == "__main__":
    trivial()
"""


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "program.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def lines_told(folder: Path, count: int) -> list[str]:
    """What the hooks have told, once that is so much; or after 20 s."""
    told, deadline = folder / "told.txt", time.monotonic() + 20
    lines: list[str] = []
    while len(lines) < count and time.monotonic() < deadline:
        time.sleep(0.02)
        lines = told.read_text().splitlines() if told.exists() else []
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_what_kills_a_process_leaves_its_hooks_to_the_understudy(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "true")
    with start(ENDLESS, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
    assert process.returncode == -number
    assert lines_told(tmp_path, 3) == ["Running", "Crashed", "Crashed"]


def test_where_the_understudy_died_too_the_next_program_sees_to_the_hooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(ENDLESS, tmp_path) as process:  # without an understudy: as good as a dead one
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.kill()
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "true")
    with start(NEXT_PROGRAM, tmp_path) as process:
        pass
    assert process.returncode == 0
    assert lines_told(tmp_path, 3) == ["Running", "Crashed", "Crashed"]
    assert not list(Path(os.environ["ACTWRIGHT_HOME"], "nodes").glob("*.log"))[1:]
