"""What a run returned, asked of history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.engine.scripts import run_script
from tests.engine.subjects import bodies, final_state, kinds, made, raising
from tests.engine.watched import open_runtime

from actwright import Runtime
from actwright.exceptions import MissingResult

pytestmark = pytest.mark.anyio

journals = pytest.mark.parametrize("where", [None, "memory"], ids=["sqlite", "memory"])


class Report(BaseModel):
    title: str
    at: datetime


def options(where: str | None) -> Any:
    return {} if where is None else {"journal": where}


async def kept(where: str | None, subject: Any) -> tuple[Any, Any]:
    """The state that the caller gets, and the one that history tells."""
    async with open_runtime(**options(where)) as opened:
        state = await final_state(subject)
        return state, _of_the_only_run(opened)


def _of_the_only_run(opened: Runtime) -> Any:
    (listed,) = opened.journal.runs()
    found = opened.journal.run(listed.id)
    assert found is not None
    return found.state


def returning(value: object) -> Any:
    """A body that returns it."""

    def body() -> Any:
        return value

    return body


@kinds
@bodies
@journals
async def test_a_result_that_is_to_be_kept_is_told_by_history(kind: str, is_async: bool, where: str | None) -> None:
    def body() -> Any:
        return {"numbers": [1, 2.5, None], "word": "x"}

    async def async_body() -> Any:
        return body()

    state, found = await kept(where, made(kind, async_body if is_async else body, persist_result=True))
    assert found.result() == state.result() == {"numbers": [1, 2.5, None], "word": "x"}


@kinds
@journals
async def test_what_is_not_plain_is_kept_as_pydantic_writes_it(kind: str, where: str | None) -> None:
    report = Report(title="t", at=datetime(2026, 1, 1, tzinfo=UTC))
    state, found = await kept(where, made(kind, returning([report]), persist_result=True))
    assert state.result() == [report]
    assert found.result() == [{"title": "t", "at": "2026-01-01T00:00:00Z"}]


@kinds
@journals
async def test_one_that_is_not_to_be_kept_says_how_to_keep_it(kind: str, where: str | None) -> None:
    _, found = await kept(where, made(kind, returning("x")))
    with pytest.raises(MissingResult, match="persist_result=True"):
        found.result()


@kinds
@journals
async def test_nothing_is_always_kept(kind: str, where: str | None) -> None:
    _, found = await kept(where, made(kind, returning(None)))
    assert found.result() is None


class Sealed:
    """No JSON is to be had of it."""


@kinds
@journals
@pytest.mark.parametrize(
    ("make", "why"),
    [(Sealed, "cannot be written as JSON"), (lambda: iter([1]), "it is an iterator"), (lambda: "\udcff", "JSON")],
)
async def test_one_that_cannot_be_kept_says_why_and_reaches_its_caller_all_the_same(
    kind: str, where: str | None, make: Any, why: str
) -> None:
    result = make()
    state, found = await kept(where, made(kind, returning(result), persist_result=True))
    assert state.result() is result
    with pytest.raises(MissingResult, match=why):
        found.result()


@kinds
@journals
async def test_of_a_run_that_failed_no_result_is_kept(kind: str, where: str | None) -> None:
    state, found = await kept(where, made(kind, raising(ValueError("on purpose")), persist_result=True))
    assert found.name == state.name == "Failed"
    assert not isinstance(found.result(raise_on_failure=False), MissingResult)


PROGRAM = """
    from actwright import flow

    @flow(persist_result=True)
    def work():
        return ["kept", 1]

    if __name__ == "__main__":
        work()
"""


@pytest.fixture
def another_program_ran(tmp_path: Path) -> None:
    ran = run_script(tmp_path, PROGRAM)
    assert ran.returncode == 0, ran.stderr


async def test_it_can_be_asked_for_when_its_process_is_gone(another_program_ran: None) -> None:
    async with open_runtime() as opened:
        assert _of_the_only_run(opened).result() == ["kept", 1]
