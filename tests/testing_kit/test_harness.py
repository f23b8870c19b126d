"""The harness: where history goes, what is put back, what it costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.testing_kit.flows import HOUR, nightly, note, sync_nightly

from actwright import Runtime, flow, run_flow
from actwright.engine.kit import close_background_loops
from actwright.settings import get_current_settings
from actwright.testing import assert_hook_ran, harness, open_runtime


@pytest.fixture
def sync_code_is_drained() -> Iterator[None]:
    """What sync code runs on outside of a harness stays open until the process ends: here, until the test does."""
    yield
    close_background_loops()


def test_history_is_in_a_folder_that_goes_with_the_harness() -> None:
    before = os.environ["ACTWRIGHT_HOME"]
    with harness() as made:
        sync_nightly()
        assert (made.home / "actwright.db").is_file()
        assert get_current_settings().home == made.home
    assert not made.home.exists()
    assert os.environ["ACTWRIGHT_HOME"] == before
    assert get_current_settings().home == Path(before)


def test_a_folder_that_was_given_stays(tmp_path: Path) -> None:
    with harness(tmp_path):
        sync_nightly()
    with harness(tmp_path):
        assert_hook_ran("sync-nightly", "on_completion", times=1)


def test_two_harnesses_share_no_history() -> None:
    with harness():
        sync_nightly()
    with harness(), pytest.raises(AssertionError, match="knows no run at all"):
        assert_hook_ran("sync-nightly", "on_completion")


def test_what_was_not_set_is_not_set_afterwards_and_an_error_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTWRIGHT_UNDERSTUDY")
    with pytest.raises(KeyError, match="False"), harness():
        raise KeyError(get_current_settings().understudy)
    assert "ACTWRIGHT_UNDERSTUDY" not in os.environ


@pytest.mark.usefixtures("sync_code_is_drained")
def test_a_sync_flow_that_ran_before_keeps_nothing_from_the_harness() -> None:
    moment_of_sync_code()
    began = time.monotonic()
    with harness():
        assert sync_nightly() == 4
        assert_hook_ran("sync-nightly", "on_completion", times=1)
    assert time.monotonic() - began < HOUR / 10
    with pytest.raises(AssertionError, match="There is no run sync-nightly"):
        assert_hook_ran("sync-nightly", "on_completion")
    moment_of_sync_code()
    assert_hook_ran("moment-of-sync-code", "on_completion", times=2)


def test_of_nested_harnesses_each_has_a_history_and_a_clock_of_its_own() -> None:
    with harness():
        moment_of_sync_code()
        with harness():
            assert sync_nightly() == 4
            assert_hook_ran("sync-nightly", "on_completion", times=1)
        moment_of_sync_code()
        assert_hook_ran("moment-of-sync-code", "on_completion", times=2)
        assert sync_nightly() == 4
        assert_hook_ran("sync-nightly", "on_completion", times=1)


@pytest.mark.anyio
async def test_a_harness_is_refused_where_a_runtime_is_open_whose_runs_it_would_not_cover() -> None:
    async with Runtime():
        with pytest.raises(RuntimeError, match="Open the harness first, and the Runtime inside of it"), harness():
            pass
        assert await run_flow(moment)
    with harness():
        pass


@pytest.mark.usefixtures("sync_code_is_drained")
def test_a_harness_is_refused_in_a_body() -> None:
    @flow
    def opens_one() -> None:
        with harness():
            pass

    with pytest.raises(RuntimeError, match="in the body or hook of a run"):
        opens_one()


@pytest.mark.anyio
async def test_a_runtime_of_ones_own_is_in_the_harness_too() -> None:
    with harness() as made:
        async with Runtime():
            assert await run_flow(nightly) == 4
        assert (made.home / "actwright.db").is_file()


@pytest.mark.anyio
async def test_from_setup_to_the_first_flow_running_it_takes_less_than_50_ms() -> None:
    """Of this process's work, that is: on a busy machine the time of day measures the others."""
    costs: list[float] = []
    for _ in range(20):
        began = time.process_time()
        async with open_runtime():
            costs.append(await run_flow(moment) - began)
    print(f"{statistics.median(costs) * 1000:.1f} ms")
    assert statistics.median(costs) < 0.05


def test_importing_the_kit_imports_neither_pytest_nor_the_engine() -> None:
    names = "[name for name in ('pytest', 'sqlalchemy', 'actwright.engine.host') if name in sys.modules]"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, actwright.testing; print({names})"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == "[]"


def test_the_kit_itself_never_imports_pytest() -> None:
    program = "import sys; from actwright.testing import *; print('pytest' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.strip() == "False"


@flow
async def moment() -> float:
    return time.process_time()


@flow(on_completion=[note])
def moment_of_sync_code() -> None: ...
