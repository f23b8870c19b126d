"""What the tests of services share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.conftest import background_loops_are_closed, recorder

__all__ = ["background_loops_are_closed", "recorder"]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What bodies and hooks have noted, in whatever process, in order."""
    path = tmp_path / "told"
    path.touch()
    monkeypatch.setenv("TOLD", str(path))
    return lambda: path.read_text(encoding="utf-8").splitlines()
