"""README and docs show programs that run, and what they print.

Each ```python block is a program of its own. A ```text block right after it is what it writes to stdout; a ```log block
after that, what it writes to stderr. There `...` stands for anything, and times of day are not compared.
"""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_THIS_MACHINE = re.compile(r"^.*, on a file system \(.*\n", flags=re.MULTILINE)
"""Said once where what is temporary is kept in memory or in a container's own layer."""
TIME_OF_DAY = re.compile(r"\d\d:\d\d:\d\d\.\d{3}")


@dataclass(frozen=True)
class Example:
    """A program in a page, with what the page says that it prints; None where it says nothing."""

    place: str
    source: str
    stdout: str | None
    stderr: str | None


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples_of(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    found: list[Example] = []
    for place, block in enumerate(blocks):
        if block[1] == "python":
            shown = {after[1]: after[2] for after in outputs_after(blocks[place + 1 :])}
            line = text.count("\n", 0, block.start()) + 1
            found.append(Example(f"{page_id(page)}:{line}", block[2], shown.get("text"), shown.get("log")))
    return found


def outputs_after(blocks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The blocks of output up to the next program."""
    end = next((place for place, block in enumerate(blocks) if block[1] not in ("text", "log")), len(blocks))
    return blocks[:end]


EXAMPLES = [example for page in PAGES for example in examples_of(page)]
OF_ACTORS = [example for example in EXAMPLES if example.place.startswith("docs/actors/")]

OTHER_BACKENDS = {
    "uvloop": 'anyio.run(main, backend="asyncio", backend_options={"use_uvloop": True})',
    "trio": 'anyio.run(main, backend="trio")',
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_a_program_in_the_docs_runs_and_prints_what_they_say(example: Example, tmp_path: Path) -> None:
    check(example, example.source, tmp_path)


@pytest.mark.parametrize("example", OF_ACTORS, ids=lambda example: example.place)
@pytest.mark.parametrize("backend", OTHER_BACKENDS)
def test_a_program_in_the_actors_guide_prints_the_same_on_every_back_end(
    example: Example, backend: str, tmp_path: Path
) -> None:
    assert example.source.count("anyio.run(main)") == 1
    check(example, example.source.replace("anyio.run(main)", OTHER_BACKENDS[backend]), tmp_path)


@pytest.fixture(autouse=True)
def understudies_stand_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do for a reader."""
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "true")


def check(example: Example, source: str, folder: Path) -> None:
    program = folder / "example.py"
    program.write_text(source, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", program.name], cwd=folder,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (example.stdout or "")
    if example.stderr is not None:
        assert_same_log(example.stderr, ran.stderr)


def assert_same_log(shown: str, written: str) -> None:
    shown, written = (TIME_OF_DAY.sub("12:00:00.000", log) for log in (shown, written))
    written = OF_THIS_MACHINE.sub("", written)
    same = doctest.OutputChecker().check_output(shown, written, doctest.ELLIPSIS)
    assert same, f"the page shows\n{shown}\nand this was written\n{written}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_page_has_no_other_blocks_than_those_that_are_tested(page: Path) -> None:
    kinds = {block[1] for block in BLOCK.finditer(page.read_text(encoding="utf-8"))}
    # README's two shell commands are run by .ci/run and looked at by test_readme; those of the other page by its test.
    with_commands = {ROOT / "README.md", ROOT / "docs" / "commands.md"}
    assert kinds <= {"python", "text", "log"} | ({"sh"} if page in with_commands else set())


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("folder", sorted({page.parent for page in PAGES} - {ROOT}), ids=page_id)
def test_every_page_of_the_docs_is_in_the_index_of_its_folder(folder: Path) -> None:
    index = (folder / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in folder.glob("*.md")} | {
        f"{page.parent.name}/index.md" for page in folder.glob("*/index.md")
    }
    assert [page for page in sorted(pages - {"index.md"}) if f"({page})" not in index] == []


def test_the_actors_guide_says_where_each_public_module_is() -> None:
    index = (ROOT / "docs" / "actors" / "index.md").read_text(encoding="utf-8")
    library = ROOT / "actors" / "actwright_actors"
    modules = [path for path in library.iterdir() if not path.name.startswith("_") and path.suffix in (".py", "")]
    assert [path.name for path in modules if f"(../../actors/actwright_actors/{path.name})" not in index] == []
