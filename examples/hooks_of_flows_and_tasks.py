"""One hook of a flow and one of a task: what they are called with."""

from __future__ import annotations

from actwright import Flow, FlowRun, State, Task, TaskRun, flow, task


def my_flow_hook(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """This is the required signature for a flow run state change hook. This hook can only be passed into flows."""
    print(f"flow {flow.name}: {state.name}")


def my_task_hook(task: Task, task_run: TaskRun, state: State) -> None:
    """This is the required signature for a task run state change hook. This hook can only be passed into tasks."""
    print(f"task {task.name}: {state.name}, {state.message}")


@task(on_failure=[my_task_hook])
def my_task() -> None:
    raise ValueError("meh")


@flow(on_completion=[my_flow_hook])
def my_flow() -> str:
    my_task(return_state=True)  # a state instead of an exception
    return "done all the same"


if __name__ == "__main__":
    my_flow()
