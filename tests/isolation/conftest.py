"""The engine's fixtures, for runs whose bodies are in processes of their own."""

from __future__ import annotations

from tests.engine.conftest import background_backend, background_loops_are_closed, recorder

__all__ = ["background_backend", "background_loops_are_closed", "recorder"]
