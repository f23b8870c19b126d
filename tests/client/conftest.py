"""What the client's tests share with the engine's."""

from __future__ import annotations

from tests.engine.conftest import recorder

__all__ = ["recorder"]
