"""The understudy of a program that really dies, in every way that we know of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.nodes.elsewhere import another_process_holds
from tests.nodes.stage import Stage, times_slept, wait_until

from actwright.nodes.locks import holder, is_held

pytestmark = pytest.mark.slow

C_FORK = "import ctypes\nif not ctypes.CDLL(None).fork():\n    time.sleep(30)\n"
"""A fork that Python's hooks know nothing of: the child keeps a copy of every descriptor."""

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
EXEC = "os.execv('/bin/sleep', ['sleep', '30'])"

DEATHS = {
    "killed": KILL,
    "os._exit": "os._exit(0)",
    "a segfault": "import ctypes, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nctypes.string_at(0)",
    "an unhandled exception": "raise SystemExit(3)",
    "killed while forked children live": f"if os.fork():\n    {KILL}\nos.closerange(0, 3)\ntime.sleep(30)",
    "killed while forked children that Python knows nothing of live": C_FORK + KILL,
    "replaced by exec": EXEC,
    "replaced by exec while a forked child keeps every descriptor": C_FORK + EXEC,
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_followed_by_a_replay_and_then_nothing_is_left(stage: Stage, death: str) -> None:
    with stage.program(DEATHS[death]) as program:
        program.says("ready")
        wait_until(lambda: stage.replays() == 1 and not stage.recovery.lock_path.exists())
    wait_until(lambda: not stage.recovery.log_path.exists() and not stage.understudies())
    assert stage.replays() == 1


def test_a_clean_end_leaves_no_file_and_starts_no_replay(stage: Stage) -> None:
    with stage.program("lock.release(unlink=True)\ncompanion.close()\nsay('closed')") as program:
        program.says("closed")
        assert program.exit_code() == 0
        wait_until(stage.is_over)
    assert stage.replays() == 0


def test_a_death_with_nothing_open_or_due_starts_no_replay(settled: Stage) -> None:
    with settled.program(KILL) as program:
        assert program.exit_code() == 128 + signal.SIGKILL
        wait_until(settled.is_over)
    assert settled.replays() == 0


def test_the_death_is_seen_at_once_and_not_by_the_test_of_the_lock(stage: Stage) -> None:
    with stage.program() as program:
        program.says("ready")
        began = time.monotonic()
        program.send(signal.SIGKILL)
        wait_until(stage.replays)
        assert time.monotonic() - began < 1.0


def test_a_stopped_process_keeps_its_node(stage: Stage) -> None:
    with stage.program() as program:
        program.says("ready")
        understudy = stage.understudy()
        program.send(signal.SIGSTOP)
        slept = times_slept(understudy)
        wait_until(lambda: times_slept(understudy) > slept + 1)  # it has tested the lock since
        assert is_held(stage.recovery.lock_path)
        assert stage.replays() == 0
        program.send(signal.SIGCONT)


FREE = "recovery.lock_path.open().close()\n"
"""Any close of the file frees the lock; this program has no pulse that would take it again."""


@pytest.mark.parametrize("loss", [FREE, "recovery.lock_path.unlink()\n", f"{FREE}companion.close()\n"])
def test_a_process_that_lost_its_lock_and_lives_keeps_its_node_until_it_dies(stage: Stage, loss: str) -> None:
    """Also where the pipe was closed: the pidfd says that it lives, and its descriptors that it was not replaced."""
    with stage.program(f"say('lives')\n{loss}say('lost')\nsys.stdin.readline()\nlock.keep()\n{KILL}") as program:
        program.says("lives")
        understudy = stage.understudy()
        program.says("lost")
        slept = times_slept(understudy)
        wait_until(lambda: times_slept(understudy) > slept + 1)  # it has looked twice since, unless it was busy
        assert not is_held(stage.recovery.lock_path)
        assert stage.understudies() == [understudy]
        assert stage.replays() == 0
        program.send_line("die")
        wait_until(lambda: stage.replays() == 1)
        wait_until(stage.is_over)


def test_whoever_waits_for_the_output_of_the_program_does_not_wait_for_its_understudy(stage: Stage) -> None:
    stage.plan("go,settle,0")
    with stage.program(KILL) as program:  # it reads the program's output to its end
        assert program.exit_code() == 128 + signal.SIGKILL
    wait_until(stage.replays)
    assert stage.understudies()
    (stage.folder / "go").touch()
    wait_until(stage.is_over)


def test_the_program_has_no_child_to_wait_for(stage: Stage) -> None:
    source = "try:\n    os.wait()\nexcept ChildProcessError:\n    say('no child')"
    with stage.program(source) as program:
        program.says("no child")


def test_waiting_takes_little_memory_few_descriptors_and_a_session_of_its_own(stage: Stage) -> None:
    with stage.program() as program:
        program.says("ready")
        pid = stage.understudy()
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        assert resident <= 15 * 1024
        links = {int(link.name): str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        log = str(stage.recovery.log_path)
        assert (links.pop(0), links.pop(1), links.pop(2)) == ("/dev/null", log, log)
        assert sorted(target.partition("[")[0].rstrip(":") for target in links.values()) == [
            "anon_inode", "socket"
        ]  # fmt: skip
        assert status.startswith("Name:\tactwright-under\n")
        assert os.getsid(pid) not in {os.getsid(0), pid}
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        assert stage.recovery.log_path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_reaches_a_service_as_a_whole_ends_the_program_and_not_its_understudy(
    stage: Stage, number: signal.Signals
) -> None:
    stage.plan("go,settle,0")
    with stage.program() as program:
        program.says("ready")
        understudy = stage.understudy()
        os.kill(understudy, number)
        program.send(number)
        program.exit_code()
        wait_until(stage.replays)
        os.kill(understudy, number)
        assert stage.understudies() == [understudy]
        (stage.folder / "go").touch()
        wait_until(stage.is_over)
    assert stage.replays() == 1


def test_replay_processes_get_their_folder_and_plain_signals_whatever_the_program_did_to_its_own(stage: Stage) -> None:
    source = (
        "companion.close()\n"
        "for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])\n"
        "companion = Companion(recovery)\n"
        "companion.start()\n"
    )
    stage.plan("kill", "settle,0")
    with stage.program(source + KILL) as program:
        program.exit_code()
        wait_until(lambda: stage.replays() == 2 and not stage.recovery.lock_path.exists())
    first, *_ = stage.ledger()
    assert first["plain"]
    assert first["cwd"] == str(stage.folder)
    assert first["descriptors"] == [0, 1, 2, first["watcher"]]


def test_a_replay_process_learns_of_its_watchers_death_and_the_next_recoverer_goes_on(stage: Stage) -> None:
    stage.plan("watcher,1")
    with stage.program(KILL) as program:
        program.exit_code()
        wait_until(stage.replays)
        os.kill(stage.understudy(), signal.SIGKILL)
        wait_until(lambda: [line["what"] for line in stage.ledger()] == ["started", "watcher gone", "ended"])
        assert stage.recover().returncode == 0
    assert stage.replays() == 2


def test_a_node_whose_understudy_died_too_waits_for_a_recoverer(stage: Stage) -> None:
    with stage.program(f"os.kill(companion.pid, signal.SIGKILL)\n{KILL}") as program:
        program.exit_code()
        wait_until(stage.is_quiet)
    assert stage.recovery.lock_path.exists()
    assert not is_held(stage.recovery.lock_path)
    assert stage.replays() == 0
    assert stage.recover().returncode == 0
    assert stage.replays() == 1
    assert stage.is_over()


def test_an_understudy_that_finds_another_one_at_it_ends_quietly(stage: Stage) -> None:
    with stage.program() as program:
        program.says("ready")
        understudy = stage.understudy()
        os.kill(understudy, signal.SIGSTOP)
        program.send(signal.SIGKILL)
        program.exit_code()
        with another_process_holds(stage.recovery.lock_path):
            os.kill(understudy, signal.SIGCONT)
            wait_until(lambda: not any("understudy.py" in one for one in stage.commands()))
            assert stage.recovery.lock_path.exists()
    assert stage.log() == ""
    assert stage.replays() == 0


def test_while_it_recovers_it_holds_the_lock_of_the_dead_node(stage: Stage) -> None:
    stage.plan("go,settle,0")
    with stage.program(KILL) as program:
        program.exit_code()
        wait_until(stage.replays)
        assert holder(stage.recovery.lock_path) == stage.understudy()
        refused = stage.recover()
        assert refused.returncode == 3
        assert f"process {stage.understudy()} holds {stage.recovery.lock_path}" in refused.stderr
        (stage.folder / "go").touch()
        wait_until(stage.is_over)


def test_a_process_without_standard_streams_has_an_understudy_as_any_other(stage: Stage) -> None:
    (stage.folder / "starter.py").write_text(
        "import os, sys\nos.closerange(0, 3)\nos.execv(sys.executable, [sys.executable, sys.argv[1]])"
    )
    with stage.program("companion.close()"):  # writes the program down
        pass
    program = (stage.folder / "program.py").read_text().replace('say("ready")', KILL)
    (stage.folder / "program.py").write_text(program)
    wait_until(stage.is_quiet)
    for left in ("ledger", "node.lock", "node.log"):
        (stage.folder / left).unlink(missing_ok=True)
    subprocess.run([sys.executable, stage.folder / "starter.py", stage.folder / "program.py"], check=False)
    wait_until(lambda: stage.replays() == 1)
    wait_until(stage.is_over)
