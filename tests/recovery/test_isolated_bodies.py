"""A process that dies while bodies run in processes of their own: those end, and then its runs are Crashed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.isolation.helpers import is_gone
from tests.recovery.scene import DEADLINE, Scene
from tests.recovery.trial import within

from actwright.nodes.bodies import end_bodies

pytestmark = pytest.mark.slow

BODIES = """
def look(flow, flow_run, state):
    # What a process still is when the hook runs, that a body or what it has started was.
    alive = [pid for name in os.listdir(os.environ["SCENE"]) if name.endswith(".pids")
             for pid in map(int, open(os.environ["SCENE"] + "/" + name).read().split()) if lives(pid)]
    tell(f"{flow.name}: {state.name}, alive: {alive}")

def lives(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

def untie():
    import fcntl
    for name in os.listdir("/proc/self/fd"):
        try:
            fcntl.fcntl(int(name), fcntl.F_SETFL, fcntl.fcntl(int(name), fcntl.F_GETFL) & ~os.O_ASYNC)
        except OSError:
            pass

def begin(name):
    grandchild = subprocess.Popen(["sleep", "60"])
    path = os.environ["SCENE"] + "/" + name + ".pids"
    with open(path + ".new", "w") as file:
        file.write(f"{os.getpid()} {grandchild.pid}")
    os.rename(path + ".new", path)
"""

WORK = (
    BODIES
    + """
@task(isolation="process")
def part(name):
    begin(name)
    HOW

@flow(on_crashed=[look])
def work():
    for handle in part.map(["one", "two"]):
        handle.result()

if __name__ == "__main__":
    work()
"""
)

SLEEPS = "time.sleep(60)"
STOPPED = "os.kill(os.getpid(), signal.SIGSTOP)"
IN_C = "import re; re.match('(a+)+$', 'a' * 60 + 'b')"  # for years, and no other thread of it has a turn
UNTIED = f"untie(); {STOPPED}"
"""Neither sees the death of its parent, nor is ended with it by the kernel: it is there for recovery to end."""


def pids(scene: Scene) -> list[int]:
    """Of the bodies and what these started, once all are there."""
    paths = [scene.folder / f"{name}.pids" for name in ("one", "two")]
    assert within(DEADLINE, lambda: all(path.exists() for path in paths))
    return [int(pid) for path in paths for pid in path.read_text().split()]


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_bodies_and_what_they_started_end_with_their_program_without_anybodys_help(scene: Scene) -> None:
    program = scene.start(WORK.replace("HOW", SLEEPS), understudy="false")
    found = pids(scene)
    program.kill()
    program.wait(DEADLINE)
    assert within(5.0, lambda: all(map(is_gone, found)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends processes by a pipe")
@pytest.mark.parametrize(
    "how", [STOPPED, "import re; re.match('(a+)+$', 'a' * 60 + 'b')"], ids=["stopped", "busy in C"]
)
def test_so_do_those_in_which_no_code_of_ours_can_run(scene: Scene, how: str) -> None:
    program = scene.start(WORK.replace("HOW", how), understudy="false")
    found = pids(scene)
    program.kill()
    program.wait(DEADLINE)
    assert within(5.0, lambda: all(map(is_gone, found)))


def test_what_is_left_of_a_killed_program_is_ended_before_its_runs_are_crashed(scene: Scene) -> None:
    program = scene.start(WORK.replace("HOW", UNTIED))
    found = pids(scene)
    leaders = found[::2]
    assert within(DEADLINE, lambda: all(map(is_stopped, leaders)))
    program.kill()
    program.wait(DEADLINE)
    assert scene.settles()
    assert all(map(is_gone, found))
    assert scene.told() == ["work: Crashed, alive: []"]
    assert {state for _, state in scene.states()} == {"Crashed"}
    assert list(scene.home.glob("nodes/*.body")) == []


def test_it_is_ended_although_its_leader_has_died_as_well(scene: Scene) -> None:
    program = scene.start(WORK.replace("HOW", UNTIED))
    found = pids(scene)
    leaders = found[::2]
    assert within(DEADLINE, lambda: all(map(is_stopped, leaders)))
    os.kill(program.pid, signal.SIGSTOP)  # it must not see to that itself
    for leader in leaders:
        os.kill(leader, signal.SIGKILL)
    program.kill()
    program.wait(DEADLINE)
    assert scene.settles()
    assert all(map(is_gone, found))
    assert scene.told() == ["work: Crashed, alive: []"]


def test_with_the_understudy_killed_too_the_next_runtime_ends_it(scene: Scene) -> None:
    program = scene.start(WORK.replace("HOW", UNTIED))
    found = pids(scene)
    assert within(DEADLINE, lambda: all(map(is_stopped, found[::2])))
    os.kill(program.pid, signal.SIGSTOP)
    for understudy in scene.understudies():
        os.kill(understudy, signal.SIGKILL)
    program.kill()
    program.wait(DEADLINE)
    assert not any(map(is_gone, found))
    scene.run("@flow\ndef later(): ...\nlater()")
    assert scene.settles()
    assert all(map(is_gone, found))
    assert scene.told() == ["work: Crashed, alive: []"]


SYNC_FLOW = (
    BODIES
    + """
@flow(on_crashed=[look], on_cancellation=[look], isolation="process")
def work():
    begin("one")
    begin("two")
    print("ready", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    work()
"""
)


@pytest.mark.parametrize(
    ("number", "state", "code"), [(signal.SIGINT, "Cancelling", 130), (signal.SIGTERM, "Crashed", 143)]
)
def test_a_signal_to_a_script_ends_the_process_of_its_flow_and_runs_its_hooks(
    scene: Scene, number: signal.Signals, state: str, code: int
) -> None:
    program = scene.start(SYNC_FLOW)
    found = pids(scene)
    program.send_signal(number)
    assert program.wait(DEADLINE) in (code, -number)
    assert all(map(is_gone, found))
    assert scene.told() == [f"work: {state}, alive: []"]


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        path = tmp_path / "node.0123abcd.body"
        path.write_text(str(stranger.pid))
        end_bodies(tmp_path, "node")
        assert stranger.poll() is None
        assert not path.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_script_without_a_main_guard_is_not_run_again_in_the_process_of_a_body(scene: Scene) -> None:
    said = scene.run("""
tell("the script runs")

class Wrong(Exception): ...

@task
def part(number): return number, os.getpid()

@flow(isolation="process")
def work(number):
    if number < 0: raise Wrong(number)
    return part(number), os.getpid()

(number, here), there = work(3)
assert number == 3 and here == os.getpid() != there
try:
    work(-1)
except Wrong as error:
    print("it is", error)
""")
    assert "it is -1" in said
    assert scene.told() == ["the script runs"]


def test_a_module_that_calls_a_flow_as_it_is_imported_does_not_do_so_again(scene: Scene) -> None:
    (scene.folder / "mod.py").write_text("""
import os
from actwright import flow

@flow(isolation="process")
def work(): return os.getpid()

def told(line):
    with open(os.environ["SCENE"] + "/told", "a") as file:
        file.write(f"{line}\\n")

told("before")
if os.environ.get("CALLS"):
    work()
    told("after")
""")
    scene.run("os.environ['CALLS'] = '1'\nfrom mod import work\nassert work() != os.getpid()")
    assert scene.told() == ["before", "before", "after", "before"]


def test_flags_of_the_interpreter_and_python_m_are_no_hindrance(scene: Scene) -> None:
    (scene.folder / "package").mkdir()
    (scene.folder / "package" / "__main__.py").write_text("""
import json, sys, os
from actwright import flow

class Thing:
    def __init__(self, value): self.value = value

@flow(isolation="process")
def work(thing):
    return Thing((sys.flags.optimize, sys.flags.utf8_mode, list(sys.warnoptions), thing.value)), os.getpid()

if __name__ == "__main__":
    thing, pid = work(Thing(5))
    assert isinstance(thing, Thing) and pid != os.getpid()
    print(json.dumps(thing.value))
""")
    ran = subprocess.run(
        [sys.executable, "-O", "-X", "utf8", "-W", "error::UserWarning", "-m", "package"],
        capture_output=True, text=True, cwd=scene.folder, env=scene.environment(), timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [1, 1, ["error::UserWarning"], 5]
    assert scene.settles()
