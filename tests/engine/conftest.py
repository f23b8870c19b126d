"""What the engine's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engine.recorder import Recorder

from actwright.engine import background


@pytest.fixture(autouse=True)
def background_loops_are_closed(leaves_nothing_behind: None) -> Iterator[None]:
    """Sync calls outside of a Runtime open loops for the life of the process: here they end with their test, and
    before the check for what it left behind."""
    yield
    background.close()


@pytest.fixture
def recorder() -> Recorder:
    """What happens in this test, in order."""
    return Recorder()
