"""`docs/commands.md` shows what the commands print: for each section its program is run, then the commands
of that section, in order.

Ids, times and durations are any others; blanks between columns do not matter; `...` stands for any lines.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def normalized(text: str) -> str:
    for pattern, word in (
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
        (r"\b[0-9a-f]{8}\b", "ID"),
        (r"\bfetch-[0-9a-f]{3}\b", "fetch-ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?", "TIME"),
        (r"\b[\d.]+ m?s\b", "TOOK"),
        (r"\S+/actwright\.db", "JOURNAL"),
    ):
        text = re.sub(pattern, word, text)
    return text


def blocks_of(text: str) -> list[tuple[str, str]]:
    """The blocks of a text: of what kind, and what is in them."""
    return [(found[1], found[2]) for found in BLOCK.finditer(text)]


BEGINNING, *SECTIONS = PAGE.read_text(encoding="utf-8").split("\n## ")
WITH_COMMANDS = {title: shown for title, _, shown in (each.partition("\n") for each in SECTIONS) if "```sh" in shown}


def test_the_sections_of_the_page_that_show_commands_are_these() -> None:
    assert list(WITH_COMMANDS) == [
        "Runs", "Hooks", "Nodes and recovery", "Status", "Variables and blocks", "Concurrency limits",
        "The journal's file",
    ]  # fmt: skip
    assert [kind for kind, _ in blocks_of(BEGINNING)] == ["python"]


@pytest.mark.parametrize("section", WITH_COMMANDS)
def test_the_commands_of_a_section_print_what_it_shows(section: str, tmp_path: Path, actwright_home: Path) -> None:
    (tmp_path / "weather.py").write_text(blocks_of(BEGINNING)[0][1], encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}

    def run(command: str) -> str:
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run(f"{sys.executable} weather.py")
    blocks = blocks_of(WITH_COMMANDS[section])
    for (kind, commands), (kind_after, output) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind != "sh":
            continue
        printed = normalized(run(commands))
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        shown = normalized(output) if kind_after == "text" else ""
        same = doctest.OutputChecker().check_output(shown, printed, flags)
        assert same, f"{commands}the page shows\n{output}\nand this was printed\n{printed}"
