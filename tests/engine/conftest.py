"""What the engine's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engine.recorder import Recorder

from actwright.engine import background
from actwright.settings import get_current_settings


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    """Sync calls outside of a Runtime open loops for the life of the process: here they end with their test, before
    the journal that they write to, and before the check for what was left behind."""
    yield
    background.close()


@pytest.fixture
def recorder() -> Recorder:
    """What happens in this test, in order."""
    return Recorder()


@pytest.fixture(params=["asyncio", "asyncio+uvloop", "trio"])
def background_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What the actors of sync code outside of a Runtime live on: a test that asks for it runs on each."""
    backend: str = request.param
    monkeypatch.setenv("ACTWRIGHT_BACKGROUND_BACKEND", backend)
    get_current_settings.cache_clear()
    yield backend
    get_current_settings.cache_clear()
