"""What a user's module holds: hooks and flows that can be imported."""

from __future__ import annotations

from typing import Any

from actwright import flow

__all__ = ["nightly", "notify"]


def notify(*_: Any) -> None:
    """A hook."""


@flow
def nightly() -> None:
    """A flow."""
