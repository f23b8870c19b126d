"""The door into the engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from actwright import flow
from actwright.authoring.entry import engine
from actwright.exceptions import ActwrightError


@pytest.fixture(autouse=True)
def the_door_is_opened_anew() -> Iterator[None]:
    engine.cache_clear()
    yield
    engine.cache_clear()


def test_windows_is_told_that_it_is_not_supported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    @flow
    def work() -> None: ...

    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ActwrightError, match="Windows is not supported yet"):
        work()
