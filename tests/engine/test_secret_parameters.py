"""A secret that is given to a run stands in its history never, not even while the run has not begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from pydantic import BaseModel, SecretStr
from tests.engine.gate import Gate
from tests.engine.watched import at_rest, open_runtime

from actwright import FlowRun, Handle, State, flow, task
from actwright.exceptions import ParameterTypeError

pytestmark = pytest.mark.anyio

HUSH: Any = "hunter2-hunter2"  # pydantic makes a secret of it


class Account(BaseModel):
    name: str
    password: SecretStr


def written(home: Path) -> bytes:
    """All that is in its files."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


@task
async def takes_all(token: SecretStr, account: Account, number: Any) -> str:
    return token.get_secret_value() + account.password.get_secret_value()


async def test_parameters_that_are_fine_reach_the_body_and_not_the_file(actwright_home: Path) -> None:
    async with open_runtime():
        given = Account(name="a", password=SecretStr(HUSH))
        assert await flow(takes_all.fn)(HUSH, given, 1) == 2 * HUSH
        await at_rest()
        assert HUSH.encode() not in written(actwright_home)


async def test_invalid_ones_are_kept_and_told_without_their_secrets(
    actwright_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[FlowRun] = []
    unnamed: Any = {"password": HUSH}
    wrong: Any = "none"

    async def hook(flow: object, flow_run: FlowRun, state: State[Any]) -> None:
        seen.append(flow_run)

    @flow(on_failure=[hook])
    async def fails(token: SecretStr, account: Account, number: int) -> None: ...

    async with open_runtime():
        with pytest.raises(ParameterTypeError) as caught:
            await fails(HUSH, unnamed, wrong)
        await at_rest()
        assert HUSH.encode() not in written(actwright_home)
    assert HUSH not in f"{caught.value} {caplog.text} {seen}"
    assert seen[0].parameters["token"].get_secret_value() == HUSH  # a hook in this process may still ask for it


async def test_those_of_a_run_that_waits_for_another_are_hidden_meanwhile(actwright_home: Path) -> None:
    gate = Gate()
    account: Any = {"name": "a", "password": HUSH}

    @task
    async def slow() -> int:
        await gate.astop_here()
        return 1

    @flow
    async def outer() -> str:
        second = cast("Handle[str]", takes_all.submit(HUSH, account, slow.submit()))
        await gate.reached()
        await at_rest()
        assert HUSH.encode() not in written(actwright_home)
        gate.open()
        return await second

    async with open_runtime():
        with anyio.fail_after(20):
            assert await outer() == 2 * HUSH


async def test_those_that_are_not_checked_are_hidden_for_good(actwright_home: Path) -> None:
    @flow(validate_parameters=False, flow_run_name="with {token}")
    async def unchecked(token: SecretStr) -> object:
        return token

    async with open_runtime() as runtime:
        handle = runtime.submit(unchecked, HUSH)
        assert await handle == HUSH  # the body gets what was given
        assert handle.name == "with **********"
        await at_rest()
        assert HUSH.encode() not in written(actwright_home)
