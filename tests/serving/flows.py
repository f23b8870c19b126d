"""Flows that are served: other processes find them here by name."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from pydantic import BaseModel, SecretStr

from actwright import Flow, FlowRun, State, flow, runtime
from actwright.serving.schedules import Interval, Schedule
from actwright.serving.service import Served


class Order(BaseModel):
    """An argument of a type of its own."""

    number: int


def tell(subject: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """A hook: a line in the file that the environment names."""
    note(f"hook {run.name} {state.name}")


def note(line: str) -> None:
    """Add a line to that file. Lines of several processes do not mix."""
    with Path(os.environ["TOLD"]).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


@flow
async def quick(number: int = 0) -> int:
    note(f"body {number}")
    return number


@flow(flow_run_name="number-{number}")
async def named(number: int) -> None: ...


def away() -> str:
    """The journal is away from between the claim and Running."""
    path = runtime.flow_run.parameters["path"]
    path.rename(path.with_suffix(".away"))
    return "unplugged"


@flow(flow_run_name=away)
async def unplugs(path: Path) -> None:
    note("body")


@flow
def takes(order: Order, *, more: Any = None) -> int:
    note(f"body {order.number} {type(order).__name__} {more}")
    return order.number


@flow
def secret(key: SecretStr) -> None: ...


@flow(on_cancellation=[tell], on_failure=[tell], on_completion=[tell], on_running=[tell])
async def hooked(number: int = 0) -> None:
    note(f"body {number}")


@flow
async def waits(number: int = 0) -> None:
    note(f"body {number}")
    await anyio.sleep_forever()


kept_waiting = Served(waits, keep="permanent")


@flow
def ends_when_told() -> None:
    """It ends once somebody has noted that it may."""
    note("body")
    while "end" not in Path(os.environ["TOLD"]).read_text(encoding="utf-8").splitlines():
        time.sleep(0.01)


@flow
async def told_to_stop() -> None:
    note("body")
    try:
        await anyio.sleep_forever()
    finally:
        note("stopped")


@flow(crash_retries=2, on_retry=[tell], on_crashed=[tell], on_completion=[tell])
def dies(times: int) -> str:
    """Its process dies, so many times."""
    note("body")
    began = Path(os.environ["TOLD"]).read_text(encoding="utf-8").splitlines().count("body")
    if began <= times:
        os.kill(os.getpid(), 9)
        time.sleep(60)
    return f"attempt {began}"


@flow(flow_run_name="tried {number}", crash_retries=1, on_retry=[tell], on_completion=[tell], on_crashed=[tell])
async def tried_again(number: int) -> None:
    """At its first attempt it does not end."""
    note(f"body {number}")
    if runtime.flow_run.run_count == 1:
        await anyio.sleep_forever()


@flow(flow_run_name="once {number}", on_crashed=[tell])
async def tried_once(number: int) -> None:
    note(f"body {number}")
    await anyio.sleep_forever()


@flow(crash_retries=1)
def measured(text: str) -> None:
    """Its process dies at its first attempt."""
    note(f"{runtime.flow_run.run_count} {len(text)} {sha256(text.encode()).hexdigest()}")
    if runtime.flow_run.run_count == 1:
        os.kill(os.getpid(), 9)
        time.sleep(60)


each_second = Served(quick, schedules=[Schedule(Interval(1.0), name="each second")])


@flow
async def ends() -> None:
    note("body")


@flow
async def fails() -> None:
    note("body")
    raise ConnectionError("the database is away")


def hangs_once(subject: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """A hook that never returns, and does its work when it is begun again."""
    note(f"try {runtime.hook.attempt} in another process: {runtime.hook.replayed}")
    if runtime.hook.attempt == 1:
        time.sleep(600)


@flow(on_cancellation=[hangs_once])
async def hung() -> None:
    note("body")
    await anyio.sleep_forever()
