"""`actwright runs retry`: runs of programs that have ended, in processes like theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.control.following import command
from tests.control.shell import a_living_program, act, history_of_a_killed_program, printed, short
from tests.engine.scripts import EACH_BACKEND
from tests.recovery.trial import within

from actwright.control.rerunning import given_parameters
from actwright.models.marks import MASK, finite, missing, unmistakable
from actwright.models.values_at_rest import why_not_kept

pytestmark = [pytest.mark.slow, pytest.mark.costly]

FLOWS = """
import json, os, sys
from pathlib import Path
from typing import Any
from actwright import flow, get_run_logger, task

HERE = Path(__file__).parent

def tell(flow, run, state):
    with (HERE / "told").open("a") as told:
        told.write(f"{state.name}\\n")

@task(task_run_name="fetch-{city}")
def fetch(city):
    if not (HERE / "works").exists():
        raise ConnectionError("no answer")
    (HERE / "fetched").write_text(city)

@flow(flow_run_name="nightly-{city}")
def nightly(city: str, rate: float, *rows: int, **more: Any):
    print("printed")
    get_run_logger().info("in the body")
    seen = [city, repr(rate), rows, more, os.getcwd(), sys.argv[1:]]
    (HERE / "seen").write_text(json.dumps(seen))
    fetch(city)
"""
CALL = """
if __name__ == "__main__":
    nightly("Oslo", float("nan"), 1, 2, deep={"$actwright": "mine"}, return_state=True)
"""
SEEN = ["Oslo", "nan", [1, 2], {"deep": {"$actwright": "mine"}}]


def run(folder: Path, source: str = FLOWS + CALL, *arguments: str, cwd: Path | None = None) -> None:
    """Run a script to its end, wherever."""
    (folder / "script.py").write_text(dedent(source), encoding="utf-8")
    (cwd or folder).mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", str(folder / "script.py"), *arguments]
    subprocess.run(command, cwd=cwd or folder, check=True, timeout=30, stderr=subprocess.DEVNULL)


def retry(*arguments: str, code: int = 0, **environment: str) -> tuple[str, str]:
    """What the command writes to stdout and to stderr."""
    with command("runs", "retry", *arguments, environment=environment) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    return out, err


def inspected(run: str) -> dict[str, Any]:
    found: dict[str, Any] = printed("runs", "inspect", run)
    return found


def test_a_scripts_flow_is_run_again_with_its_parameters_its_folder_and_its_arguments(tmp_path: Path) -> None:
    run(tmp_path, FLOWS + CALL, "--fast", cwd=tmp_path / "elsewhere")
    (old,) = printed("runs", "ls")
    assert old["state_name"] == "Failed"
    (tmp_path / "works").touch()
    (tmp_path / "seen").unlink()
    out, err = retry("nightly-Oslo")
    new = inspected(out.strip())
    assert (new["state_name"], new["retry_of"], new["name"]) == ("Completed", old["id"], "nightly-Oslo")
    assert new["entry"] == old["entry"] == f"{tmp_path}/script.py:nightly"
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen == [*SEEN, str(tmp_path / "elsewhere"), ["--fast"]]
    assert new["parameters"] == inspected(old["id"])["parameters"]
    assert "Flow run 'nightly-Oslo' - in the body" in err
    assert "printed\n" in err
    assert inspected(old["id"])["state_name"] == "Failed"
    assert f"retry of    {old['id']}" in act("runs", "inspect", new["id"]).stdout


def test_a_retry_can_be_retried(tmp_path: Path) -> None:
    run(tmp_path)
    first, _ = retry("nightly-Oslo", code=1)
    (tmp_path / "works").touch()
    second, _ = retry(first.strip())
    assert inspected(second.strip())["retry_of"] == first.strip()


def test_one_that_fails_again_ends_with_1_and_as_json_the_new_run_is_printed_once_it_is_over(tmp_path: Path) -> None:
    run(tmp_path)
    (old,) = printed("runs", "ls")
    out, _ = retry(old["id"], "-o", "json", code=1)
    new = json.loads(out)
    assert (new["state_name"], new["retry_of"]) == ("Failed", old["id"])
    assert set(new) == set(old)


def test_a_script_without_a_main_guard_runs_the_flow_and_nothing_else_again(tmp_path: Path) -> None:
    run(tmp_path, FLOWS + "nightly('Oslo', 1.5, return_state=True)\n(HERE / 'after').touch()")
    (tmp_path / "after").unlink()
    (tmp_path / "works").touch()
    retry("nightly-Oslo")
    assert len(printed("runs", "ls")) == 2
    assert not (tmp_path / "after").exists()


def test_a_flow_of_a_module_is_imported_by_its_name_as_it_is_by_now(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    run(tmp_path, "from flows import nightly\n" + CALL)
    (old,) = printed("runs", "ls")
    assert old["entry"] == "flows:nightly"
    (tmp_path / "flows.py").write_text(FLOWS.replace("raise ConnectionError", "return print"), encoding="utf-8")
    out, _ = retry(old["id"])
    assert inspected(out.strip())["state_name"] == "Completed"


ASYNC = """
from pathlib import Path
import anyio
from actwright import flow
from actwright_actors.backends import current_backend_name

@flow(flow_run_name="nightly")
async def nightly():
    await anyio.sleep(0)
    Path(__file__).with_name("backend").write_text(str(current_backend_name()))

@flow(flow_run_name="hooked", on_completion=[lambda *_: None])
async def hooked():
    await nightly()

if __name__ == "__main__":
    anyio.run(nightly)
    anyio.run(hooked, backend="trio")
"""


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_an_async_flow_runs_on_the_back_end_that_is_set_and_with_hooks_on_that_which_they_know(
    tmp_path: Path, backend: str
) -> None:
    run(tmp_path, ASYNC)
    (id,) = [each["id"] for each in printed("runs", "ls") if each["name"] == "nightly"]
    for which, expected in ((id, backend), ("hooked", "trio")):
        retry(which, ACTWRIGHT_BACKGROUND_BACKEND=backend)
        assert (tmp_path / "backend").read_text() == expected


def test_a_task_run_within_a_flow_is_run_again_by_itself(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "works").touch()
    out, _ = retry("fetch-Oslo")
    new = inspected(out.strip())
    assert (new["kind"], new["state_name"], new["parent_flow_run_id"]) == ("task", "Completed", None)
    assert (tmp_path / "fetched").read_text() == "Oslo"


# Parameters

SECRETS = """
from pathlib import Path
from pydantic import SecretStr
from actwright import flow

@flow(flow_run_name="nightly")
def nightly(key: SecretStr, rows, city="Oslo"):
    Path(__file__).with_name("seen").write_text(f"{key.get_secret_value()} {list(rows)} {city}")

if __name__ == "__main__":
    nightly(SecretStr("hunter2"), iter([1]))
"""


def test_parameters_that_history_does_not_keep_are_named_and_can_be_given(tmp_path: Path) -> None:
    run(tmp_path, SECRETS)
    (tmp_path / "seen").unlink()
    for given, left in (((), ("key", "rows")), (("-p", "key=hunter3"), ("rows",))):
        out, err = retry("nightly", *given, code=2)
        assert out == ""
        assert err.startswith("actwright: Flow run 'nightly' cannot be tried again with what history keeps of its ")
        assert ("'key' (it is a secret, which history masks)" in err) == ("key" in left)
        assert "'rows' (it is an iterator, which reading would use up)" in err
        assert err.endswith(f" them: {' '.join(f'-p {name}=...' for name in left)}\n") or len(left) == 1
    assert len(printed("runs", "ls")) == 1
    retry("nightly", "-p", "key=hunter3", "-p", "rows=[2, 3]", "--parameter", "city=Rome")
    assert (tmp_path / "seen").read_text() == "hunter3 [2, 3] Rome"


def test_a_parameter_that_the_function_does_not_have_is_refused_and_one_that_does_not_fit_fails_the_run(
    tmp_path: Path,
) -> None:
    run(tmp_path, SECRETS.replace("iter([1])", "[1]"))
    out, err = retry("nightly", "-p", "key=k", "-p", "town=Rome", code=2)
    assert out == ""
    assert "actwright: Flow 'nightly' has no parameter 'town'. It takes (key: " in err
    out, _ = retry("nightly", "-p", "key=[1]", code=1)
    assert inspected(out.strip())["state_name"] == "Failed"


@pytest.mark.parametrize("option", ["rows", "=7", ""])
def test_what_is_no_parameter_is_refused(option: str) -> None:
    history_of_a_killed_program()
    ran = act("runs", "retry", "nightly-Oslo", "-p", option)
    assert ran.exit_code == 2
    assert "is no parameter. Write name=value." in " ".join(ran.stderr.split())


def test_values_are_json_and_else_text() -> None:
    options = ["a=7", 'b="7"', "c=x=y", "d=", "e=[1, null]", "f=007"]
    assert given_parameters(options) == {"a": 7, "b": "7", "c": "x=y", "d": "", "e": [1, None], "f": "007"}
    for name_of_no_number in ("NaN", "Infinity", "-Infinity"):
        assert given_parameters([f"city={name_of_no_number}"]) == {"city": name_of_no_number}


def test_a_value_was_kept_where_no_part_of_it_is_missing_or_masked() -> None:
    for value in (1, "text", None, [1, {"a": [2]}], finite(float("nan")), unmistakable({"$actwright": "mine"})):
        assert why_not_kept(value) is None
    for value in (missing("gone"), [1, {"deep": [missing("gone")]}]):
        assert why_not_kept(value) == "gone"
    assert why_not_kept({"key": MASK}) == "it is a secret, which history masks"


# Refusals


def test_an_open_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        ran = act("runs", "retry", "nightly-Paris")
        id = short(printed("runs", "inspect", "nightly-Paris")["id"])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert (
        f"Flow run 'nightly-Paris' is Running: it has not ended. Wait for that (`actwright runs watch {id}`)"
        in ran.stderr
    )


def test_an_open_run_of_a_dead_process_is_refused_and_the_recovery_is_named() -> None:
    history_of_a_killed_program()
    ran = act("runs", "retry", "nightly-Paris")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "its process is dead: `actwright recover` settles it" in ran.stderr


CLOSURE = """
from actwright import flow

def made(hooks):
    @flow(flow_run_name="nightly", on_completion=hooks)
    def nightly(): ...
    return nightly

if __name__ == "__main__":
    made(HOOKS)()
"""


def test_a_flow_that_no_name_leads_to_is_not_found_again(tmp_path: Path) -> None:
    run(tmp_path, CLOSURE.replace("HOOKS", "[]"))
    out, err = retry("nightly", code=1)
    assert out == ""
    assert err == (
        "actwright: The flow 'nightly' is not found again: it had no name at the top level of a module or script that "
        "leads to it. Put it back, at the top level of its module, or start it from your program.\n"
    )
    assert len(printed("runs", "ls")) == 1


def test_one_that_was_kept_by_value_for_its_hooks_is_run_as_it_was(tmp_path: Path) -> None:
    run(tmp_path, CLOSURE.replace("HOOKS", "[lambda *_: None]"))
    out, _ = retry("nightly")
    assert inspected(out.strip())["state_name"] == "Completed"
    out, err = retry(out.strip(), code=1, ACTWRIGHT_LOAD_HOOKS_BY_VALUE="false")
    assert out == ""
    assert "the setting load_hooks_by_value forbids it" in err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "No such file or directory"),
        ("", "there is no 'nightly' in it"),
        ("nightly = 7", "is int, which cannot be called"),
        ("def nightly(): ...", "script.py:nightly is no flow any more; got function."),
        ("raise SystemExit(3)", "failed: SystemExit: 3"),
    ],
)
def test_a_script_that_is_gone_or_has_changed_is_told(tmp_path: Path, source: str | None, said: str) -> None:
    run(tmp_path)
    script = tmp_path / "script.py"
    script.unlink() if source is None else script.write_text(source)
    out, err = retry("nightly-Oslo", code=1)
    assert out == ""
    assert said in err
    assert len(printed("runs", "ls")) == 1


def test_where_the_folder_is_gone_it_says_so_and_runs_elsewhere(tmp_path: Path) -> None:
    run(tmp_path, cwd=tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rmdir()
    (tmp_path / "works").touch()
    _, err = retry("nightly-Oslo")
    assert f"Its folder {tmp_path}/elsewhere is gone: it runs in this one." in err


# Ends

WAITS = """
import os, signal, sys
from pathlib import Path
import anyio
from actwright import flow

HERE = Path(__file__).parent

def tell(flow, run, state):
    with (HERE / "told").open("a") as told:
        told.write(f"{state.name}\\n")

hooks = {"on_cancellation": [tell], "on_crashed": [tell]}

@flow(flow_run_name="nightly", **hooks)
def nightly():
    if (HERE / "again").exists():
        (HERE / "began").touch()
        if (HERE / "dies").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()

@flow(flow_run_name="nightly-async", **hooks)
async def nightly_async():
    if (HERE / "again").exists():
        (HERE / "began").touch()
        await anyio.Event().wait()

if __name__ == "__main__":
    nightly()
    anyio.run(nightly_async)
"""


@pytest.fixture
def waits(tmp_path: Path) -> Path:
    """Two flows that have ended well, and, run again, wait for ever; or die, where there is a file `dies`."""
    run(tmp_path, WAITS)
    (tmp_path / "again").touch()
    return tmp_path


def told(folder: Path) -> list[str]:
    return (folder / "told").read_text().split() if (folder / "told").exists() else []


@pytest.mark.parametrize(
    ("which", "number", "code", "state"),
    [
        ("nightly", signal.SIGINT, 130, "Cancelled"),
        ("nightly", signal.SIGTERM, 143, "Crashed"),
        ("nightly-async", signal.SIGINT, 130, "Cancelled"),
    ],
)
def test_a_signal_ends_it_as_it_ends_a_script_and_hooks_run(
    waits: Path, which: str, number: signal.Signals, code: int, state: str
) -> None:
    with command("runs", "retry", which) as process:
        assert process.stdout is not None
        id = process.stdout.readline().strip()
        assert within(30, (waits / "began").exists)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert inspected(id)["state_name"] == state
    assert told(waits) == ["Cancelling" if state == "Cancelled" else state]


def test_a_command_that_is_killed_takes_its_run_with_it(waits: Path) -> None:
    with command("runs", "retry", "nightly") as process:
        assert process.stdout is not None
        id = process.stdout.readline().strip()
        assert within(30, (waits / "began").exists)
        process.kill()
    assert within(30, lambda: inspected(id)["state_name"] == "Cancelled")
    assert within(30, lambda: told(waits) == ["Cancelling"])
    assert within(30, lambda: printed("nodes") == [])


@pytest.mark.parametrize("understudy", ["true", "false"])
def test_a_process_that_is_killed_is_recovered_whoever_does_it(waits: Path, understudy: str) -> None:
    (waits / "dies").touch()
    out, _ = retry("nightly", code=1, ACTWRIGHT_UNDERSTUDY=understudy)
    assert inspected(out.strip())["state_name"] == "Crashed"
    assert told(waits) == ["Crashed"]


def test_history_is_kept_where_the_old_run_is_whatever_the_folder_of_the_program_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    (tmp_path / "works").touch()
    (tmp_path / "actwright.toml").write_text('home = "other"\njournal = "memory"\n')
    monkeypatch.chdir(os.sep)
    out, _ = retry("nightly-Oslo")
    assert inspected(out.strip())["state_name"] == "Completed"
