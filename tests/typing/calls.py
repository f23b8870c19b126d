"""What the type checkers must make of calls of flows and tasks. Never run: mypy and pyright read it.

Each ignore marks an error that must be one; both checkers complain about an ignore that is not needed.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from actwright.authoring.annotations import allow_failure, unmapped
from actwright.authoring.flows import Flow, flow
from actwright.authoring.futures import Handle, Handles
from actwright.authoring.tasks import Task, task
from actwright.models.states import State


@flow
async def greet(name: str, times: int = 1) -> list[str]:
    return [name] * times


@flow(retries=2)
def add(a: int, b: int = 1) -> int:
    return a + b


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task(tags=["io"])
def size(data: bytes, unit: int = 1) -> int:
    return len(data) // unit


class Store:
    @task
    def load(self, key: str) -> int:
        return len(key)

    @flow
    async def refresh(self, key: str) -> bool:
        return bool(key)


def decorating_keeps_the_signature() -> None:
    assert_type(add.fn(1, b=2), int)
    assert_type(size.with_options(retries=1)(b""), int)
    assert_type(flow(size.fn, name="size")(b""), int)
    add(1, b=2)
    add("1")  # type: ignore[call-overload]
    add()  # type: ignore[call-overload]
    add(1, c=2)  # type: ignore[call-overload]


async def async_calls() -> None:
    assert_type(await greet("ada", times=2), list[str])
    assert_type(await fetch("x"), bytes)
    await greet(1)  # type: ignore[call-overload]
    await greet("ada", "twice")  # type: ignore[call-overload]


async def calls_for_a_state() -> None:
    assert_type(add(1, return_state=True), State[int])
    assert_type(await greet("ada", return_state=True), State[list[str]])
    assert_type(size(b"", return_state=True).result(), int)
    assert_type(add(1, wait_for=[]), int)
    assert_type(await fetch("x", wait_for=[]), bytes)


@task
def total(sizes: list[int]) -> int:
    return sum(sizes)


async def submitted() -> None:
    data = fetch.submit("x")
    assert_type(data, Handle[bytes])
    assert_type(await data, bytes)
    assert_type(size.submit(b"", unit=2), Handle[int])
    assert_type(size.submit(data, unit=2), Handle[int])
    assert_type(total.submit(size.map([b""])), Handle[int])
    assert_type(total.submit([size.submit(b"")]), Handle[int])
    assert_type(total.submit([1]), Handle[int])
    assert_type(size.submit(allow_failure(data)), Handle[int])
    assert_type(size.submit(b"", wait_for=[data]), Handle[int])
    assert_type(await fetch.submit("x", wait_for=[data, allow_failure(data)]), bytes)
    assert_type(size.submit(data, unit=2, wait_for=size.map([b""])), Handle[int])
    size.submit(b"", wait_for=3)  # type: ignore[arg-type]
    size.submit("text")  # type: ignore[arg-type]
    size.submit()  # type: ignore[call-overload]


def mapped() -> None:
    assert_type(size.map([b"", b""], unit=unmapped(2)), Handles[int])
    assert_type(fetch.map(["x"]), Handles[bytes])


async def methods(store: Store) -> None:
    assert_type(store.load("k"), int)
    assert_type(await store.refresh("k"), bool)
    assert_type(store.load.submit("k"), Handle[int])
    assert_type(store.load.submit("k", wait_for=[]), Handle[int])
    assert_type(Store.load(store, "k"), int)
    store.load(1)  # type: ignore[call-overload]


def any_flow_or_task(one: Flow[..., Any], other: Task[..., Any]) -> None:
    any_flow_or_task(add, size)
    any_flow_or_task(size, add)  # type: ignore[arg-type]
