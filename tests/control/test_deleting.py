"""`actwright runs delete`: what goes, what stays and why, and who is asked before."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.control.shell import a_killed_program, a_living_program, act, printed, short
from tests.engine.scripts import ended

from actwright import flow, run_flow, task
from actwright.control.deleting import reason_to_keep
from actwright.journal.pruning import Obstacles

pytestmark = pytest.mark.slow


@task
async def part() -> None: ...


def nothing(*_: object) -> None: ...


@flow(flow_run_name="good-{n}", tags=["nightly"], on_completion=[nothing])
async def good(n: int) -> None:
    await part()


def fails(*_: object) -> None:
    raise ValueError("the channel is gone")


@flow(flow_run_name="unseen", on_failure=[fails])
async def unseen() -> None:
    raise ConnectionError


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def history() -> None:
    """Two runs of `good`, each with a task, and one of `unseen`, of which a hook failed."""

    async def main() -> None:
        for n in range(2):
            await good(n)
        await run_flow(unseen, return_state=True)

    anyio.run(main)


def left() -> list[str]:
    return sorted(run["name"] for run in printed("runs", "ls"))


@pytest.mark.usefixtures("history")
def test_a_run_that_is_named_goes_with_what_it_called_without_a_question_where_there_is_no_terminal() -> None:
    ran = act("runs", "delete", "good-0")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "runs             2\n" in ran.stdout
    assert left() == ["good-1", "unseen"]
    assert len(printed("runs", "ls", "--all")) == 3
    assert act("db", "check").exit_code == 0


@pytest.mark.usefixtures("history")
def test_of_those_that_are_named_all_go_or_none_and_it_says_why() -> None:
    id = printed("runs", "inspect", "unseen")["id"]
    ran = act("runs", "delete", "good-0", "unseen")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"actwright: Nothing was deleted. Flow run 'unseen' ({short(id)}) stays: 1 hook failed, which may have to be "
        "seen to (--with-failed-hooks deletes it all the same).\n"
    )
    assert len(left()) == 3
    ran = act("runs", "delete", "good-0", "unseen", "good-0", "--with-failed-hooks")
    assert ran.exit_code == 0
    assert left() == ["good-1"]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("options", "stay"),
    [
        (["--flow", "good"], ["unseen"]),
        (["--tag", "nightly"], ["unseen"]),
        (["--state", "completed"], ["unseen"]),
        (["--state", "failed", "--with-failed-hooks"], ["good-0", "good-1"]),
        (["--older-than", "0s"], ["unseen"]),
        (["--older-than", "1h"], ["good-0", "good-1", "unseen"]),
        (["--flow", "good", "--tag", "other"], ["good-0", "good-1", "unseen"]),
    ],
)
def test_options_say_which_and_those_that_cannot_go_stay(options: list[str], stay: list[str]) -> None:
    ran = act("runs", "delete", "--yes", *options)
    assert ran.exit_code == 0
    assert left() == stay


@pytest.mark.usefixtures("history")
def test_many_are_deleted_without_a_terminal_only_with_yes() -> None:
    ran = act("runs", "delete", "--flow", "good")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == "actwright: This deletes 2 runs, and nobody can be asked without a terminal: say --yes.\n"
    assert len(left()) == 3


@pytest.mark.usefixtures("history")
def test_a_rehearsal_tells_what_goes_and_what_stays_and_deletes_nothing() -> None:
    rehearsed = printed("runs", "delete", "--older-than", "0s", "--dry-run")
    assert len(left()) == 3
    shown = act("runs", "delete", "--older-than", "0s", "--dry-run")
    assert "good-0" in shown.stdout
    assert "to delete" in shown.stdout
    assert "Flow run 'unseen'" in shown.stderr
    done = printed("runs", "delete", "--older-than", "0s", "--yes")
    assert done == {**rehearsed, "dry_run": False}
    assert set(done) == {"dry_run", "deleted", "kept", "rows"}
    assert (len(done["deleted"]), done["rows"]["runs"]) == (2, 4)
    (kept,) = done["kept"]
    assert kept["why"].startswith("1 hook failed")
    assert left() == ["unseen"]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("options", [[], ["good-0", "--flow", "good"], ["good-0", "--older-than", "1h"]])
def test_neither_which_nor_both_ways_is_refused(options: list[str]) -> None:
    ran = act("runs", "delete", *options)
    assert ran.exit_code == 2
    assert "Name the runs to delete, or say which" in ran.stderr
    assert len(left()) == 3


@pytest.mark.usefixtures("history")
def test_nothing_that_fits_is_said_so() -> None:
    ran = act("runs", "delete", "--flow", "other", "--yes")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "No run is like that.\n")
    assert act("runs", "delete", "nobody").exit_code == 2
    assert act("runs", "delete", "--older-than", "99999999w", "--yes").exit_code == 2


def test_an_open_run_stays_while_its_process_lives_and_after_its_death(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        for name in ("nightly-Paris", "nightly-Oslo"):
            ran = act("runs", "delete", name)
            assert (ran.exit_code == 0) == (name == "nightly-Oslo")
        assert "stays: it has not ended." in act("runs", "delete", "nightly-Paris").stderr
    assert act("runs", "delete", "nightly-Paris").exit_code == 2
    assert left() == ["nightly-Paris", "nightly-Rome"]


def test_once_it_is_settled_a_run_of_a_dead_process_may_go(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    act("recover")
    assert act("runs", "delete", "nightly-Paris").exit_code == 0
    assert left() == ["nightly-Oslo", "nightly-Rome"]


def test_the_reason_names_what_is_in_the_way_first() -> None:
    for found, is_final, expected in (
        (Obstacles(1, 1, 1), False, "it has not ended"),
        (Obstacles(1, 1, 1), True, "of what it called, 1 run has not ended"),
        (Obstacles(2, 1, 1), True, "of what it called, 2 runs have not ended"),
        (Obstacles(0, 1, 1), True, "1 hook is due or running"),
        (Obstacles(0, 2, 1), True, "2 hooks are due or running"),
        (Obstacles(0, 0, 0), True, None),
    ):
        assert reason_to_keep(found, is_final, with_failed_hooks=True) == expected
    assert reason_to_keep(Obstacles(0, 0, 2), is_final=True, with_failed_hooks=True) is None
    why: Any = reason_to_keep(Obstacles(0, 0, 2), is_final=True, with_failed_hooks=False)
    assert why.startswith("2 hooks failed")


@contextmanager
def a_question(*options: str) -> Generator[tuple[subprocess.Popen[str], int]]:
    """`runs delete`, at a terminal, that has just asked; and that terminal."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "actwright", "runs", "delete", *options],
        stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    os.close(its_end)
    try:
        with ended(process):
            assert process.stderr is not None
            said = ""
            while not said.endswith("[y/N]: "):
                letter = process.stderr.read(1)
                assert letter, said
                said += letter
            assert said.startswith(
                ("Delete 2 runs, with all that they called?", "Delete Flow run 'good-0', with all that")
            )
            yield process, terminal
    finally:
        os.close(terminal)


@pytest.mark.usefixtures("history")
def test_at_a_terminal_it_asks_and_a_yes_deletes_while_a_no_and_a_ctrl_c_do_not() -> None:
    with a_question("good-0") as (asking, _):
        asking.send_signal(signal.SIGINT)
        assert asking.wait(30) == 130
    with a_question("good-0") as (asking, terminal):
        os.write(terminal, b"\n")
        assert asking.wait(30) == 1
    assert len(left()) == 3
    with a_question("--flow", "good") as (asking, terminal):
        os.write(terminal, b"yes\n")
        asking.communicate(timeout=30)
        assert asking.returncode == 0
    assert left() == ["unseen"]
