"""What the type checkers must make of options and hooks. Never run: mypy and pyright read it.

Each ignore marks an error that must be one; both checkers complain about an ignore that is not needed.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from functools import partial
from typing import Any, assert_type

from actwright.authoring.flows import Flow, flow
from actwright.authoring.hooks import Hook, hook
from actwright.authoring.tags import tags
from actwright.authoring.tasks import Task, task
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import State


def flow_hook(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None: ...
def task_hook(task: Task[..., Any], task_run: TaskRun, state: State[Any], note: str = "") -> None: ...
async def async_hook(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None: ...
def either_hook(subject: Any, run: FlowRun | TaskRun, state: State[Any]) -> None: ...
def too_short(flow: Flow[..., Any]) -> None: ...


def condition(subject: Any, run: FlowRun | TaskRun, state: State[Any]) -> bool:
    return True


async def async_condition(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> bool:
    return True


def work(a: int) -> int:
    return a


assert_type(hook(flow_hook, wait=False), Hook)
hook(flow_hook, wiat=False)  # type: ignore[call-overload]

flow(work, on_failure=[flow_hook, async_hook, either_hook, hook(flow_hook, retries=2)])
task(work, on_completion=[task_hook, partial(task_hook, note="x"), either_hook])
flow(work, on_failure=[task_hook])  # type: ignore[list-item]
flow(work, on_failure=[too_short])  # type: ignore[list-item]
flow(work, on_failure=flow_hook)  # type: ignore[call-overload]

task(work, retries=3, retry_delay_seconds=[1, 2.5], timeout_seconds=3, task_run_name="work-{a}")
task(work, retries=3, retry_delay_seconds=lambda retries: [2.0**n for n in range(retries)])
task(work, retries="3")  # type: ignore[call-overload]
task(work, isolation="process").with_options(isolation=None)
flow(work, isolation="thread")  # type: ignore[call-overload]
task(work, flow_run_name="x")  # type: ignore[call-overload]
flow(work).with_options(timeout_seconds="3")  # type: ignore[arg-type]

flow(work, retries=1, retry_condition_fn=async_condition)
task(work, retries=1, retry_condition_fn=condition)
task(work, retries=1, retry_condition_fn=async_condition)  # type: ignore[arg-type]

my_flow = flow(work)


@my_flow.on_failure
def decorated(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> int:
    return 1


def a_hook_decorator_gives_its_function_back(flow_run: FlowRun, state: State[Any]) -> None:
    assert_type(decorated(my_flow, flow_run, state), int)


@tags("nightly")
async def tagged(a: int) -> str:
    return str(a)


async def tags_keep_the_signature() -> None:
    assert_type(await tagged(1), str)
    await tagged("1")  # type: ignore[arg-type]


# As the hook's signature is usually written: a bare name is a flow, task or state of anything.
def a_hook_of_bare_names(flow: Flow, flow_run: FlowRun, state: State) -> None: ...
def a_task_hook_of_bare_names(task: Task, task_run: TaskRun, state: State) -> None: ...


flow(work, on_failure=[a_hook_of_bare_names])
task(work, on_failure=[a_task_hook_of_bare_names])
