"""`concurrency` in bodies that run in processes of their own: their Runtime's process asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.slots import held, is_waiting, nothing_is_left
from tests.engine.watched import open_runtime, until
from tests.isolation import blocks as b
from tests.isolation.helpers import apart, said

from actwright import TagLimit, concurrency, run_flow
from actwright.exceptions import CancelledRun, CrashedRun

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@pytest.mark.parametrize("body", [b.nests, b.anests], ids=["sync", "async"])
async def test_what_is_called_inside_of_a_block_takes_over_its_slot_there_and_here(body: Any) -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", body)) == ["came in", "came in"]
        await nothing_is_left()


async def test_it_waits_for_what_others_hold_and_hears_who_they_are(tmp_path: Path) -> None:
    async with open_runtime(on_exit="cancel") as runtime:
        holder = runtime.submit(apart("flow", b.stays_inside), tmp_path / "told")
        await said(tmp_path / "told")
        told = await run_flow(apart("flow", b.tries))
        assert told == f"concurrency('db', limit=1): no slot came within 0.05 s: held by {holder.run.title}."
    async with open_runtime(), concurrency("db", limit=1):
        assert await run_flow(apart("flow", b.tries)) == "came in"  # called in here, it has the slot lent


@pytest.mark.parametrize("body", [b.stays_inside, b.astays_inside], ids=["sync", "async"])
async def test_cancelled_inside_it_leaves_the_block(tmp_path: Path, body: Any) -> None:
    async with open_runtime() as runtime:
        run = runtime.submit(apart("flow", body), tmp_path / "told")
        assert await said(tmp_path / "told") == "inside"
        assert held() == [run.run.title]
        await run.cancel()
        with pytest.raises(CancelledRun):
            await run
        await nothing_is_left()


@pytest.mark.parametrize("body", [b.waits, b.awaits], ids=["sync", "async"])
async def test_cancelled_while_it_waits_it_leaves_nothing(tmp_path: Path, body: Any) -> None:
    async with open_runtime() as runtime:
        holder = runtime.submit(apart("flow", b.stays_inside), tmp_path / "holds")
        await said(tmp_path / "holds")
        run = runtime.submit(apart("flow", body))
        await until(is_waiting())
        await run.cancel()
        with pytest.raises(CancelledRun):
            await run
        await until(is_waiting(0))
        await holder.cancel()
        with pytest.raises(CancelledRun):
            await holder


async def test_the_slot_of_one_that_is_killed_inside_is_free() -> None:
    async with open_runtime():
        with pytest.raises(CrashedRun):
            await run_flow(apart("flow", b.dies_inside))
        await nothing_is_left()


async def test_limits_of_tags_are_kept_where_the_runtime_is() -> None:
    async with open_runtime():
        assert await run_flow(apart("flow", b.limits)) == [3, 3, None]
        assert (await TagLimit.get("db")).slots is None
