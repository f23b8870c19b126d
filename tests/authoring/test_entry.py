"""The door into the engine."""

from __future__ import annotations

import sys

import pytest

from actwright import flow
from actwright.authoring.replay_guard import loading_for_replay
from actwright.exceptions import ActwrightError, ReplayImportError


def test_windows_is_told_that_it_is_not_supported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    @flow
    def work() -> None: ...

    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ActwrightError, match="Windows is not supported yet"):
        work()


def test_no_flow_is_called_while_code_is_loaded_for_replay() -> None:
    called: list[int] = []

    @flow
    def work() -> None:
        called.append(1)

    with loading_for_replay(), pytest.raises(ReplayImportError, match="was loaded to replay a hook"):
        work()
    assert called == []
