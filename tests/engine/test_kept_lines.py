"""Lines of a run's log, as they are kept with its history: on disk and in memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from tests.engine.watched import open_runtime

from actwright import flow, get_run_logger, task, wait
from actwright.engine.options import RuntimeKeywords
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import LogLine
from actwright.models.log_fields import exception_of, fields_from_rest

EACH_JOURNAL: list[RuntimeKeywords] = [{}, {"journal": "memory"}]
each_journal = pytest.mark.parametrize("options", EACH_JOURNAL, ids=["on disk", "in memory"])

pytestmark = pytest.mark.anyio


def own(lines: Sequence[LogLine]) -> list[LogLine]:
    """Without those of the engine's."""
    return [line for line in lines if not line.message.startswith(("Beginning", "Finished", "The body raised"))]


@each_journal
async def test_lines_are_kept_with_their_fields_in_order(options: RuntimeKeywords) -> None:
    @flow
    async def work() -> None:
        log = get_run_logger()
        log.debug("too little to be kept")
        log.info("read %d rows", 7, extra={"rows": 7, "city": "Oslo"})
        log.warning("%(rows)d rows are few", {"rows": 7})

    async with open_runtime(**options) as runtime:
        handle = runtime.submit(work)
        await handle
        lines = own(runtime.journal.lines(handle.id))
    assert [(line.level, line.logger, line.message) for line in lines] == [
        (logging.INFO, "actwright.flow_runs", "read 7 rows"),
        (logging.WARNING, "actwright.flow_runs", "7 rows are few"),
    ]
    assert [fields_from_rest(line.fields) for line in lines] == [{"rows": 7, "city": "Oslo"}, {}]


@each_journal
async def test_a_line_about_an_exception_is_kept_with_its_traceback(options: RuntimeKeywords) -> None:
    @flow
    async def work() -> None:
        try:
            raise ConnectionError("no answer")
        except ConnectionError:
            get_run_logger().exception("it is down", extra={"host": "a"})

    async with open_runtime(**options) as runtime:
        handle = runtime.submit(work)
        await handle
        (line,) = own(runtime.journal.lines(handle.id))
    fields = fields_from_rest(line.fields)
    assert (line.message, fields["host"], fields["exc_info"]["type"]) == ("it is down", "a", "ConnectionError")
    assert 'raise ConnectionError("no answer")' in str(exception_of(fields))


@each_journal
async def test_why_a_body_failed_is_kept_with_its_traceback(options: RuntimeKeywords) -> None:
    @flow
    async def work() -> None:
        raise ConnectionError("no answer")

    async with open_runtime(**options) as runtime:
        handle = runtime.submit(work)
        await wait([handle])
        failed = [line for line in runtime.journal.lines(handle.id) if line.message.startswith("The body raised")]
    (line,) = failed
    assert line.message == "The body raised ConnectionError: no answer"
    assert 'raise ConnectionError("no answer")' in str(exception_of(fields_from_rest(line.fields)))


@pytest.mark.parametrize("kind", ["flow", "task"])
async def test_what_a_body_prints_is_kept_under_a_logger_of_its_own(kind: Literal["flow", "task"]) -> None:
    def speaks() -> None:
        print("one", 2, sep="-")

    subject: Any = (flow if kind == "flow" else task)(speaks, log_prints=True)
    async with open_runtime() as runtime:

        @flow
        async def around() -> None:
            subject()

        await around()
        inner = next(run for run in runtime.journal.runs() if run.parent_id is not None)
        (line,) = own(runtime.journal.lines(inner.id))
    assert (line.logger, line.message, line.level) == (f"actwright.{kind}_runs.print", "one-2", logging.INFO)


async def test_of_a_run_that_says_more_than_the_limit_the_first_lines_are_kept_and_a_word_about_the_rest() -> None:
    @flow
    async def work() -> None:
        for number in range(5):
            get_run_logger().info("%d", number, extra={"number": number})

    async with open_runtime(logs_limit=3) as runtime:
        handle = runtime.submit(work)
        await handle
        kept = [line.message for line in runtime.journal.lines(handle.id)]
    assert kept[1:] == ["0", "1", "It has said 3 lines; those that follow are not kept."]


async def test_in_memory_the_last_lines_of_each_run_are_kept_and_none_of_a_run_that_is_gone() -> None:
    @flow
    async def work() -> None:
        for number in range(5):
            get_run_logger().info("%d", number)

    async with open_runtime(journal=MemoryJournal(keep_runs=1, keep_lines=3)) as runtime:
        first, second = runtime.submit(work), runtime.submit(work)
        await first
        await second
        kept = {handle: runtime.journal.lines(handle.id) for handle in (first, second)}
        (left,) = runtime.journal.runs()
    for handle, lines in kept.items():
        assert len(lines) == (3 if handle.id == left.id else 0)


def test_a_memory_of_no_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_lines: expected at least 1, got 0"):
        MemoryJournal(keep_lines=0)


async def test_a_run_knows_where_its_flow_is_found_again() -> None:
    @flow
    async def nameless() -> None: ...

    async with open_runtime() as runtime:
        named, without = runtime.submit(at_the_top), runtime.submit(nameless)
        await named
        await without
        entries = [run.entry if (run := runtime.journal.run(each.id)) else "" for each in (named, without)]
    assert entries == ["tests.engine.test_kept_lines:at_the_top", None]


@flow
async def at_the_top() -> None: ...
