"""How tables come out: whole words where it is narrow, a row in each line where it is piped."""

from __future__ import annotations

import io

import anyio
import pytest
from rich.console import Console
from tests.control.shell import act

from actwright import flow, run_flow
from actwright.control.hooks import COLUMNS
from actwright.control.output import one_line, table_of

ID, DUE = "77aa88bb", "2025-11-22 22:04:19"


def drawn(columns: list[str], row: list[str], width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(table_of(columns, [row]))
    written: io.StringIO = console.file  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    return written.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_ids_events_statuses_and_times_stay_whole_on_a_narrow_terminal(width: int) -> None:
    row = [
        ID,
        "on_cancellation",
        "tell_the_channel",
        "flow weather-Rome",
        "SUCCEEDED",
        "1",
        DUE,
        "OSError: " + "gone " * 9,
    ]
    lines = drawn(COLUMNS, row, width).splitlines()
    assert max(map(len, lines)) <= width
    for whole in (ID, "on_cancellation", "SUCCEEDED", DUE):
        assert any(whole in line for line in lines), whole


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_cell_is_one_line_whatever_ends_lines(end: str) -> None:
    assert len(one_line(f"one{end}two").splitlines()) == 1
    assert len(drawn(["name"], [f"one{end}two"], 80).splitlines()) == 2


def test_what_people_wrote_in_several_lines_is_a_row_in_a_line_of_a_pipe() -> None:
    @flow(flow_run_name="two\nlines\u2028three", tags=["a\nb"])
    async def odd() -> None:
        raise ValueError("first\nsecond")

    anyio.run(lambda: run_flow(odd, return_state=True))
    lines = act("runs", "ls").stdout.splitlines()
    assert len(lines) == 2
    assert "two\\nlines\\u2028three" in lines[1]
    inspected = act("runs", "inspect", "two\nlines\u2028three").stdout
    assert "The body raised ValueError: first\\nsecond\n" in inspected
    assert inspected.startswith("Flow run 'two\\nlines")
