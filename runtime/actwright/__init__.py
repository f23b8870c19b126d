"""Actwright: flows and tasks as actors, with state change hooks that are guaranteed to run.

from actwright import flow, task


def tell(flow, flow_run, state):
    print(f"{flow_run.name} entered {state.name}")


@task(retries=2)
def fetch(url: str) -> str: ...


@flow(on_failure=[tell], on_completion=[tell])
def nightly(): ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwright.authoring.annotations import allow_failure, unmapped
    from actwright.authoring.concurrency import concurrency
    from actwright.authoring.flows import Flow, flow
    from actwright.authoring.futures import Handle, as_completed, wait
    from actwright.authoring.hooks import hook
    from actwright.authoring.logging import get_run_logger
    from actwright.authoring.receiving import receive
    from actwright.authoring.running import run_flow
    from actwright.authoring.tag_limits import TagLimit
    from actwright.authoring.tags import tags
    from actwright.authoring.tasks import Task, task
    from actwright.authoring.variables import Variable
    from actwright.blocks.block import Block
    from actwright.engine.runtime import Runtime
    from actwright.models.runs import FlowRun, TaskRun
    from actwright.models.states import (
        Cancelled,
        Cancelling,
        Completed,
        Crashed,
        Failed,
        Pending,
        Running,
        State,
        StateType,
    )
    from actwright.serving.serve import serve

__version__ = "0.1.0"

__all__ = [
    "Block",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Flow",
    "FlowRun",
    "Handle",
    "Pending",
    "Running",
    "Runtime",
    "State",
    "StateType",
    "TagLimit",
    "Task",
    "TaskRun",
    "Variable",
    "allow_failure",
    "as_completed",
    "concurrency",
    "flow",
    "get_run_logger",
    "hook",
    "receive",
    "run_flow",
    "serve",
    "tags",
    "task",
    "unmapped",
    "wait",
]

# Each name is loaded at its first use: `from actwright import flow, task` pays for these two alone.
_HOMES = {
    "Block": "blocks.block",
    "Cancelled": "models.states",
    "Cancelling": "models.states",
    "Completed": "models.states",
    "Crashed": "models.states",
    "Failed": "models.states",
    "Flow": "authoring.flows",
    "FlowRun": "models.runs",
    "Handle": "authoring.futures",
    "Pending": "models.states",
    "Running": "models.states",
    "Runtime": "engine.runtime",
    "State": "models.states",
    "StateType": "models.states",
    "TagLimit": "authoring.tag_limits",
    "Task": "authoring.tasks",
    "TaskRun": "models.runs",
    "Variable": "authoring.variables",
    "allow_failure": "authoring.annotations",
    "as_completed": "authoring.futures",
    "concurrency": "authoring.concurrency",
    "flow": "authoring.flows",
    "get_run_logger": "authoring.logging",
    "hook": "authoring.hooks",
    "receive": "authoring.receiving",
    "run_flow": "authoring.running",
    "serve": "serving.serve",
    "tags": "authoring.tags",
    "task": "authoring.tasks",
    "unmapped": "authoring.annotations",
    "wait": "authoring.futures",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
