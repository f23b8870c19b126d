"""The pytest plugin, in sessions of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PLUGINS = ("-p", "anyio.pytest_plugin", "-p", "actwright.testing.plugin")


def session(folder: Path, source: str, *options: str, env: Mapping[str, str] | None = None) -> str:
    """Run a test file in a session with these plugins alone; what it printed."""
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACTWRIGHT_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *PLUGINS, *options, "test_it.py"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(folder / "user"), **(env or {})},
    )  # fmt: skip
    return ran.stdout + ran.stderr


ASYNC_TESTS = """
import anyio, pytest
from actwright import flow, run_flow, task
from actwright.testing import assert_hook_ran, kill

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True}), ("trio", {})])
def anyio_backend(request):
    return request.param


def note(flow, flow_run, state): ...


@flow(on_crashed=[note], on_completion=[note])
async def waits(began: anyio.Event, forever: bool):
    began.set()
    if forever:
        await anyio.sleep_forever()


async def test_a_flow_runs(actwright_runtime):
    await run_flow(waits, anyio.Event(), False)
    assert_hook_ran("waits", "on_completion", times=1, hook=note)


async def test_a_flow_dies(actwright_runtime):
    began = anyio.Event()
    handle = actwright_runtime.submit(waits, began, True)
    await began.wait()
    await kill(handle)
    assert_hook_ran(handle, "on_crashed", times=1, hook=note)
    assert_hook_ran("waits", "on_completion", times=0)  # the test before this one has a history of its own


async def test_the_timeout_of_a_body_comes_at_once(actwright_runtime, actwright_harness, hook_recorder):
    began = anyio.Event()
    slow = waits.with_options(timeout_seconds=3600, on_failure=[hook_recorder.hook])
    handle = actwright_runtime.submit(slow, began, True)
    await began.wait()
    actwright_harness.advance(3600)
    with pytest.raises(TimeoutError):
        await handle
    assert hook_recorder.events == ["on_failure"]
"""


def test_the_fixtures_work_in_async_tests_on_every_back_end(tmp_path: Path) -> None:
    said = session(tmp_path, ASYNC_TESTS)
    assert "9 passed" in said, said


def test_the_harness_works_in_sync_tests(tmp_path: Path) -> None:
    said = session(
        tmp_path,
        """
from actwright import flow, task
from actwright.testing import assert_hook_ran

tries = []


@task(retries=2, retry_delay_seconds=3600)
def fetch():
    tries.append(1)
    assert len(tries) == 3


@flow(on_completion=[lambda *_: None])
def nightly():
    fetch()


def test_a_flow_runs(actwright_harness):
    nightly()
    assert_hook_ran("nightly", "on_completion", times=1)
""",
    )
    assert "1 passed" in said, said


def test_tests_with_the_harness_do_not_disturb_each_other_nor_those_without_it(tmp_path: Path) -> None:
    said = session(
        tmp_path,
        """
import pytest
from actwright import flow
from actwright.testing import assert_hook_ran


@flow(on_completion=[lambda *_: None])
def nightly(): ...


def test_without_it():
    nightly()


@pytest.mark.parametrize("which", ["first", "second"])
def test_with_it(actwright_harness, which):
    nightly()
    assert_hook_ran("nightly", "on_completion", times=1)


def test_without_it_again():
    nightly()
    assert_hook_ran("nightly", "on_completion", times=2)
""",
    )
    assert "4 passed" in said, said


def test_a_failed_assertion_shows_the_line_of_the_test_and_what_did_run(tmp_path: Path) -> None:
    said = session(
        tmp_path,
        """
from actwright import flow
from actwright.testing import assert_hook_ran


@flow
def nightly(): ...


def test_a_flow_runs(actwright_harness):
    nightly()
    assert_hook_ran("nightly", "on_failure")
""",
    )
    assert "Expected the on_failure hook to run at least once; it succeeded never." in said
    assert '>       assert_hook_ran("nightly", "on_failure")' in said.replace(">   a", ">       a")
    assert "assertions.py" not in said


USES_NO_FIXTURE = """
import os, sys
from pathlib import Path
from actwright import flow


@flow
def nightly(): ...


def test_a_flow_runs():
    nightly()
    home = Path(os.environ["ACTWRIGHT_HOME"])
    assert (home / "actwright.db").is_file()
    Path("home").write_text(str(home))
"""


@pytest.mark.parametrize("source", [USES_NO_FIXTURE, ASYNC_TESTS])
def test_the_users_own_history_is_never_touched(tmp_path: Path, source: str) -> None:
    user = tmp_path / "user"
    user.mkdir()
    said = session(tmp_path, source)
    assert "passed" in said, said
    assert list(user.iterdir()) == []


READS_SETTINGS = """
from actwright.settings import get_current_settings
get_current_settings()
"""


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
@pytest.mark.parametrize("file", ["conftest.py", "early_plugin.py"])
def test_the_users_own_history_is_not_touched_where_settings_were_read_before(
    tmp_path: Path, file: str, options: tuple[str, ...]
) -> None:
    (tmp_path / file).write_text(READS_SETTINGS)
    early = ("-p", "early_plugin") if file == "early_plugin.py" else ()
    user = tmp_path / "user"
    user.mkdir()
    said = session(tmp_path, USES_NO_FIXTURE, *early, *options)
    assert "1 passed" in said, said
    assert list(user.iterdir()) == []
    assert not Path((tmp_path / "home").read_text()).exists()


def test_a_flow_that_a_conftest_runs_leaves_the_users_own_history_alone(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from actwright import flow\n@flow\ndef warm_up(): ...\nwarm_up()\n")
    user = tmp_path / "user"
    user.mkdir()
    said = session(tmp_path, USES_NO_FIXTURE)
    assert "1 passed" in said, said
    assert list(user.iterdir()) == []


def test_a_session_that_never_begins_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("raise RuntimeError('no')")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    said = session(tmp_path, USES_NO_FIXTURE, "--no-such-option", env={"TMPDIR": str(temporary)})
    assert "RuntimeError" in said, said
    assert list(temporary.glob("actwright-*")) == []


def test_the_home_of_tests_without_a_fixture_is_gone_after_the_session(tmp_path: Path) -> None:
    said = session(tmp_path, USES_NO_FIXTURE)
    assert "1 passed" in said, said
    assert not Path((tmp_path / "home").read_text()).exists()


def test_a_home_that_was_set_is_used_by_tests_without_a_fixture(tmp_path: Path) -> None:
    home = tmp_path / "mine"
    said = session(tmp_path, USES_NO_FIXTURE, env={"ACTWRIGHT_HOME": str(home)})
    assert "1 passed" in said, said
    assert (home / "actwright.db").is_file()


def test_a_session_that_does_not_use_it_loads_next_to_nothing(tmp_path: Path) -> None:
    said = session(
        tmp_path,
        """
import sys


def test_nothing_is_loaded():
    ours = {name for name in sys.modules if name.split(".")[0] in ("actwright", "actwright_actors")}
    assert ours == {"actwright", "actwright.testing", "actwright.testing.plugin"}
    assert not {"sqlalchemy", "pydantic"} & set(sys.modules)
""",
    )
    assert "1 passed" in said, said
