from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nodes.stage import Stage, stage_in


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A node with an open run."""
    with stage_in(tmp_path) as stage:
        yield stage


@pytest.fixture
def settled(tmp_path: Path) -> Iterator[Stage]:
    """A node with nothing open and nothing due."""
    with stage_in(tmp_path, settled=True) as stage:
        yield stage
