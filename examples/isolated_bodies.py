"""Bodies in processes of their own: one that takes its process down harms nobody, and one that hangs is ended.

The hooks run in this process, whatever happens to those.
"""

from __future__ import annotations

import os
import signal
import time

from actwright import State, Task, TaskRun, flow, task


def tell(task: Task, task_run: TaskRun, state: State) -> None:
    print(f"{task_run.name}: {state.name} in attempt {task_run.run_count}")


@task
def measure(number: int) -> int:
    return len(str(number))


@task(isolation="process", crash_retries=1, timeout_seconds=5, on_end=[tell], task_run_name="parse {kind}")
def parse(kind: str) -> int:
    if kind == "broken":
        os.kill(os.getpid(), signal.SIGSEGV)  # as a C library does that reads where nothing is
    if kind == "endless":
        time.sleep(3600)
    return measure(12345)  # runs in the process of the flow


@flow
def parse_all() -> list[str]:
    states = [parse(kind, return_state=True) for kind in ("fine", "broken", "endless")]
    return [state.name for state in states]


if __name__ == "__main__":
    print(parse_all())
