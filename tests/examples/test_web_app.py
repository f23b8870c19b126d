"""The web application, served by a real uvicorn: what a client's hanging up and a stop do to its runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.engine.scripts import WATCHDOG_SECONDS, ended

WEB_APP = Path(__file__).resolve().parents[2] / "examples" / "web_app.py"


class Server:
    """A server in a process of its own. It speaks in lines, and one at a time is waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines = process.stdout
        self.said: list[str] = []
        # Of port 0 the system makes a free one; uvicorn says which.
        self.address = self.says(r"Uvicorn running on http://(127\.0\.0\.1:\d+)")[1]
        self.url = f"http://{self.address}"

    def says(self, pattern: str) -> re.Match[str]:
        """Read on to a line that the pattern is found in."""
        assert self._lines is not None
        for line in self._lines:
            self.said.append(line.rstrip())
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"the server ended without saying {pattern!r}: {self.said}")

    def call_and_hang_up(self, method: str, path: str, when: str) -> None:
        """Make a request, and close the connection once the server has said `when`."""
        host, _, port = self.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=WATCHDOG_SECONDS) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
            self.says(when)

    def stop(self) -> None:
        """What a process manager does. It does not wait."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> list[str]:
        """Wait for its end; all that it said."""
        assert self._lines is not None
        self.said += self._lines.read().splitlines()
        assert self._process.wait() in (0, -signal.SIGTERM), self.said
        return self.said


@contextmanager
def served(**environment: str) -> Generator[Server]:
    process = subprocess.Popen(
        [sys.executable, WEB_APP], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {"PORT": "0"} | environment,
    )  # fmt: skip
    with ended(process):
        yield Server(process)


def test_a_run_inside_a_request_answers_it_and_a_submitted_one_is_answered_for_by_its_id() -> None:
    with served() as server:
        assert httpx.get(f"{server.url}/reports/ann").json() == "dear ann"
        answer = httpx.post(f"{server.url}/mails/bob")
        assert answer.status_code == 202
        server.says("^mail to bob: Completed")
        assert httpx.get(f"{server.url}/runs/{answer.json()}").json() == "Completed"


def test_a_run_inside_a_request_goes_on_when_the_client_hangs_up_since_nobody_tells() -> None:
    with served() as server:
        server.call_and_hang_up("GET", "/reports/ann?seconds=0.3", when="^report for ann: Running")
        server.says("^report for ann: Completed")


def test_a_run_inside_a_watched_request_is_cancelled_when_the_client_hangs_up() -> None:
    with served() as server:
        assert httpx.get(f"{server.url}/reports/eve?watch=true").json() == "dear eve"
        server.call_and_hang_up("GET", "/reports/ann?seconds=60&watch=true", when="^report for ann: Running")
        server.says("^report for ann: Cancelling")
        server.says("^report for ann: Cancelled")
        assert httpx.get(f"{server.url}/reports/bob").json() == "dear bob"


def test_a_submitted_run_goes_on_when_the_client_hangs_up() -> None:
    with served() as server:
        server.call_and_hang_up("POST", "/mails/ann?seconds=0.3", when="^mail to ann: Running")
        server.says("^mail to ann: Completed")


def test_a_server_that_stops_lets_requests_and_submitted_runs_end() -> None:
    with served() as server, ThreadPoolExecutor(1) as client:
        httpx.post(f"{server.url}/mails/bob?seconds=0.6")
        answer = client.submit(httpx.get, f"{server.url}/reports/ann?seconds=0.3", timeout=WATCHDOG_SECONDS)
        server.says("^report for ann: Running")
        server.stop()
        said = server.ended()
        assert answer.result().json() == "dear ann"
    assert {"report for ann: Completed", "mail to bob: Completed"} <= set(said)


@pytest.mark.parametrize("watch", ["false", "true"])
def test_a_server_that_stops_cancels_what_takes_too_long_and_its_hooks_run(watch: str) -> None:
    with served(REQUEST_SECONDS="1", DRAIN_SECONDS="0.2") as server, ThreadPoolExecutor(1) as client:
        httpx.post(f"{server.url}/mails/bob?seconds=60")
        url = f"{server.url}/reports/ann?seconds=60&watch={watch}"
        answer = client.submit(httpx.get, url, timeout=WATCHDOG_SECONDS)
        server.says("^report for ann: Running")
        server.stop()
        said = server.ended()
        assert answer.exception() is not None or answer.result().is_error
    for run in ("report for ann", "mail to bob"):
        states = [line for line in said if line.startswith(run)]
        assert states == [f"{run}: Running", f"{run}: Cancelling", f"{run}: Cancelled"]
