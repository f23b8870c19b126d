"""A process that forks: what lives in the parent is dead in the child, which makes its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.scripts import EACH_BACKEND, run_script

pytestmark = pytest.mark.costly

PREAMBLE = """
import os, sys, time
import anyio
from actwright import Runtime, flow, run_flow, task

@task
def part(number):
    return number + 1

@flow(on_completion=[lambda flow, flow_run, state: print(f"hook of {flow_run.parameters['who']}")])
def work(who):
    return part(1) + part.submit(2).result()

def in_a_child(run, leave=os._exit):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            print(f"child: {run()}")
            code = 0
        finally:
            leave(code)
    print(f"child exited with {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
"""

AFTER_A_RUN = """
if __name__ == "__main__":
    print(f"parent: {work('parent')}")
    in_a_child(lambda: work("child"), leave=sys.exit)
    print(f"parent: {work('parent')}")
"""

IN_A_BODY = """
@flow
def forks():
    in_a_child(lambda: work("child"))
    return work("parent")

if __name__ == "__main__":
    print(f"parent: {forks()}")
"""

IN_A_RUNTIME = """
@flow
def forks():
    in_a_child(lambda: work("child"))
    return work("parent")

async def main():
    async with Runtime():
        print(f"parent: {await run_flow(forks)}")

if __name__ == "__main__":
    anyio.run(main)
"""

each_background = pytest.mark.parametrize("backend", EACH_BACKEND)


@each_background
def test_a_child_forked_after_a_run_can_run_flows_and_so_can_its_parent(tmp_path: Path, backend: str) -> None:
    ran = run_script(tmp_path, PREAMBLE + AFTER_A_RUN, background_backend=backend)
    assert ran.stdout.splitlines() == [
        "hook of parent", "parent: 5",
        "hook of child", "child: 5", "child exited with 0",
        "hook of parent", "parent: 5",
    ], ran.stderr  # fmt: skip
    assert ran.returncode == 0


@each_background
@pytest.mark.parametrize("source", [IN_A_BODY, IN_A_RUNTIME], ids=["of a script", "in a worker thread"])
def test_a_child_forked_in_a_body_can_run_flows_and_so_can_its_parent(
    tmp_path: Path, source: str, backend: str
) -> None:
    ran = run_script(tmp_path, PREAMBLE + source, background_backend=backend)
    assert ran.stdout.splitlines() == [
        "hook of child", "child: 5", "child exited with 0", "hook of parent", "parent: 5"
    ], ran.stderr  # fmt: skip
    assert ran.returncode == 0


OUT_OF_REACH = """
def told(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split(':')[0]}"

async def main():
    async with Runtime() as runtime:
        handle = runtime.submit(flow(anyio.sleep_forever, name="endless", flow_run_name="inherited"))
        while not handle.state.is_running():
            await anyio.sleep(0.001)

        def in_child():
            return [
                told(lambda: runtime.submit(work, "child")), told(lambda: runtime.cancel(handle.id)),
                told(handle.cancel), told(handle.result),
                told(runtime.journal.runs).replace(os.environ["ACTWRIGHT_HOME"], "HOME"),
            ]

        await anyio.to_thread.run_sync(in_a_child, in_child)
        await handle.cancel()

if __name__ == "__main__":
    anyio.run(main)
"""


def test_what_a_forked_child_inherits_says_that_it_is_the_parents(tmp_path: Path) -> None:
    ran = run_script(tmp_path, PREAMBLE + OUT_OF_REACH)
    runtime, run = (f"ForkedRuntime: {what} cannot be reached" for what in ("This Runtime", "Flow run 'inherited'"))
    journal = "ForkedRuntime: HOME/actwright.db was opened by the process that this one was forked from. Open it anew."
    assert ran.stdout.splitlines() == [
        f"child: {[runtime, runtime, run, run, journal]}",
        "child exited with 0",
    ], ran.stderr


BUSY = """
import threading
from types import ModuleType
import cloudpickle
from actwright.authoring import registration

in_memory = ModuleType("in_memory")
exec("def function(): ...", in_memory.__dict__)
sys.modules["in_memory"] = in_memory
busy, go_on = threading.Event(), threading.Event()

def stop_here():
    if not busy.is_set():
        busy.set()
        go_on.wait()

class Slow:
    def __reduce__(self):
        stop_here()
        return int, ()

def slowly(flow, flow_run, state, *, function=in_memory.function, slow=Slow()): ...

def another(flow, flow_run, state): ...

@flow(on_end=[slowly])
def pickles(): ...

@flow(on_end=[another])
def is_registered(): ...

@flow(log_prints=True)
def prints():
    print("printed")

def slow_down(owner, name):
    real = getattr(owner, name)
    def slowed(*args, **options):
        stop_here()
        return real(*args, **options)
    setattr(owner, name, slowed)

def child():
    fresh = flow(lambda: None, name="not registered yet", on_end=[another])
    registration.Registration.of(fresh, {}, None, "asyncio").hash  # in this thread: others may get the parent's ids
    fresh()
    prints()
    return sorted(cloudpickle.list_registry_pickle_by_value())

if __name__ == "__main__":
    work("parent")
    other = threading.Thread(target=SUBJECT)
    SLOWDOWN
    other.start()
    busy.wait()
    in_a_child(child)
    go_on.set()
    other.join()
"""

BUSY_WITH = {
    "pickling a hook": ("pickles", ""),
    "registering hooks": ("is_registered", "slow_down(registration, '_lists_as_json')"),
    "catching what is printed": (
        "prints", "from actwright.authoring.logging import _print_to_log; "
        "_print_to_log.__class__._users = property(lambda _: stop_here() or 0, lambda *_: None); "
        "del _print_to_log.__dict__['_users']",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("subject", "slowdown"), BUSY_WITH.values(), ids=list(BUSY_WITH))
def test_a_child_that_is_forked_while_another_thread_is_in_the_middle_of_something_can_run_flows(
    tmp_path: Path, subject: str, slowdown: str
) -> None:
    source = BUSY.replace("SUBJECT", subject).replace("SLOWDOWN", slowdown)
    ran = run_script(tmp_path, PREAMBLE + source)
    assert [line for line in ran.stdout.splitlines() if line.startswith("child")] == [
        "child: []", "child exited with 0"
    ], ran.stderr  # fmt: skip
    assert ran.returncode == 0
