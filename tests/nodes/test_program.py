"""What a program was started with: as recorded, and as a replay process gets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.nodes.elsewhere import say

from actwright.nodes.program import Program

TELL = "from actwright.nodes.program import Program; print(Program.of_this_process().to_json())"


def recorded(command: list[str | Path], cwd: Path) -> Program:
    ran = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=True, timeout=30)
    return Program.from_json(ran.stdout)


def test_a_script_is_recorded_with_its_file_its_arguments_and_where_it_ran(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "script.py").write_text(TELL)
    program = recorded(["folder/script.py", "--fast"], tmp_path)
    assert program.main_file == str(tmp_path / "folder" / "script.py")
    assert program.main_module is None
    assert program.argv == ("folder/script.py", "--fast")
    assert program.cwd == str(tmp_path)
    assert program.sys_path[0] == str(tmp_path / "folder")
    assert program.interpreter == sys.executable


def test_a_module_is_recorded_by_the_name_that_it_was_started_by(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(TELL)
    program = recorded(["-m", "package"], tmp_path)
    assert program.main_module == "package.__main__"
    assert program.main_file == str(tmp_path / "package" / "__main__.py")


def test_a_program_without_a_file_imports_from_the_folder_where_it_ran(tmp_path: Path) -> None:
    program = recorded(["-c", TELL], tmp_path)
    assert program.main_file is None
    assert program.main_module is None
    assert program.sys_path[0] == str(tmp_path)


def test_a_program_whose_folder_was_removed_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    program = recorded(["-c", f"import os; os.rmdir(os.getcwd()); {TELL}"], tmp_path / "gone")
    assert program.cwd == "/"


def test_it_reads_what_it_wrote_and_what_a_later_version_wrote() -> None:
    program = replace(Program.of_this_process(), argv=("\udcff", "ä"))
    assert Program.from_json(program.to_json()) == program
    later = json.loads(program.to_json()) | {"invented_later": 1}
    assert Program.from_json(json.dumps(later)) == program


def test_a_replay_process_finds_our_packages_wherever_it_starts_and_imports_nothing_else_from_there(
    tmp_path: Path,
) -> None:
    """With an environment that knows nothing of them, in a folder that has modules of those very names."""
    (tmp_path / "actwright.py").write_text("raise SystemExit('the wrong one')")
    program = Program.of_this_process()
    command = program.replay_command(Path("/some where/actwright.db"), "node-1")
    assert command[0] == program.interpreter
    assert command[-2:] == ["/some where/actwright.db", "node-1"]
    bootstrap = command[command.index("-c") + 1]
    start, end = bootstrap.splitlines()
    assert end == "from actwright.replay.main import main; main()"
    asks = f"{start}\nfrom importlib.util import find_spec; print(find_spec('actwright').origin)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [command[0], "-S", *command[1 : command.index("-c")], "-c", asks],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert Path(ran.stdout.strip()).parent.parent == Path(program.package_roots[0])


def test_a_process_that_runs_a_flow_again_starts_as_a_replay_process_does() -> None:
    program = Program.of_this_process()
    replay, again = program.replay_command(Path("/x.db"), "node-1"), program.rerun_command(Path("/x.db"), 7)
    assert again[:3] == replay[:3]
    assert again[3] == replay[3].replace("actwright.replay.main", "actwright.replay.rerunning")
    assert again[4:] == ["/x.db", "--request-fd=7"]


def test_packages_of_an_environment_that_is_gone_are_found_where_the_recoverer_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = replace(Program.of_this_process(), package_roots=("/gone",))
    own = Program.of_this_process().package_roots
    assert repr(["/gone", *own]) in "".join(program.replay_command(Path("/x.db"), "node-1"))


def test_recording_costs_no_import_of_the_runtime() -> None:
    assert say("import sys, actwright.nodes.program; print('actwright.engine' in sys.modules)") == "False"
