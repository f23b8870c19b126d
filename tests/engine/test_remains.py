"""What is left of a run that has ended: what others keep of it, and nothing else."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
from tests.engine.watched import open_runtime, until

from actwright import flow, task

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_garbage_collection")]


class Parcel:
    """What a run is given."""


def tell(*_: object) -> None: ...


async def tell_async(*_: object) -> None: ...


def plain(parcel: Parcel) -> None: ...


async def asynchronous(parcel: Parcel) -> None: ...


hooks = pytest.mark.parametrize("hooks", [[], [tell], [tell_async]], ids=["no hook", "sync hook", "async hook"])
bodies = pytest.mark.parametrize("body", [plain, asynchronous], ids=["sync", "async"])


@hooks
@bodies
async def test_what_a_flow_run_was_given_is_gone_with_its_last_user(body: Any, hooks: list[Any]) -> None:
    given = flow(on_running=hooks, on_completion=hooks)(body)
    async with open_runtime() as runtime:
        parcel = Parcel()
        gone = weakref.ref(parcel)
        handle = runtime.submit(given, parcel)
        del parcel
        await handle
        del handle
        await until(lambda: gone() is None)


@hooks
@bodies
async def test_what_a_task_run_was_given_is_gone_while_its_flow_goes_on(body: Any, hooks: list[Any]) -> None:
    given = task(on_running=hooks, on_completion=hooks)(body)

    @flow
    async def goes_on() -> None:
        parcel = Parcel()
        gone = weakref.ref(parcel)
        handle = given.submit(parcel)
        del parcel
        await handle
        del handle
        await until(lambda: gone() is None)

    async with open_runtime():
        await goes_on()
