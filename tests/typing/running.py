"""What the type checkers must make of `run_flow`, `Runtime.submit`, handles and states. Never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from actwright import Handle, Runtime, State, as_completed, flow, run_flow, task, wait
from actwright.authoring.futures import Handles


@flow
async def count(name: str, times: int = 1) -> int:
    return times


@flow(retries=2)
def shout(name: str) -> str:
    return name.upper()


@task
async def fetch(url: str) -> bytes:
    return url.encode()


async def run_flow_gives_what_the_body_returns() -> None:
    assert_type(await run_flow(count, "a", times=2), int)
    assert_type(await run_flow(shout, "a"), str)


async def run_flow_gives_a_state_where_asked() -> None:
    assert_type(await run_flow(count, "a", return_state=True), State[int])
    assert_type(await run_flow(shout, "a", return_state=True), State[str])


async def a_wrong_argument_of_run_flow_is_an_error() -> None:
    await run_flow(count, 1)  # type: ignore[call-overload]
    await run_flow(shout)  # type: ignore[call-overload]


async def handles_carry_the_type_of_their_result(runtime: Runtime) -> None:
    handle = runtime.submit(count, "a")
    assert_type(handle, Handle[int])
    assert_type(await handle, int)
    assert_type(runtime.submit(shout, "a").result(), str)
    assert_type(fetch.map(["a", "b"]), Handles[bytes])
    assert_type(await fetch.map(["a", "b"]), list[bytes])
    done, not_done = await wait([handle])
    assert_type(done, set[Handle[int]])
    assert_type(not_done, set[Handle[int]])
    async for ready in as_completed([handle]):
        assert_type(ready, Handle[int])


def a_wrong_argument_of_submit_is_an_error(runtime: Runtime) -> None:
    runtime.submit(count, times="x")  # type: ignore[call-overload]
