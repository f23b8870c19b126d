"""pytest's part of the test kit: fixtures, and a home for history that is not the user's.

pytest loads this module by its entry point, in every session where Actwright is installed. So it loads nothing until a
test asks for a fixture; all that it does before is to name a folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from actwright import Runtime
    from actwright.testing import Harness, HookRecorder

__all__ = ["actwright_harness", "actwright_runtime", "hook_recorder", "pytest_configure", "pytest_unconfigure"]

_HOME = "ACTWRIGHT_HOME"
_home = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Tests that use no fixture of ours leave the user's history alone too, unless ACTWRIGHT_HOME says where to go."""
    if _HOME not in os.environ:
        os.environ[_HOME] = config.stash[_home] = tempfile.mkdtemp(prefix="actwright-pytest-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close what tests without a fixture have opened, put the environment back, and take their history away."""
    home = config.stash.get(_home, None)
    if home is None:
        return
    if "actwright.nodes.journal" in sys.modules:
        from actwright.engine.kit import close_background_loops
        from actwright.nodes.journal import close_journals

        close_background_loops()
        close_journals()
    if os.environ.get(_HOME) == home:
        del os.environ[_HOME]
    shutil.rmtree(home, ignore_errors=True)


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
