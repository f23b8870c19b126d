from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.blocks.receiver import Receiver, receiving

from actwright.blocks import types
from actwright.engine import background


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    """Outside of a Runtime blocks are those of the process, whose journal lives on a background loop."""
    yield
    background.close()


@pytest.fixture(autouse=True)
def types_are_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is not known to the next one."""
    known: dict[str, Any] = types._known  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(types, "_known", dict(known))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
