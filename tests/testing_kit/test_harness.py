"""The harness: where history goes, what is put back, what it costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.testing_kit.flows import nightly, sync_nightly

from actwright import Runtime, flow, run_flow
from actwright.settings import get_current_settings
from actwright.testing import assert_hook_ran, harness, open_runtime


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
