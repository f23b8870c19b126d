"""A hook may take whatever keyword arguments `functools.partial` binds to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from actwright import State, Task, TaskRun, flow, task

data: dict[str, Any] = {}


def my_hook(task: Task, task_run: TaskRun, state: State, **kwargs: Any) -> None:
    data.update(state=state, **kwargs)


@task
def bad_task() -> None:
    raise ValueError("meh")


@flow
def ok_with_failure_flow(x: str = "foo", y: int = 42) -> tuple[str, State[None]]:
    bad_task_with_a_hook = bad_task.with_options(on_failure=[partial(my_hook, x=x, y=y)])
    # return a tuple of "bar" and the task run state
    # to avoid raising the task's exception
    return "bar", bad_task_with_a_hook(return_state=True)


if __name__ == "__main__":
    _, task_run_state = ok_with_failure_flow()

    assert data == {"x": "foo", "y": 42, "state": task_run_state}
    print(data["x"], data["y"], data["state"].name)
