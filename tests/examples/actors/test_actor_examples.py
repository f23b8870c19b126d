"""Each program in `examples/actors/` runs, and prints the same on every back end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.engine.scripts import WATCHDOG_SECONDS, ended

from actwright_actors.backends import BackendName

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "actors"

PRINTS = {
    "counter": (
        "ten tasks have counted to 1000\n"
        "the counter ends: Normal()\n"
        "nobody handles what is told to the dead: 1 dead letter\n"
        "who asks is told: Actor 'counter' cannot answer: it ended with Normal(). Ask a live actor, or handle "
        "ActorDead.\n"
    ),
    "dining_philosophers": (
        "Aristotle ate 3 times\n"
        "Hypatia ate 3 times\n"
        "Plato died of a fishbone\n"
        "Socrates ate 3 times\n"
        "Thales ate 3 times\n"
    ),
    "echo_service": (
        "ann hears b'hello\\n'\n"
        "eve's connection is closed\n"
        "ann hears b'still there?\\n'\n"
        "the listener is closed\n"
        "ann hears b'goodbye\\n'\n"
    ),
    "state_machine": (
        "the door is LOCKED\n"
        "ann rings\n"
        "the door is OPEN\n"
        "welcome, ann\n"
        "the door is LOCKED\n"
        "locked indeed\n"
    ),
    "worker_pool": (
        "100 / 0: division by zero\n"
        "100 / 1: 100.0\n"
        "100 / 2: 50.0\n"
        "100 / 3: 33.333333333333336\n"
        "100 / 4: 25.0\n"
        "100 / 5: 20.0\n"
        "100 / 6: 16.666666666666668\n"
        "100 / 7: 14.285714285714286\n"
        "8 jobs, 3 at once and then one every 0.05 s, took at least 0.2 s: True\n"
        "the most that waited in the mailbox: 2\n"
    ),
}  # fmt: skip


def command(name: str, backend: BackendName) -> list[str]:
    """How a reader runs the program; on another back end than its own, its `main` is run as its last line does."""
    if backend == "asyncio":
        return [sys.executable, "-W", "error", f"{name}.py"]
    run = "anyio.run(it.main, backend=backend, backend_options=options)"
    chosen = f"backend, options = backends.backend_options({backend!r})"
    return [
        sys.executable,
        "-W",
        "error",
        "-c",
        f"import anyio, {name} as it; from actwright_actors import backends; {chosen}; {run}",
    ]


def test_no_actor_example_goes_untested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PRINTS)


@pytest.mark.parametrize("backend", get_args(BackendName))
@pytest.mark.parametrize("name", PRINTS)
def test_an_actor_example_prints_the_same_on_every_back_end(name: str, backend: BackendName) -> None:
    program = command(name, backend)
    ran = subprocess.run(program, cwd=EXAMPLES, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (0, PRINTS[name]), ran.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_echo_service_serves_on_its_port_and_says_goodbye_when_it_is_told_to_end() -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-W", "error", "echo_service.py", str(port)], cwd=EXAMPLES, stdout=subprocess.PIPE, text=True
    )
    with ended(server):
        assert server.stdout is not None
        assert server.stdout.readline() == f"echo service on 127.0.0.1:{port}\n"
        with socket.create_connection(("127.0.0.1", port), timeout=WATCHDOG_SECONDS) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
            server.send_signal(signal.SIGTERM)
            assert client.recv(100) == b"goodbye\n"
        assert server.wait(WATCHDOG_SECONDS) == 0
