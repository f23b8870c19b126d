"""A siege of some seconds; `python -m tests.serving.soak` is a longer one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serving.soak import Soak

from actwright.settings import get_current_settings

pytestmark = pytest.mark.slow


def test_under_siege_nothing_is_lost_done_twice_or_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "true")
    monkeypatch.setenv("TOLD", "")  # it sets both
    soak = Soak(seconds=12.0, kill_every=4.0)
    wrong = soak.run(tmp_path)
    with capfd.disabled():
        print(soak.figures(tmp_path, get_current_settings().database))
    assert wrong == []
    assert soak.kills
