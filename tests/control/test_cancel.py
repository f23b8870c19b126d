"""`actwright runs cancel`: of runs in other processes, living, stopped and dead."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.control.shell import TOLD, act, printed
from tests.engine.scripts import EACH_BACKEND, Program, started
from tests.nodes.stage import wait_until

from actwright.client import requests
from actwright.journal.queries import has_open_hooks
from actwright.nodes.companion import Recovery, recover_dead
from actwright.settings import get_current_settings
from actwright_actors.backends import BackendName

pytestmark = [pytest.mark.slow, pytest.mark.costly]

PROGRAM = """
import time
from pathlib import Path
import anyio
from actwright import Runtime, flow, task, wait

def tell(flow, run, state):
    with (Path(__file__).parent / "told").open("a") as told:
        told.write(f"{run.name} {state.name} {state.message}\\n")

HOOKS = dict(on_cancellation=[tell], on_end=[tell], on_crashed=[tell])

@task(task_run_name="child-{number}", tags=["many"])
async def child(number):
    try:
        await anyio.sleep_forever()
    finally:
        print("unwound", number, flush=True)

@flow(flow_run_name="parent", tags=["web"], **HOOKS)
async def parent():
    children = [child.submit(number) for number in range(3)]
    await wait(children)

@flow(flow_run_name="plain", tags=["web"], **HOOKS)
def plain():
    print("ready plain", flush=True)
    go = Path(__file__).parent / "go"
    while not go.exists():
        time.sleep(0.01)

async def main():
    async with Runtime() as runtime:
        handles = [runtime.submit(parent), runtime.submit(plain)]
        await wait(handles)
        for handle in handles:
            print(handle.state.name, handle.state.message, flush=True)

if __name__ == "__main__":
    from actwright_actors.backends import backend_options
    name, options = backend_options(BACKEND)
    anyio.run(main, backend=name, backend_options=options)
"""


def program(folder: Path, backend: BackendName = "asyncio") -> AbstractContextManager[Program]:
    """Two flows that go on until they are cancelled, the plain one until there is a file `go`."""
    return started(folder, PROGRAM.replace("BACKEND", repr(backend)))


def told(folder: Path) -> list[str]:
    path = folder / TOLD
    return path.read_text().splitlines() if path.exists() else []


def states() -> dict[str, str]:
    return {run["name"]: run["state_name"] for run in printed("runs", "ls", "--all")}


def is_ready(running: Program) -> None:
    running.says("ready plain")
    wait_until(lambda: states().get("parent") == "Running")
    wait_until(lambda: list(states().values()).count("Running") == 5)


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_flow_of_another_process_is_cancelled_with_what_it_called_and_its_hooks_run_once(
    tmp_path: Path, backend: BackendName
) -> None:
    with program(tmp_path, backend=backend) as running:
        is_ready(running)
        document = printed("runs", "cancel", "parent", "--reason", "enough", "--wait")
        assert [(run["name"], run["outcome"], run["state_name"]) for run in document] == [
            ("parent", "cancelling", "Cancelled")
        ]
        found = states()
        assert found.pop("plain") == "Running"
        assert set(found.values()) == {"Cancelled"}
        (tmp_path / "go").touch()
        assert running.exit_code() == 0
    assert "Cancelled enough" in running.lines
    assert sorted(line for line in running.lines if line.startswith("unwound")) == [f"unwound {n}" for n in range(3)]
    assert [line for line in told(tmp_path) if line.startswith("parent")] == [
        "parent Cancelling enough", "parent Cancelled enough"
    ]  # fmt: skip


def test_a_plain_body_of_another_process_is_interrupted(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        for name in ("plain", "parent"):
            [run] = printed("runs", "cancel", name, "--reason", "enough", "--wait")
            assert run["state_name"] == "Cancelled"
        assert running.exit_code() == 0
    assert not (tmp_path / "go").exists()
    assert [line for line in told(tmp_path) if line.startswith("plain")] == [
        "plain Cancelling enough", "plain Cancelled enough"
    ]  # fmt: skip


HOOK_AFTER_THE_END = """
import time
from pathlib import Path
import anyio
from actwright import flow, run_flow

def waits(flow, run, state):
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.01)
    Path(__file__).with_name("told").write_text("done")

@flow(flow_run_name="late", on_end=[waits])
async def late():
    print("ready", flush=True)
    await anyio.sleep_forever()

if __name__ == "__main__":
    anyio.run(run_flow, late)
"""


def test_wait_is_for_the_hooks_too_also_for_those_of_the_final_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_and_let_it_go_on(connection: Connection, run_id: str) -> bool:
        (tmp_path / "go").touch()
        return has_open_hooks(connection, run_id)

    monkeypatch.setattr(requests, "has_open_hooks", look_and_let_it_go_on)
    with started(tmp_path, HOOK_AFTER_THE_END) as running:
        running.says("ready")
        assert act("runs", "cancel", "late", "--wait").exit_code == 0
        assert told(tmp_path) == ["done"]
        running.exit_code()


def test_many_runs_are_cancelled_by_what_they_are(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        assert act("runs", "cancel", "--tag", "no such tag").stderr == "No open run is like that.\n"
        (tmp_path / "go").touch()
        ran = act("runs", "cancel", "--tag", "web", "--state", "running", "--reason", "all")
        assert ran.exit_code in (0, 1)  # the plain one may just have ended
        assert running.exit_code() == 0
    assert states()["parent"] == "Cancelled"


def test_one_task_run_is_cancelled_by_its_id_and_its_flow_goes_on(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        (one,) = [run["id"] for run in printed("runs", "ls", "--all") if run["name"] == "child-1"]
        ran = act("runs", "cancel", one[:13], "--wait")
        assert ran.exit_code == 0
        assert "child-1  cancelling  Cancelled" in ran.stdout
        found = states()
        assert (found["child-0"], found["child-1"], found["parent"]) == ("Running", "Cancelled", "Running")
        (tmp_path / "go").touch()
        assert act("runs", "cancel", "parent").exit_code == 0
        assert running.exit_code() == 0


def test_a_run_whose_process_is_dead_ends_cancelled_and_its_hooks_run(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        running.send(signal.SIGKILL)
        assert running.exit_code() == 128 + signal.SIGKILL
    assert states()["parent"] == "Running"
    assert told(tmp_path) == []
    document = printed("runs", "cancel", "parent", "--reason", "too late", "--timeout", "30", "--wait")
    assert [(run["outcome"], run["state_name"]) for run in document] == [("cancelling", "Cancelled")]
    wait_until(lambda: len(told(tmp_path)) >= 4)
    found = states()
    assert {name: found[name] for name in ("parent", "child-0", "child-1", "child-2", "plain")} == {
        "parent": "Cancelled", "child-0": "Cancelled", "child-1": "Cancelled", "child-2": "Cancelled",
        "plain": "Crashed",
    }  # fmt: skip
    assert [line for line in told(tmp_path) if line.startswith("parent")] == [
        "parent Cancelling too late", "parent Cancelled too late"
    ]  # fmt: skip
    wait_until(lambda: not printed("nodes"))
    again = act("runs", "cancel", "parent")
    assert again.exit_code == 1
    assert "already Cancelled" in again.stdout


def test_all_that_is_asked_of_a_dead_process_is_written_down_before_its_recovery_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        running.send(signal.SIGKILL)
        running.exit_code()
    asked: list[int] = []

    def recover(recovery: Recovery) -> bool:
        with closing(sqlite3.connect(get_current_settings().database)) as journal:
            asked.append(journal.execute("SELECT count(*) FROM commands").fetchone()[0])
        return recover_dead(recovery)

    monkeypatch.setattr(requests, "recover_dead", recover)
    document = printed("runs", "cancel", "--tag", "web", "--timeout", "30")
    assert {run["name"]: run["state_name"] for run in document} == {"parent": "Cancelled", "plain": "Cancelled"}
    assert set(asked) == {2}
    wait_until(lambda: not printed("nodes"))


def test_a_run_on_a_stopped_node_is_cancelled_once_that_goes_on(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        running.send(signal.SIGSTOP)
        ran = act("runs", "cancel", "parent", "--timeout", "0.5", "--reason", "asked in its sleep")
        assert ran.exit_code == 1
        assert "unanswered" in ran.stdout
        assert "The request is kept" in ran.stdout
        running.send(signal.SIGCONT)
        wait_until(lambda: states()["parent"] == "Cancelled")
        (tmp_path / "go").touch()
        assert running.exit_code() == 0
    assert "parent Cancelled asked in its sleep" in told(tmp_path)


def test_a_request_that_was_kept_is_met_by_the_recovery_of_a_process_that_dies_in_its_sleep(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        running.send(signal.SIGSTOP)
        assert act("runs", "cancel", "parent", "--timeout", "0.2", "--reason", "first").exit_code == 1
        assert act("runs", "cancel", "parent", "--timeout", "0.2", "--reason", "second").exit_code == 1
        running.send(signal.SIGKILL)
        running.exit_code()
    assert act("recover").exit_code == 0
    assert states()["parent"] == "Cancelled"
    assert [line for line in told(tmp_path) if line.startswith("parent")] == [
        "parent Cancelling first", "parent Cancelled first"
    ]  # fmt: skip


def test_what_cannot_be_cancelled_is_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    with program(tmp_path) as running:
        is_ready(running)
        unknown = act("runs", "cancel", "nobody")
        assert unknown.exit_code == 2
        assert "There is no run 'nobody'" in unknown.stderr
        both = act("runs", "cancel", "parent", "--tag", "web")
        assert both.exit_code == 2
        assert "one of both" in both.stderr
        assert act("runs", "cancel").exit_code == 2
        assert act("runs", "cancel", "--state", "nonsense").exit_code == 2
        assert act("runs", "cancel", "parent", "--wait").exit_code == 0
        final = act("runs", "cancel", "parent")
        assert final.exit_code == 1
        assert "already Cancelled" in final.stdout
        (tmp_path / "go").touch()
        assert running.exit_code() == 0


@pytest.mark.parametrize("timeout", ["inf", "1e999", "nan", "-1", "soon"])
def test_a_timeout_that_is_no_length_of_time_is_a_mistake_in_the_command_line(timeout: str) -> None:
    ran = act("runs", "cancel", "parent", "--timeout", timeout)
    assert ran.exit_code == 2
    assert "Invalid value for '--timeout'" in ran.stderr


def test_without_a_journal_nothing_can_be_cancelled(actwright_home: Path) -> None:
    ran = act("runs", "cancel", "parent")
    assert ran.exit_code == 2
    assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()
