"""The engine's fixtures, for runs whose bodies are in processes of their own."""

from __future__ import annotations

import pytest
from tests.conftest import BACKENDS, Backend
from tests.engine.conftest import background_backend, background_loops_are_closed, recorder

__all__ = ["background_backend", "background_loops_are_closed", "recorder"]


@pytest.fixture
def kind(anyio_backend: Backend) -> str:
    """What is isolated: a flow on one back end, a task on the next. Where its body runs is the same for both, and each
    test starts processes."""
    return "task" if anyio_backend == BACKENDS["uvloop"] else "flow"
