"""`actwright runs watch`: runs of other processes, while they go on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from sqlalchemy import Connection
from tests.control.following import a_waiting_program, command
from tests.control.shell import act, printed

from actwright import flow, run_flow
from actwright.control.following import follow
from actwright.journal.database import Database
from actwright.journal.progress import Progress
from actwright.settings import get_current_settings

pytestmark = pytest.mark.slow

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


def changes(text: str) -> list[str]:
    """The lines that were printed, without their times."""
    lines = text.splitlines()
    assert all(re.match(rf"{TIME} \| ", line) for line in lines), text
    return [line.split(" | ", 1)[1] for line in lines]


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it prints, up to the line with these words."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without saying {words!r}: {said}")


BEFORE = [
    "flow nightly 'nightly' | Pending",
    "flow nightly 'nightly' | Running",
    "task fetch 'fetch-Oslo' | Pending",
    "task fetch 'fetch-Oslo' | Running",
    "task fetch 'fetch-Oslo' | Completed",
]
AFTER = [
    "task fetch 'fetch-Rome' | Pending",
    "task fetch 'fetch-Rome' | Running",
    "task fetch 'fetch-Rome' | Completed",
]


def test_a_pipe_gets_what_has_been_and_then_each_change_as_it_comes_until_the_hooks_are_done(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "watch", "nightly") as watch:
        assert changes(read_until(watch, "'fetch-Oslo' | Completed")) == BEFORE
        program.send_line("go on")
        said = read_until(watch, "RUNNING")
        assert watch.poll() is None, "its hook is not done"
        program.send_line("hook")
        out, err = watch.communicate(timeout=30)
    lines = [line for line in changes(said + out) if " | DUE" not in line]
    hook = "hook on_completion tell of flow nightly 'nightly'"
    assert lines == [*AFTER, "flow nightly 'nightly' | Completed", f"{hook} | RUNNING", f"{hook} | SUCCEEDED"]
    assert (watch.returncode, err) == (0, "")


def test_a_run_that_did_not_complete_ends_it_with_1_and_says_why(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "watch", "nightly") as watch:
        program.send_line("fail")
        program.send_line("gone")
        out, _ = watch.communicate(timeout=30)
    assert watch.returncode == 1
    assert changes(out)[-1] == (
        "hook on_failure tell of flow nightly 'nightly' | FAILED | ValueError: the channel is gone"
    )
    assert "flow nightly 'nightly' | Failed | The body raised ConnectionError: no answer" in changes(out)


@flow(flow_run_name="one\x1b[2J\nline")
async def one() -> None: ...


def test_what_is_over_is_told_and_no_terminal_obeys_it() -> None:
    anyio.run(run_flow, one)
    (run,) = printed("runs", "ls")
    ran = act("runs", "watch", run["id"])
    assert ran.exit_code == 0
    assert changes(ran.stdout) == [
        f"flow one 'one\\x1b[2J\\nline' | {state}" for state in ("Pending", "Running", "Completed")
    ]


def test_as_json_each_event_is_a_document_in_a_line_with_these_keys(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "watch", "nightly", "-o", "json") as watch:
        program.send_line("die")
        read_until(watch, '"process"')
        assert act("recover").exit_code == 1  # standard input is closed there, and the hook fails
        out, err = watch.communicate(timeout=30)
    assert (watch.returncode, err) == (1, "")
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    keys = {
        "state": {"event", "at", "run", "state"},
        "hook": {"event", "at", "delivery"},
        "process": {"event", "at", "status", "node_id", "holder_pid"},
    }
    assert all(set(event) == keys[event["event"]] for event in events)
    crashed = next(event for event in events if event["event"] == "state" and event["run"]["name"] == "nightly")
    assert set(crashed["run"]) == {"id", "kind", "subject", "name", "parent_id"}
    assert (crashed["state"]["type"], crashed["run"]["kind"]) == ("CRASHED", "flow")
    assert [event["delivery"]["status"] for event in events if event["event"] == "hook"][-1] == "FAILED"


def test_of_a_dead_process_it_says_so_and_follows_the_recovery_whenever_that_comes(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, command("runs", "watch", "nightly") as watch:
        program.send_line("die")
        said = read_until(watch, "is dead")
        assert "`actwright recover`" in said
        assert watch.poll() is None
        act("recover")
        out, err = watch.communicate(timeout=30)
    assert (watch.returncode, err) == (1, "")
    assert any(line.startswith("flow nightly 'nightly' | Crashed | Its process (pid ") for line in changes(out))
    assert changes(out)[-1].startswith("hook on_crashed tell of flow nightly 'nightly' | FAILED")


def test_a_recovery_by_the_understudy_is_followed_to_the_end(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path, understudy="true") as program, command("runs", "watch", "nightly") as watch:
        program.send_line("die")
        out, _ = watch.communicate(timeout=30)
    assert watch.returncode == 1
    assert changes(out)[-1].startswith("hook on_crashed tell of flow nightly 'nightly' | FAILED")


def test_ctrl_c_ends_it_quietly_and_the_run_goes_on(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program:
        with command("runs", "watch", "nightly") as watch:
            read_until(watch, "'fetch-Oslo' | Completed")
            watch.send_signal(signal.SIGINT)
            _, err = watch.communicate(timeout=30)
        assert (watch.returncode, err) == (130, "")
        program.send_line("go on")
        program.send_line("hook")
        assert program.exit_code() == 0


@contextmanager
def a_terminal(rows: int = 30) -> Generator[tuple[int, int]]:
    """A terminal, and the end of it that a program gets."""
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
    try:
        yield terminal, its_end
    finally:
        os.close(terminal)


def all_of(terminal: int) -> str:
    said = b""
    while True:
        try:
            said += os.read(terminal, 65_536)
        except OSError:  # nobody has the other end any more
            return said.decode()


def test_on_a_terminal_it_is_drawn_in_place_with_few_frames_and_stays_as_it_ended(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path) as program, a_terminal() as (terminal, its_end):
        began = time.monotonic()
        terms = {"TERM": "xterm", "NO_COLOR": "1"}
        with command("runs", "watch", "nightly", stdout=its_end, environment=terms) as watch:
            os.close(its_end)
            drawn = ""
            while "fetch-Oslo" not in drawn:
                drawn += os.read(terminal, 65_536).decode()
            program.send_line("go on")
            program.send_line("hook")
            drawn += all_of(terminal)
            assert watch.wait(30) == 0
        took = time.monotonic() - began
    frames = drawn.split("nightly  ")[1:]
    assert len(frames) <= 4 * took + 3
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", frames[-1])
    for part in ("Completed", "on_completion tell  SUCCEEDED", "fetch-Oslo  Completed", "fetch-Rome  Completed"):
        assert part in last
    assert "\x1b[?25h" in drawn, "the cursor is back"


def test_a_run_that_is_deleted_meanwhile_ends_it(tmp_path: Path) -> None:
    with a_waiting_program(tmp_path), command("runs", "watch", "nightly") as watch:
        read_until(watch, "'fetch-Oslo' | Completed")
        with closing(Database.open(get_current_settings().database)) as database, database.writing() as connection:
            for table in ("runs", "transitions"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        _, err = watch.communicate(timeout=30)
    assert (watch.returncode, err) == (1, "actwright: The run was deleted while it was followed.\n")


def test_while_nobody_writes_nothing_is_asked_of_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_waiting_program(tmp_path) as program:
        (run,) = printed("runs", "ls")
        with closing(Database.open(get_current_settings().database)) as database:
            asked: list[str] = []
            reading = database.reading

            def counted() -> AbstractContextManager[Connection]:
                asked.append("a transaction")
                return reading()

            monkeypatch.setattr(database, "reading", counted)
            looks = follow(database, Progress(UUID(run["id"])))
            assert next(looks)
            for _ in range(15):  # more than half a second: also whether its process lives has been asked
                assert next(looks) == []
            assert len(asked) == 1
            program.send_line("go on")
            program.send_line("hook")
            news = [each for look in looks for each in look]
    assert news
    assert len(asked) > 1
