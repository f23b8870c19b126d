"""`docs/commands.md` shows what the commands print: its program is run, then each of its commands, in order.

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


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path, actwright_home: Path) -> None:
    blocks = [(found[1], found[2]) for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    (program,) = [text for kind, text in blocks if kind == "python"]
    (tmp_path / "weather.py").write_text(program, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}

    def run(command: str) -> str:
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run(f"{sys.executable} weather.py")
    shown = [
        (text, after if kind_after == "text" else "")
        for (kind, text), (kind_after, after) in zip(blocks, [*blocks[1:], ("", "")], strict=True)
        if kind == "sh"
    ]
    assert len(shown) == 13
    for commands, output in shown:
        printed = normalized(run(commands))
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        same = doctest.OutputChecker().check_output(normalized(output), printed, flags)
        assert same, f"{commands}the page shows\n{output}\nand this was printed\n{printed}"
