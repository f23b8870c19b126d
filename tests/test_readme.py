"""README shows programs that run and output that they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_FLOW = ROOT / "examples" / "first_flow.py"


def block_after(text: str) -> str:
    """The code block that follows a piece of README's text."""
    found = re.search(re.escape(text) + r"\s*```\w*\n(.*?)```", README, flags=re.DOTALL)
    assert found, f"README has no code block after {text!r}"
    return found[1]


def test_the_first_flow_in_readme_is_the_one_in_examples() -> None:
    shown = block_after("<!-- the program in examples/first_flow.py -->")
    assert FIRST_FLOW.read_text(encoding="utf-8").endswith(f"annotations\n\n{shown}")


def test_the_first_flow_prints_what_readme_says(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, FIRST_FLOW], capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == block_after("It prints:")


def test_each_of_the_two_commands_is_one_line_that_makes_its_own_environment() -> None:
    for command in (block_after("The demo:"), block_after("<!-- tests: .ci/run runs this line -->")):
        assert re.fullmatch(r"python3 -m venv (\S+) && \1/bin/pip install .+ && \1/bin/.+\n", command)
