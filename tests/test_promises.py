"""How far README's promise reaches in this version, where it ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAITS = """
import anyio
from actwright import flow, run_flow

def tell(flow, flow_run, state):
    print(state.name, flush=True)

@flow(on_running=[tell], on_cancellation=[tell], on_crashed=[tell], on_end=[tell])
async def endless():
    await anyio.sleep_forever()

anyio.run(run_flow, endless)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_what_kills_a_process_with_a_loop_of_its_own_takes_the_hooks_with_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Running\n"
        process.send_signal(number)
        assert process.stdout.read() == ""
    assert process.returncode == -number
