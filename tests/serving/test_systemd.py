"""What systemd hears of a service, over a real socket."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving.processes import a_service

from actwright.exceptions import ServiceFailed
from actwright.serving.systemd import Systemd


@pytest.fixture(params=["of a file", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has one, and its name in the environment."""
    name = str(tmp_path / "notify") if request.param == "of a file" else f"@actwright-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        there.settimeout(30)
        yield there, name


def test_what_is_said_arrives_as_one_datagram_with_a_line_for_each(listening: tuple[socket.socket, str]) -> None:
    there, name = listening
    Systemd(name).tell("READY=1", "STATUS=Serving flow 'fröhlich'")
    assert there.recv(4096).decode().split("\n") == ["READY=1", "STATUS=Serving flow 'fröhlich'"]


def test_where_nobody_asked_nothing_is_said() -> None:
    Systemd.of_environment({}).tell("READY=1")


def test_a_socket_that_is_not_there_or_full_costs_a_warning_and_not_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Systemd(str(tmp_path / "none")).tell("READY=1")
    assert "does not hear READY=1: [Errno 2]" in caplog.text
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(str(tmp_path / "full"))
        while "does not hear WATCHDOG=1" not in caplog.text:
            Systemd(str(tmp_path / "full")).tell("WATCHDOG=1")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_for_whom_systemd_says(environment: dict[str, str], seconds: float | None) -> None:
    assert Systemd.of_environment(environment).watchdog_seconds == seconds


def test_what_systemd_does_not_say_is_refused() -> None:
    with pytest.raises(ServiceFailed, match="WATCHDOG_USEC"):
        Systemd.of_environment({"WATCHDOG_USEC": "soon"})


@pytest.mark.slow
@pytest.mark.parametrize("listening", ["of a file"], indirect=True)
def test_a_service_says_that_it_is_ready_that_it_lives_and_that_it_stops(
    listening: tuple[socket.socket, str], told: Callable[[], list[str]]
) -> None:
    there, name = listening
    with a_service("quick", NOTIFY_SOCKET=name, WATCHDOG_USEC="100000") as service:
        heard = [there.recv(4096).decode() for _ in range(4)]
        service.send(signal.SIGTERM)
        while "STOPPING=1" not in heard:
            heard.append(there.recv(4096).decode())
        assert service.exit_code() == 0
    assert "READY=1\nSTATUS=Serving flow 'quick'" in heard
    assert heard.count("WATCHDOG=1") >= 2
    assert told() == []
