"""Several hooks for one state, and one hook for several states."""

from __future__ import annotations

from actwright import State, Task, TaskRun, task


def my_success_hook(task: Task, task_run: TaskRun, state: State) -> None:
    print("Task run succeeded!")


def my_failure_hook(task: Task, task_run: TaskRun, state: State) -> None:
    print("Task run failed!")


def my_succeed_or_fail_hook(task: Task, task_run: TaskRun, state: State) -> None:
    print("If the task run succeeds or fails, this hook runs.")


@task(
    on_completion=[my_success_hook, my_succeed_or_fail_hook],
    on_failure=[my_failure_hook, my_succeed_or_fail_hook],
)
def divide(number: float, by: float) -> float:
    return number / by


if __name__ == "__main__":
    divide(1, by=2, return_state=True)
    divide(1, by=0, return_state=True)
