"""A process that forks: what lives in the parent is dead in the child, which makes its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.scripts import EACH_BACKEND, run_script

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
