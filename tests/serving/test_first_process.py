"""A service as the first process of a container: here a process that orphans fall to, as they do to that one."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from tests.engine.scripts import run_script, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere orphans fall to nobody but process 1"),
]

PROGRAM = """
import ctypes, os, signal, subprocess, sys, time
from actwright.serving.first_process import leave_to_child

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
real, os.getpid = os.getpid, lambda: 1
leave_to_child()
os.getpid = real
BODY
"""


def program(body: str) -> str:
    return PROGRAM.replace("BODY", body)


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", 137), ("pass", 0)],
    ids=["an exit code", "killed", "well"],
)
def test_it_ends_as_its_child_does(tmp_path: Path, end: str, code: int) -> None:
    assert run_script(tmp_path, program(end)).returncode == code


def test_a_signal_reaches_the_child_and_orphans_are_reaped_meanwhile(tmp_path: Path) -> None:
    body = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
orphan = int(subprocess.run(["sh", "-c", "sleep 0 >/dev/null & echo $!"], capture_output=True).stdout)
while os.path.exists(f"/proc/{orphan}"):
    time.sleep(0.001)
print("ready", flush=True)
time.sleep(60)
"""
    with started(tmp_path, program(body)) as running:
        running.says("ready")
        running.send(signal.SIGTERM)
        assert running.exit_code() == 3


def test_who_is_at_work_when_the_child_is_killed_has_time_to_end(tmp_path: Path) -> None:
    """As the understudy, which runs the hooks of a service that was killed."""
    body = f"""
subprocess.Popen(["sh", "-c", "sleep 0.3; touch {tmp_path}/done"])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_script(tmp_path, program(body)).returncode == 137
    assert (tmp_path / "done").exists()
