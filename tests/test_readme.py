"""README's first flow and its two commands. That its programs print what it says, `test_docs` sees to."""

from __future__ import annotations

import re
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


def test_each_of_the_two_commands_is_one_line_that_makes_its_own_environment() -> None:
    for command in (block_after("The demo:"), block_after("<!-- tests: .ci/run runs this line -->")):
        assert re.fullmatch(r"python3 -m venv (\S+) && \1/bin/pip install .+ && (\1/bin/.+|make test)\n", command)
