"""Settings: from the environment (`ACTWRIGHT_…`), each with a default that suits most.

    ACTWRIGHT_WORKER_THREADS=8 python my_flows.py

What is given to `Runtime(...)` itself goes before the environment.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from actwright.exceptions import SettingsError

__all__ = ["ACTWRIGHT_API_URL", "ACTWRIGHT_UI_URL", "Setting", "Settings", "get_current_settings"]


class Settings(BaseSettings):
    """All settings; durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="ACTWRIGHT_", frozen=True, extra="ignore")

    api_url: str = Field(default="http://127.0.0.1:4200/api", description="Where the API is served.")
    ui_url: str = Field(default="http://127.0.0.1:4200", description="Where the dashboard is served.")
    worker_threads: PositiveInt = Field(default=40, description="How many sync bodies may run at once.")
    hook_threads: PositiveInt = Field(default=10, description="How many sync hooks may run at once.")
    drain_seconds: NonNegativeFloat = Field(
        default=30.0, description="How long a Runtime that is left waits for its runs."
    )
    cancel_grace_seconds: NonNegativeFloat = Field(
        default=30.0, description="How long a body that was told to stop may take."
    )
    hook_timeout_seconds: PositiveFloat = Field(default=300.0, description="The timeout of a hook that sets none.")
    background_backend: Literal["asyncio", "asyncio+uvloop", "trio"] = Field(
        default="asyncio+uvloop" if find_spec("uvloop") else "asyncio",
        description="What the actors of a plain script run on, in a thread of its own.",
    )
    hook_grace_seconds: NonNegativeFloat = Field(default=300.0, description="How long a shutdown waits for hooks.")


@cache
def get_current_settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        SettingsError: variables have values that cannot be; it names each, and says what was expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"{Setting(str(one['loc'][0])).name}={one['input']!r}: {one['msg']}" for one in error.errors()]
        raise SettingsError("The environment has settings that cannot be. " + "; ".join(wrong)) from error


class Setting:
    """One setting, by the name that it has in the environment. `value()` is what it is set to."""

    def __init__(self, field: str) -> None:
        self._field = field

    @property
    def name(self) -> str:
        """Its name in the environment."""
        return f"ACTWRIGHT_{self._field.upper()}"

    def value(self) -> Any:
        """What it is set to in this process."""
        return getattr(get_current_settings(), self._field)

    def __repr__(self) -> str:
        return f"<{self.name}>"


ACTWRIGHT_API_URL = Setting("api_url")
ACTWRIGHT_UI_URL = Setting("ui_url")
