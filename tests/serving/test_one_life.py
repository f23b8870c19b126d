"""A service lives for months: of what has ended it keeps nothing."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import anyio
import pytest
from tests.engine.watched import at_rest, until
from tests.serving.serving import journal_of, submitted

from actwright import TagLimit, Variable, flow, get_run_logger, hook, receive, task
from actwright.client import get_client
from actwright.serving.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


def tell(*_: object) -> None:
    get_run_logger().info("told", extra={"more": 1})


async def tell_async(*_: object) -> None: ...


async def cannot_tell(*_: object) -> None:
    raise ConnectionError("the channel is gone")


@task(retries=1, on_completion=[tell], tags=["few"])
async def part(number: int) -> int:
    return number


@task
def plain_part(number: int) -> int:
    return number


@flow(
    flow_run_name="parts-{number}", tags=["few"], on_running=[tell], on_completion=[tell, hook(tell_async, wait=False)]
)
async def parts(number: int) -> list[int]:
    await empty(number)
    return [await part(number), *[await future for future in part.map([1, 2])]]


@flow
async def empty(number: int) -> None: ...


@flow(on_end=[tell])
def plain(number: int) -> int:
    Variable.set("last", number, overwrite=True)
    return plain_part(number)


@flow(retries=1, on_retry=[tell], on_failure=[tell, cannot_tell])
async def fails(number: int) -> None:
    raise ConnectionError(number)


@flow(on_cancellation=[tell, hook(tell_async, at_once=True)])
async def waits(number: int) -> None:
    begun.append(number)
    await receive(str)
    received.append(number)
    await anyio.Event().wait()


begun: list[int] = []
received: list[int] = []


async def run_all(service: Service, numbers: range) -> None:
    """For each number a run of each kind, and one that others send a message to, and cancel; until they have ended."""
    async with anyio.create_task_group() as group:
        for number in numbers:
            for each in (empty, parts, plain, fails):
                await submitted(service, each, {"number": number}, idempotency_key=str(number))
            group.start_soon(send_and_cancel, service, number)
    begun.clear()
    received.clear()
    await until(lambda: not open_runs(service))


async def send_and_cancel(service: Service, number: int) -> None:
    run = await submitted(service, waits, {"number": number})
    async with get_client() as client:
        elsewhere = await client.get_run(run.id)
        await until(lambda: number in begun)
        await elsewhere.send("go on")
        await until(lambda: number in received)
        await elsewhere.cancel()


def open_runs(service: Service) -> int:
    journal_of(service).flush()
    with journal_of(service).database.reading() as connection:
        open_runs = "SELECT (SELECT count(*) FROM runs WHERE ended_at IS NULL)"
        due = "(SELECT count(*) FROM hook_deliveries WHERE status IN ('DUE', 'RUNNING'))"
        return int(connection.exec_driver_sql(f"{open_runs} + {due}").scalar_one())


MADE_FOR_RUNS = ("actwright", "concurrent.", "uuid.", "anyio.", "asyncio.", "trio.")
"""Where the types of what is made for a run are from. Of builtins there are more and less all the time."""

KEPT_FOR_A_WHILE = {
    "actwright_actors._timer_heap.HeapTimer",  # up to 64 that were cancelled
    "asyncio.events.TimerHandle",  # up to 100
    "trio.CancelScope",  # up to 1,000, each for a deadline
}


def name_of_type(each: object) -> str:
    return f"{type(each).__module__}.{type(each).__qualname__}"


def population() -> Counter[str]:
    """How many objects there are of each such type."""
    gc.collect()
    kinds = Counter(map(name_of_type, gc.get_objects()))
    return Counter({kind: count for kind, count in kinds.items() if kind.startswith(MADE_FOR_RUNS)})


@pytest.fixture
def no_log() -> Iterator[None]:
    """What pytest keeps of it is as much again."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
async def test_however_many_runs_have_ended_there_are_no_more_objects_of_any_kind() -> None:
    count = 15
    populations: list[Counter[str]] = []
    with anyio.fail_after(50):  # it is some 400 runs
        async with Service(empty, parts, plain, fails, waits) as service:
            TagLimit.set("few", 2)
            for begin in range(0, 3 * count, count):
                await run_all(service, range(begin, begin + count))
                await at_rest()  # what has ended in history has its last steps to take
                populations.append(population())
    first, second = (later - earlier for earlier, later in pairwise(populations))
    # What fills a cache grows once; what is kept of each run grows each time.
    grown = {kind: kept for kind, kept in (first & second).items() if kept >= count}
    assert grown.keys() - KEPT_FOR_A_WHILE == set()
