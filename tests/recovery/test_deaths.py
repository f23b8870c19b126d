"""However a process dies, its hooks run, and the log says what happened."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from textwrap import indent

import pytest
from tests.conftest import BACKENDS
from tests.isolation.helpers import is_gone
from tests.recovery.scene import DEADLINE, WORK, Scene
from tests.recovery.trial import within

from actwright.journal.database import Database
from actwright.journal.upkeep import check
from actwright.nodes.program import Program

pytestmark = pytest.mark.slow

CRASHED = ["began", "work: Crashed"]

STUCK_SECONDS = 30.0
"""For so long a body may keep its loop from doing anything else, and its process counts as alive."""


@pytest.mark.parametrize(
    ("death", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os._exit(3)", 3),
        ("os.abort()", -signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGHUP); time.sleep(60)", -signal.SIGHUP),
    ],
    ids=["SIGKILL", "os._exit", "abort", "segmentation fault", "SIGHUP"],
)
def test_hooks_run_whatever_ended_the_process(scene: Scene, death: str, code: int) -> None:
    assert scene.dies(death) == code
    assert scene.settles()
    assert scene.told() == CRASHED
    assert scene.states() == [("work", "Crashed")]
    assert "Hook 'hook' finished running successfully" in scene.log()
    ((message,),) = scene.rows("SELECT state_message FROM runs")
    assert re.fullmatch(r"Its process \(pid \d+ on .+\) died\. It was Running\.", message)


@pytest.mark.parametrize(
    ("number", "told", "code"),
    [
        (signal.SIGTERM, "work: Crashed", 143),
        (signal.SIGINT, "work: Cancelling", 130),
        (signal.SIGHUP, "work: Crashed", -1),
    ],
)
def test_a_signal_to_the_whole_group_runs_each_hook_once(
    scene: Scene, number: signal.Signals, told: str, code: int
) -> None:
    program = scene.start(WORK.format(death="    time.sleep(60)"))
    scene.until_ready(program)
    os.killpg(program.pid, number)
    assert program.wait(DEADLINE) in (code, -number)
    assert scene.settles()
    assert scene.told() == ["began", told]


def test_forked_children_that_live_on_hold_nothing_up(scene: Scene) -> None:
    death = "child = os.fork()\nif child == 0: time.sleep(20); os._exit(0)\nos.kill(os.getpid(), signal.SIGKILL)"
    scene.dies(death)
    assert within(5.0, lambda: not scene.locks())
    assert scene.told() == CRASHED


def test_a_program_that_replaces_itself_by_another_has_ended(scene: Scene) -> None:
    program = scene.start(WORK.format(death="    os.execv('/bin/sleep', ['sleep', '30'])"))
    scene.until_ready(program)
    assert scene.settles()
    assert program.poll() is None
    assert scene.told() == CRASHED


def test_an_understudy_that_is_killed_is_replaced_and_the_program_says_so(scene: Scene) -> None:
    program = scene.start(WORK.format(death="    time.sleep(60)"))
    scene.until_ready(program)
    (first,) = scene.understudies()
    os.kill(first, signal.SIGKILL)
    assert within(DEADLINE, lambda: [pid for pid in scene.understudies() if pid != first])
    program.kill()
    assert program.wait(DEADLINE) == -signal.SIGKILL
    assert scene.settles()
    assert scene.told() == CRASHED
    assert program.stdout is not None
    assert (
        f"(process {first}) died, while the process that it stands by for lives. Another one is"
        in program.stdout.read()
    )


LINGERING = """
def lingers(flow, flow_run, state):
    tell(f"pid {os.getpid()}")
    time.sleep(0.5)

@flow(on_crashed=[lingers])
def work():
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    work()
"""


def test_who_deletes_the_journal_leaves_no_replay_process_behind(scene: Scene) -> None:
    program = scene.start(LINGERING, journal_wait_seconds="1")
    assert program.wait(DEADLINE) == -signal.SIGKILL
    assert within(DEADLINE, lambda: bool(scene.told()))
    (said,) = scene.told()
    shutil.rmtree(scene.home)
    assert within(DEADLINE, lambda: is_gone(int(said.removeprefix("pid "))))
    assert within(DEADLINE, lambda: not scene.understudies())


AS_FIRST_PROCESS = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
"""As in a container: with this process end all others in there."""


def _may_be_first() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*AS_FIRST_PROCESS, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _may_be_first(), reason="this machine lets nobody have process ids of their own (unshare)")
def test_the_first_process_of_a_container_takes_its_understudy_with_it_and_says_that_the_next_start_takes_over(
    scene: Scene,
) -> None:
    death = indent("print(f'process {os.getpid()}')\nos._exit(9)", "    ")
    program = scene.start(WORK.format(death=death), by=AS_FIRST_PROCESS)
    said, _ = program.communicate(timeout=DEADLINE)
    assert program.returncode == 9
    assert "process 1\n" in said
    assert "this process is the first of its container, which ends with it" in said
    assert scene.told() == ["began"]
    scene.run("@flow\ndef later(): ...\nlater()")
    assert scene.settles()
    assert scene.told() == CRASHED


def test_with_both_killed_the_next_runtime_sees_to_it_and_says_so(scene: Scene) -> None:
    program = _both_killed(scene)
    assert scene.locks()
    assert scene.told() == ["began"]
    said = scene.run("@flow\ndef later(): time.sleep(0.1)\nlater()")
    assert scene.settles()
    assert scene.told() == CRASHED
    assert f"(pid {program.pid} on " in said
    assert "died, and runs of it are open or hooks due: they are seen to now." in said


def test_without_understudies_the_next_runtime_says_what_to_do(scene: Scene) -> None:
    _both_killed(scene)
    said = scene.run("@flow\ndef later(): pass\nlater()", understudy="false")
    assert "died, and runs of it are open or hooks due: `actwright recover` sees to them." in said
    assert scene.told() == ["began"]
    scene.run("@flow\ndef later(): pass\nlater()")
    assert scene.settles()
    assert scene.told() == CRASHED


def _both_killed(scene: Scene) -> subprocess.Popen[str]:
    program = scene.start(WORK.format(death="    time.sleep(60)"))
    scene.until_ready(program)
    os.kill(program.pid, signal.SIGSTOP)
    for understudy in scene.understudies():
        os.kill(understudy, signal.SIGKILL)
    assert within(DEADLINE, lambda: not scene.understudies())
    program.kill()
    program.wait(DEADLINE)
    return program


def test_eight_programs_at_once_find_one_dead_node_and_each_due_hook_runs_once(scene: Scene) -> None:
    _both_killed(scene)
    nexts = [scene.start("@flow\ndef later(): pass\nlater()", f"next{number}.py") for number in range(8)]
    assert [each.wait(DEADLINE) for each in nexts] == [0] * 8
    assert scene.settles()
    assert scene.told() == CRASHED


STUCK = """
@flow(on_crashed=[hook], on_completion=[hook])
async def stuck():
    tell("began")
    print("ready", flush=True)
    time.sleep({seconds})

async def main():
    async with Runtime(), Runtime(), anyio.create_task_group() as flows:
        flows.start_soon(run_flow, stuck)

if __name__ == "__main__":
    anyio.run(main, backend={backend!r}, backend_options={options!r})
"""


def test_processes_whose_loops_are_blocked_for_long_are_declared_dead_by_nobody(scene: Scene) -> None:
    stuck = [
        scene.start(STUCK.format(seconds=STUCK_SECONDS, backend=backend, options=options), f"stuck_{name}.py")
        for name, (backend, options) in BACKENDS.items()
    ]  # at once, since this takes long
    for program in stuck:
        scene.until_ready(program)
    busy = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for number in range(3):
            scene.run("@flow\ndef later(): pass\nlater()", f"next{number}.py")
        assert [program.wait(STUCK_SECONDS + DEADLINE) for program in stuck] == [0, 0, 0]
    finally:
        for each in busy:
            with each:
                each.kill()
    assert scene.settles()
    assert scene.told() == ["began"] * 3 + ["stuck: Completed"] * 3


def test_a_hook_that_ends_its_process_each_time_is_given_up_and_holds_nothing_up(scene: Scene) -> None:
    scene.start(
        """
def failed(delivery):
    tell(f"given up: {delivery.hook_name} after {delivery.cuts} cuts: {delivery.error}")

@flow(on_crashed=[exits, hook])
async def poisoned():
    tell("began")

@flow(on_crashed=[hook])
async def other():
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with Runtime(on_hook_failure=failed), anyio.create_task_group() as flows:
        flows.start_soon(run_flow, waits)
        await anyio.sleep(0.3)
        await run_flow(other)

@flow(on_crashed=[exits, hook])
async def waits():
    await anyio.sleep_forever()

if __name__ == "__main__":
    anyio.run(main)
"""
    ).wait(DEADLINE)
    assert scene.settles()
    told = scene.told()
    # Until its second cut it shares a process: whose hook runs beside it then may be cut short too, and is run again.
    assert {line for line in told if not line.startswith(("exits", "given up"))} == {"other: Crashed", "waits: Crashed"}
    assert told.count("waits: Crashed") == 1, "what comes after it in its run waits until it is given up"
    assert told.count("other: Crashed") <= 3
    rows = scene.rows("SELECT hook_name, status, attempt, cuts FROM hook_deliveries WHERE hook_name <> 'exits'")
    assert all(status == "SUCCEEDED" and attempt == cuts + 1 for _, status, attempt, cuts in rows)
    assert [line for line in told if line.startswith("exits")] == [f"exits in attempt {n}" for n in range(1, 6)]
    (given_up,) = [line for line in told if line.startswith("given up")]
    assert "given up: exits after 5 cuts: its process died each of the 3 times that it ran alone" in given_up
    assert "a replay process ended with exit code 9; " in scene.log()


def test_a_hook_that_ends_its_process_once_is_run_again_with_the_next_attempt(scene: Scene) -> None:
    scene.start(
        """
def once(flow, flow_run, state):
    tell(f"attempt {runtime.hook.attempt}, replayed {runtime.hook.replayed}")
    if runtime.hook.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)

@flow(on_crashed=[once])
def work():
    os._exit(1)

if __name__ == "__main__":
    work()
"""
    ).wait(DEADLINE)
    assert scene.settles()
    assert scene.told() == ["attempt 1, replayed True", "attempt 2, replayed True"]
    assert "a replay process was killed by signal 9; 0 in a row changed nothing." in scene.log()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("", "there is no 'notify' in it"),
        (None, "No module named 'hooks_of_mine'"),
        ("raise ImportError('no such cloud')", "no such cloud"),
        ("import sys; sys.exit(3)", "SystemExit"),
    ],
    ids=["renamed", "deleted", "raises", "exits"],
)
def test_a_hook_that_cannot_be_loaded_any_more_says_why_and_the_others_run(
    scene: Scene, change: str | None, why: str
) -> None:
    module = scene.folder / "hooks_of_mine.py"
    module.write_text("def notify(flow, flow_run, state): pass\n")
    program = scene.start(
        """
import hooks_of_mine

@flow(on_crashed=[hooks_of_mine.notify, hook])
def work():
    print("ready", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    work()
"""
    )
    scene.until_ready(program)
    module.unlink() if change is None else module.write_text(change)
    program.kill()
    program.wait(DEADLINE)
    assert scene.settles()
    assert scene.told() == ["work: Crashed"]
    ((status, error),) = scene.rows("SELECT status, error FROM hook_deliveries WHERE hook_name = 'notify'")
    assert status == "FAILED"
    assert "'notify' cannot be loaded" in error
    assert why in error
    assert error in scene.log()


def test_a_script_without_a_main_guard_does_not_run_again(scene: Scene) -> None:
    scene.start(WORK.format(death="    os._exit(1)").replace('if __name__ == "__main__":', "if True:")).wait(DEADLINE)
    assert scene.settles()
    assert scene.told() == CRASHED


def test_a_stopped_process_that_was_taken_over_is_fenced_when_it_goes_on(scene: Scene) -> None:
    program = scene.start(
        """
@flow(on_crashed=[hook], on_completion=[hook], on_end=[hook])
async def work():
    tell("began")
    print("ready", flush=True)
    try:
        while True:
            await step()
    except BaseException as error:
        tell(f"stopped by {type(error).__name__}")
        raise

@task(on_completion=[lambda *_: None])
async def step():
    await anyio.sleep(0.05)

async def main():
    try:
        async with Runtime():
            await run_flow(work)
    except BaseException as error:
        errors = [error]
        while isinstance(errors[0], BaseExceptionGroup):
            errors = list(errors[0].exceptions)
        print(f"raised {type(errors[0]).__name__}: {errors[0]}", flush=True)

if __name__ == "__main__":
    anyio.run(main)
"""
    )
    scene.until_ready(program)
    _stop_between_transactions(program, scene)
    assert _forced_replay(scene) == 0
    assert scene.told() == ["began", "work: Crashed", "work: Crashed"]
    os.kill(program.pid, signal.SIGCONT)
    assert program.stdout is not None
    said = program.stdout.read()
    program.wait(DEADLINE)
    assert "raised Fenced: Another process has taken over node" in said
    told = scene.told()
    assert told[3].startswith("stopped by Cancelled")
    assert len(told) == 4
    assert ("work", "Crashed") in scene.states()


def _stop_between_transactions(program: subprocess.Popen[str], scene: Scene) -> None:
    """One that stands still in the middle of one holds the journal's lock, and nobody could take anything over."""
    deadline = time.monotonic() + DEADLINE
    with closing(sqlite3.connect(scene.home / "actwright.db", timeout=0, isolation_level=None)) as journal:
        while time.monotonic() < deadline:
            os.kill(program.pid, signal.SIGSTOP)
            os.waitpid(program.pid, os.WUNTRACED)
            try:
                journal.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(program.pid, signal.SIGCONT)
                time.sleep(0.01)
            else:
                journal.execute("ROLLBACK")
                return
    raise AssertionError("whenever it was stopped, it was in a transaction")


def _forced_replay(scene: Scene) -> int:
    """As `actwright recover --force` starts it: the node's lock is held by its process, which does nothing."""
    ((node_id, program),) = scene.rows("SELECT id, program FROM nodes")
    command = Program.from_json(program).replay_command(scene.home / "actwright.db", node_id)
    return subprocess.run(command, env=scene.environment(), timeout=DEADLINE, check=False, cwd=Path("/")).returncode


def test_a_clock_that_was_set_back_changes_no_order(scene: Scene) -> None:
    scene.start(
        """
from datetime import UTC, datetime, timedelta
from actwright.engine.host import Host

Host.now = lambda self: datetime.now(UTC) + timedelta(hours=1)

def slow(flow, flow_run, state):
    tell(f"{flow.name} again: {state.name}")

@flow(on_crashed=[hook, slow])
async def inner():
    os.kill(os.getpid(), signal.SIGKILL)

@flow(on_crashed=[hook, slow])
async def outer():
    await inner()

if __name__ == "__main__":
    anyio.run(run_flow, outer)
"""
    ).wait(DEADLINE)
    assert scene.settles()
    assert scene.told() == ["inner: Crashed", "inner again: Crashed", "outer: Crashed", "outer again: Crashed"]
    entered = scene.rows("SELECT name FROM transitions ORDER BY seq")
    assert [name for (name,) in entered] == ["Pending", "Running", "Pending", "Running", "Crashed", "Crashed"]
    (before,), (after,) = scene.rows("SELECT at FROM transitions ORDER BY seq")[3:5]
    assert after < before
    with closing(Database.open(scene.home / "actwright.db", create=False)) as database:
        assert check(database) == []


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("actwright.toml", "worker_thread = 3", "'worker_thread' is no setting. Did you mean 'worker_threads'?"),
        ("actwright.toml", "worker_threads = 'many'", "worker_threads = 'many': Input should be a valid integer"),
        ("pyproject.toml", "[tool.actwright\n", "cannot be read"),
    ],
    ids=["a key that is none", "a value that is none", "a broken pyproject.toml"],
)
def test_a_wrong_settings_file_in_the_dead_programs_folder_does_not_keep_its_hooks_from_running(
    scene: Scene, file: str, text: str, why: str
) -> None:
    program = scene.start(WORK.format(death="    time.sleep(60)"))
    scene.until_ready(program)
    (scene.folder / file).write_text(text)
    program.kill()
    program.wait(DEADLINE)
    assert scene.settles()
    assert scene.told() == CRASHED
    assert scene.states() == [("work", "Crashed")]
    log = scene.log()
    assert log.count(str(scene.folder / file)) == 1
    assert why in log
