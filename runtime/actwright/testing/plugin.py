"""pytest's part of the test kit: fixtures, and a home for history that is not the user's.

pytest loads this module by its entry point, in every session where Actwright is installed. So it loads nothing until a
test asks for a fixture; all that it does before is to name a folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from actwright import Runtime
    from actwright.testing import Harness, HookRecorder

__all__ = [
    "actwright_harness", "actwright_runtime", "hook_recorder", "pytest_configure", "pytest_load_initial_conftests",
]  # fmt: skip

_HOME = "ACTWRIGHT_HOME"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any conftest is loaded, which may read the settings, or run a flow."""
    _leave_the_users_history_alone(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """For where this module was named by a conftest: then it is not there any earlier."""
    _leave_the_users_history_alone(config)


def _leave_the_users_history_alone(config: pytest.Config) -> None:
    """Also in tests that use no fixture of ours, unless ACTWRIGHT_HOME says where to go."""
    if _HOME in os.environ:
        return
    os.environ[_HOME] = home = tempfile.mkdtemp(prefix="actwright-pytest-")
    _read_settings_anew()
    config.add_cleanup(partial(_put_back, home))  # which comes even if the session never begins


def _put_back(home: str) -> None:
    """Close what tests without a fixture have opened, put the environment back, and take their history away."""
    if "actwright.nodes.journal" in sys.modules:
        from actwright.engine.kit import close_background_loops
        from actwright.nodes.journal import close_journals

        close_background_loops()
        close_journals()
    if os.environ.get(_HOME) == home:
        del os.environ[_HOME]
        _read_settings_anew()
    shutil.rmtree(home, ignore_errors=True)


def _read_settings_anew() -> None:
    """Another plugin may have read them, with the user's own home."""
    if settings := sys.modules.get("actwright.settings"):
        settings.get_current_settings.cache_clear()


@pytest.fixture
def actwright_harness(tmp_path_factory: pytest.TempPathFactory) -> Generator[Harness]:
    """For one test: history in a folder of its own, no understudy, and time that is skipped where runs only wait."""
    from actwright.testing import harness

    with harness(tmp_path_factory.mktemp("actwright")) as made:
        yield made


@pytest.fixture
async def actwright_runtime(actwright_harness: Harness) -> AsyncGenerator[Runtime]:
    """An open Runtime in that harness, for async tests. What still runs at the end is cancelled."""
    from actwright.testing import open_runtime

    async with open_runtime() as runtime:
        yield runtime


@pytest.fixture
def hook_recorder() -> HookRecorder:
    """A recorder whose hooks a test can put into its flows."""
    from actwright.testing import HookRecorder

    return HookRecorder()
