"""`Variable`: small named values, in sync and in async code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.engine.watched import open_runtime

from actwright import Variable, flow, run_flow
from actwright.engine import background
from actwright.exceptions import AuthoringError, CorruptVariable, UnknownVariable, VariableExists


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


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, {"a": object()}, float, b"bytes", SecretStr("s"), float("nan"), [float("inf")], "\ud800"],
    ids=lambda value: type(value).__name__,
)
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
    with pytest.raises(UnknownVariable) as raised:
        Variable.get("job")
    assert str(raised.value).endswith("or give get() a default.")  # and not in quotes, as a bare KeyError would be
    assert Variable.get("job", default=None).value is None
    assert Variable.get("job", default=7).value == 7


def test_a_variable_can_be_forgotten() -> None:
    Variable.set("job", 1)
    assert Variable.unset("job")
    assert not Variable.unset("job")
    assert Variable.get("job", default="none").value == "none"


@pytest.mark.anyio
async def test_what_unset_says_may_be_awaited() -> None:
    async with open_runtime():
        Variable.set("job", 1)
        assert await Variable.unset("job") is True
        assert await Variable.unset("job") is False
        assert (repr(Variable.unset("job")), f"{Variable.unset('job')}") == ("False", "False")


@pytest.mark.parametrize("name", ["a", "_x", "0", "Job.eu-west_1", "x" * 255])
def test_a_name_is_of_letters_digits_and_a_few_signs(name: str) -> None:
    Variable.set(name, 1)
    assert Variable.get(name).value == 1


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "jöb", "x\n", "x" * 256, 7, None])
def test_another_name_is_refused_with_the_rule(name: Any) -> None:
    with pytest.raises(AuthoringError, match=r"A variable cannot be named .* A name has 1 to 255 characters: letters"):
        Variable.set(name, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("in_runtime", [True, False])
async def test_the_typed_spellings_are_the_same_variables(in_runtime: bool) -> None:
    async with open_runtime() if in_runtime else nullcontext():
        assert (await Variable.aset("job", {"id": 7})).value == {"id": 7}
        assert Variable.get("job").value == {"id": 7}
        assert (await Variable.aget("job")).value == {"id": 7}
        assert (await Variable.aget("other", default=1)).value == 1
        with pytest.raises(VariableExists):
            await Variable.aset("job", 8)
        with pytest.raises(UnknownVariable):
            await Variable.aget("other")
        assert await Variable.aunset("job") is True
        assert await Variable.aunset("job") is False
        with pytest.raises(UnknownVariable):
            Variable.get("job")


@pytest.mark.anyio
async def test_outside_of_runtimes_both_spellings_have_one_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_JOURNAL", "memory")
    Variable.set("job", 1)
    assert (await Variable.aget("job")).value == 1


@pytest.mark.anyio
@pytest.mark.parametrize("in_runtime", [True, False])
async def test_the_typed_spellings_wait_for_the_file_in_a_thread(in_runtime: bool, actwright_home: Path) -> None:
    async with open_runtime() if in_runtime else nullcontext():
        await Variable.aset("job", 1)
        with closing(sqlite3.connect(actwright_home / "actwright.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(Variable.aset, "job", 2, overwrite=True))
                await at_rest_of_the_loop()
                assert (await Variable.aget("job")).value == 1  # this loop goes on while the other one holds the file
                other.execute("COMMIT")
        assert (await Variable.aget("job")).value == 2


async def at_rest_of_the_loop() -> None:
    """Until what was started waits for its thread."""
    await anyio.wait_all_tasks_blocked()


def test_one_that_was_damaged_says_so_and_can_be_set_anew(actwright_home: Path) -> None:
    Variable.set("job", 1)
    for damage in ("'{'", "x'ff'", "CAST(x'ff' AS TEXT)", "'nul'", f"'{'[' * 100_000}'"):
        with closing(sqlite3.connect(actwright_home / "actwright.db", isolation_level=None)) as other:
            other.execute(f"UPDATE variables SET value = {damage}")
        with pytest.raises(CorruptVariable, match=r"variable 'job' is no JSON .* `actwright variable unset job`"):
            Variable.get("job", default="none")
        assert Variable.set("job", 2, overwrite=True).value == 2
        assert Variable.get("job").value == 2


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
