from __future__ import annotations

import pytest
from tests.authoring.helpers import FakeEngine

from actwright.authoring import entry


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What flows and tasks take for the engine in this test."""
    fake = FakeEngine()
    monkeypatch.setattr(entry, "engine", lambda: fake)
    return fake
