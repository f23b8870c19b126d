"""The benchmark beside other libraries runs without them, and says how to install each. No test asks how fast it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.test_benchmarks import QuickRun as QuickRunOfSection
from tests.test_benchmarks import bare_python

PROGRAM = Path(__file__).resolve().parent.parent / "benchmarks" / "peers.py"
PACKAGES = {"Prefect": "prefect", "DBOS": "dbos", "Dask": "distributed", "Ray": "ray"}


class QuickRun(QuickRunOfSection):
    def beside(self, peer: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["against"].startswith(peer)]


def run_quickly(folder: Path, python: Path, *options: str) -> QuickRun:
    file = folder / "figures.json"
    command = [sys.executable, "-W", "error", str(PROGRAM), "--quick", "--json", str(file)]
    command += ["--peers-python", str(python), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    return QuickRun("peers", done.stdout, json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> QuickRun:
    folder = tmp_path_factory.mktemp("peers")
    return run_quickly(folder, bare_python(folder))


@pytest.mark.parametrize(("peer", "package"), PACKAGES.items())
def test_each_row_of_a_peer_that_is_missing_says_how_to_install_it(
    quick_run: QuickRun, peer: str, package: str
) -> None:
    rows = quick_run.beside(peer)
    assert len(rows) >= 2
    for row in rows:
        assert row["note"].startswith(f"{package} is not installed: pip install -e '.[bench-peers]'")
        assert row["note"] in quick_run.printed
        assert row["floor"] is None
        assert row["ratio"] is None


def test_actwright_is_measured_all_the_same(quick_run: QuickRun) -> None:
    assert sorted({peer for peer in PACKAGES for _ in quick_run.beside(peer)}) == sorted(PACKAGES)
    assert sum(len(quick_run.beside(peer)) for peer in PACKAGES) == len(quick_run.rows)
    for row in quick_run.rows:
        assert 0 < row["figure"]["lowest"] <= row["figure"]["median"] <= row["figure"]["highest"], row


def test_what_prefect_is_asked_has_a_row_for_the_caller_and_one_for_its_server(quick_run: QuickRun) -> None:
    measures = [row["measure"] for row in quick_run.beside("Prefect") if row["unit"] == "us"]
    awaited = [each.removesuffix(", until the caller has the results") for each in measures[0::2]]
    assert awaited == [each.removesuffix(", sustained: until all states are committed") for each in measures[1::2]]
    assert sum("hook" in each for each in awaited) == 2


@pytest.mark.parametrize("peer", PACKAGES)
def test_each_peer_has_a_row_for_its_import_and_one_for_a_script(quick_run: QuickRun, peer: str) -> None:
    starts = {row["measure"] for row in quick_run.beside(peer) if row["unit"] == "ms"}
    script = "a script with one empty flow, from python to exit, fresh home"
    assert starts == {"from actwright import flow, task, from python to exit", script}


def test_no_row_has_a_verdict(quick_run: QuickRun) -> None:
    assert [row for row in quick_run.rows if row["budget"] is not None or row["held"] is not None] == []


def test_the_table_names_every_measure_that_the_file_holds(quick_run: QuickRun) -> None:
    assert [row["measure"] for row in quick_run.rows if row["measure"] not in quick_run.printed] == []


def test_the_file_says_on_what_and_how_much_was_measured(quick_run: QuickRun) -> None:
    assert quick_run.document["machine"]["cores"] >= 1
    assert quick_run.document["sizes"]["peers"]["turns"] >= 1


def python_with_ray(folder: Path, source: str | None = None) -> Path:
    """One that says to have a Ray, which is that module; without it, there is none to import."""
    python = bare_python(folder)
    [packages] = (folder / "bare" / "lib").glob("python*/site-packages")
    (packages / "ray-9.9.dist-info").mkdir()
    (packages / "ray-9.9.dist-info" / "METADATA").write_text("Name: ray\nVersion: 9.9\n", encoding="utf-8")
    if source is not None:
        (packages / "ray.py").write_text(source, encoding="utf-8")
    return python


def test_a_peer_that_does_not_run_has_rows_that_say_why(tmp_path: Path) -> None:
    ran = run_quickly(tmp_path, python_with_ray(tmp_path), "--only", "ray")
    why = "Ray 9.9 does not run here: ModuleNotFoundError: No module named 'ray'"
    assert [row["note"] for row in ran.rows] == [why] * len(ran.beside("Ray 9.9")) != []
    assert [row for row in ran.rows if row["figure"]["lowest"] <= 0] == []


HANGS = """
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, start_new_session=True)
pathlib.Path({pid_file!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
os.close(1)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # nobody may wait for it: then it stays as a zombie
    return not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_a_peer_that_hangs_and_says_no_more_is_killed_and_its_rows_say_so(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    python = python_with_ray(tmp_path, HANGS.format(pid_file=str(pid_file)))
    ran = run_quickly(tmp_path, python, "--only", "ray")
    assert {row["note"] for row in ran.rows} == {"Ray 9.9 does not run here: it said no more, and hung"}
    pids = [int(pid) for pid in pid_file.read_text(encoding="utf-8").split()]
    assert len(pids) == 2
    for pid in pids:
        assert not is_alive(pid)
