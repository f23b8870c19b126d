"""`Secret`: a block that is one secret value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import JsonValue

from actwright.blocks.block import Block

__all__ = ["Secret"]


class Secret(Block):
    """One secret value: a password, a token, or any JSON value.

        Secret(value="hunter2").save("database")
        Secret.load("database").get()

    Attributes:
        value: masked wherever it is shown; `get()` gives it.
    """

    value: pydantic.Secret[JsonValue]

    if TYPE_CHECKING:  # pydantic takes the bare value

        def __init__(self, *, value: Any) -> None: ...

    def get(self) -> Any:
        """The value itself."""
        return self.value.get_secret_value()
