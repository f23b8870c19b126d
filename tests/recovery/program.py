"""What is killed in a sweep: a parent flow, a subflow, concurrent tasks, a retry, each kind of hook, sync and async.

Each body and hook tells the ledger when it starts and when it ends. `python -m tests.recovery.program BACKEND`.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, cast

import anyio
import anyio.lowlevel
from tests.recovery.ledger import noted
from tests.recovery.points import label_of, point

from actwright import FlowRun, Runtime, State, TaskRun, flow, run_flow, runtime, task
from actwright_actors.backends import BackendName, backend_options

__all__ = ["main"]


def hook(subject: Any, run: FlowRun | TaskRun, state: State[Any]) -> None:
    with noted("hook", **_delivery(run)):
        point(f"in hook {label_of(run)} {runtime.hook.event} {runtime.hook.name}")


async def async_hook(subject: Any, run: FlowRun | TaskRun, state: State[Any]) -> None:
    with noted("hook", **_delivery(run)):
        await anyio.lowlevel.checkpoint()
        point(f"in hook {label_of(run)} {runtime.hook.event} {runtime.hook.name}")


def _delivery(run: FlowRun | TaskRun) -> dict[str, object]:
    own = runtime.hook
    return {
        "run": run.id, "label": label_of(run), "event": own.event, "hook": own.name, "delivery": own.delivery_id,
        "attempt": own.attempt, "replayed": own.replayed,
    }  # fmt: skip


def _body(*must: str) -> Any:
    """What a body notes. `must`: which of its hooks runs for certain once it has begun."""
    run = runtime.task_run if runtime.task_run.id else runtime.flow_run
    label = f"{_subject()}({', '.join(map(str, run.parameters.values()))})"
    return noted("body", run=run.id, label=label, attempt=run.run_count, must=must)


def _subject() -> str | None:
    return runtime.task_run.task_name if runtime.task_run.id else runtime.flow_run.flow_name


@task(on_running=[hook], on_completion=[async_hook], on_crashed=[hook])
async def fetch(number: int) -> int:
    with _body("on_crashed or final"):
        point(f"in body fetch({number})")
        await anyio.sleep(0.005)
        return number


@task(retries=1, on_running=[async_hook], on_retry=[hook, async_hook], on_end=[hook])
def flaky() -> str:
    with _body("on_end"):
        attempt = runtime.task_run.run_count
        point(f"in body flaky() {attempt}")
        if attempt == 1:
            raise OSError("the first attempt fails")
        return "the second does not"


@task(on_failure=[hook, async_hook], on_end=[async_hook])
async def broken() -> None:
    with _body("on_end"):
        point("in body broken()")
        raise ValueError("it always fails")


@task(on_crashed=[async_hook, hook])
async def exits() -> None:
    with _body("on_crashed or final"):
        point("in body exits()")
        raise SystemExit("it ends its process, so it thinks")


@task(on_cancellation=[hook, async_hook], on_end=[hook])
async def endless() -> None:
    with _body("on_end"):
        point("in body endless()")
        await anyio.sleep_forever()


@task
async def without_hooks(number: int) -> int:
    with _body():
        point(f"in body without_hooks({number})")
        return number


@flow(on_completion=[hook], on_crashed=[async_hook], on_end=[async_hook])
async def subflow() -> None:
    with _body("on_end"):
        point("in body subflow()")
        await flaky.submit()
        await without_hooks(1)


@flow(on_crashed=[hook])
async def lonely() -> None:
    with _body("on_crashed or final"):
        point("in body lonely()")
        await anyio.sleep(0.02)


@flow(on_running=[hook], on_completion=[async_hook], on_end=[hook])
async def parent() -> None:
    with _body("on_end"):
        point("in body parent()")
        fetched = [fetch.submit(number) for number in (1, 2)]
        cancelled = endless.submit()
        await subflow()
        for handle in fetched:
            await handle
        await broken(return_state=True)
        await exits(return_state=True)
        await cancelled.cancel(reason="enough")
        point("parent() goes on")


async def main() -> None:
    async with Runtime(), anyio.create_task_group() as flows:
        for each in (parent, lonely):
            flows.start_soon(partial(run_flow, each))


if __name__ == "__main__":
    from tests.recovery import program  # hooks are found by the path of this module, not in `__main__`

    name, options = backend_options(cast("BackendName", sys.argv[1]))
    anyio.run(program.main, backend=name, backend_options=options)
