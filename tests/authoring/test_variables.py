"""`Variable`: small named values, in sync and in async code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.watched import open_runtime

from actwright import Variable, flow, run_flow
from actwright.engine import background
from actwright.exceptions import AuthoringError


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    """Outside of a Runtime variables are those of the process, whose journal lives on a background loop."""
    yield
    background.close()


def test_in_sync_code_a_variable_is_there_when_set_returns() -> None:
    made = Variable.set("job", "gpu-7")
    assert (made.name, made.value) == ("job", "gpu-7")
    assert Variable.get("job").value == "gpu-7"
    assert repr(made) == "Variable('job', 'gpu-7')"


@pytest.mark.anyio
async def test_in_async_code_get_and_set_may_be_awaited_or_not() -> None:
    async with open_runtime():
        made = await Variable.set("job", "gpu-7")
        assert (made.name, made.value) == ("job", "gpu-7")
        assert (await Variable.get("job")).value == "gpu-7"
        assert Variable.get("job").value == "gpu-7"


@pytest.mark.parametrize("value", ["", 0, 1.5, True, None, [1, [2]], {"a": {"b": [None]}}])
def test_a_variable_is_any_json_value(value: Any) -> None:
    Variable.set("any", value)
    assert Variable.get("any").value == value
    assert type(Variable.get("any").value) is type(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, {"a": object()}, float, b"bytes"])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(AuthoringError, match=r"Variable 'odd' must be JSON \(str, number, bool, None, list, dict\): "):
        Variable.set("odd", value)
    assert Variable.get("odd", default="none").value == "none"


def test_a_variable_is_overwritten_only_where_that_is_wanted() -> None:
    Variable.set("job", 1)
    with pytest.raises(ValueError, match=r"There is a variable 'job' already\. Use overwrite=True to replace it"):
        Variable.set("job", 2)
    assert Variable.get("job").value == 1
    assert Variable.set("job", 2, overwrite=True).value == 2
    assert Variable.get("job").value == 2


def test_a_variable_that_is_not_there_is_an_error_unless_there_is_a_default() -> None:
    with pytest.raises(KeyError, match=r"There is no variable 'job'\. Set it with Variable\.set\('job', \.\.\.\)"):
        Variable.get("job")
    assert Variable.get("job", default=None).value is None
    assert Variable.get("job", default=7).value == 7


def test_a_variable_can_be_forgotten() -> None:
    Variable.set("job", 1)
    assert Variable.unset("job")
    assert not Variable.unset("job")
    assert Variable.get("job", default="none").value == "none"


def test_a_variable_is_a_copy_of_what_it_was_set_to() -> None:
    value = {"rows": [1]}
    made = Variable.set("job", value)
    value["rows"].append(2)
    made.value["rows"].append(2)
    Variable.get("job").value["rows"].append(3)
    assert Variable.get("job").value == {"rows": [1]}


@pytest.mark.anyio
async def test_bodies_and_hooks_of_one_runtime_share_variables_sync_and_async() -> None:
    seen: list[Any] = []

    async def read_async(*_: object) -> None:
        seen.append((await Variable.get(name="job")).value)

    def read(*_: object) -> None:
        seen.append(Variable.get("job").value)

    @flow(on_completion=[read, read_async])
    def sets() -> None:
        Variable.set("job", "gpu-7", overwrite=True)

    async with open_runtime():
        await run_flow(sets)
        sets()  # in this thread, with its actors on another loop
        assert Variable.get("job").value == "gpu-7"
    assert seen == ["gpu-7"] * 4


@pytest.mark.anyio
async def test_variables_are_kept_with_the_journal() -> None:
    async with open_runtime():
        Variable.set("job", 1)
    async with open_runtime():
        assert Variable.get("job").value == 1
    async with open_runtime(journal="memory"):
        assert Variable.get("job", default="none").value == "none"


def test_the_flows_of_a_script_share_its_variables() -> None:
    @flow
    def sets() -> None:
        Variable.set("job", "gpu-7")

    @flow
    def reads() -> Any:
        return Variable.get("job").value

    sets()
    assert reads() == "gpu-7"
    assert Variable.get("job").value == "gpu-7"
