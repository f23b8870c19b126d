from __future__ import annotations

import pytest

from actwright.authoring import entry
from tests.authoring.helpers import FakeEngine


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What flows and tasks take for the engine in this test."""
    fake = FakeEngine()
    monkeypatch.setattr(entry, "engine", lambda: fake)
    return fake
