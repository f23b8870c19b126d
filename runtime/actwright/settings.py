"""Settings, each with a default that suits most. `docs/settings.md` lists them.

    ACTWRIGHT_WORKER_THREADS=8 python my_flows.py

A setting is looked for in the environment, then in `actwright.toml` of the working directory (or of the nearest folder
above it that has one), then in `[tool.actwright]` of the nearest `pyproject.toml`. What is given to `Runtime(...)`
itself goes before all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)

from actwright.exceptions import SettingsError

__all__ = [
    "ACTWRIGHT_API_URL", "ACTWRIGHT_UI_URL", "Setting", "Settings", "get_current_settings", "read_settings",
    "source_of", "tolerate_wrong_settings",
]  # fmt: skip

_LONGEST_RETENTION_DAYS = 36_500.0
"""A century. More (`inf` above all) keeps history for ever, and would lead to a date that no calendar has."""


class Settings(BaseModel):
    """All settings; durations are in seconds unless a name says otherwise.

    Making one reads the environment and the files; `get_current_settings` does that once, and says what is wrong.
    """

    # Errors would show what cannot be, a key too; SettingsError shows the rest of it.
    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True, hide_input_in_errors=True)

    home: Path = Field(default=Path("~/.actwright"), description="The folder that history is kept in.")
    api_url: str = Field(default="http://127.0.0.1:4200/api", description="Where the API is served.")
    ui_url: str = Field(default="http://127.0.0.1:4200", description="Where the dashboard is served.")
    worker_threads: PositiveInt = Field(
        default=40, description="How many sync bodies, and bodies in processes of their own, may run at once."
    )
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
    journal: Literal["sqlite", "memory"] = Field(
        default="sqlite", description="Where history is kept: in a file, or (for tests) in memory alone."
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="Whether a commit waits for the disk (FULL): then a power loss loses nothing, at 0.25 ms a commit.",
    )
    retention_days: PositiveFloat = Field(
        default=30.0, description="How long finished runs are kept, in days; `inf` keeps them for ever."
    )
    journal_wait_seconds: NonNegativeFloat = Field(
        default=30.0, description="How long a run waits for a journal that cannot be written, before it gives up."
    )
    journal_queue_limit: PositiveInt = Field(
        default=10_000, description="How many records may wait to be written; beyond, runs are held back."
    )
    parameters_limit_bytes: PositiveInt = Field(
        default=65_536, description="How much of a run's parameters is kept, as JSON."
    )
    logs_limit: NonNegativeInt = Field(
        default=10_000, description="How many log lines are kept of a run; 0 keeps none."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How a script shows its log on stderr: as text, or each line as a JSON object.",
    )
    understudy: bool = Field(
        default=True, description="Whether a companion process runs the hooks should this one die."
    )
    load_hooks_by_value: bool = Field(
        default=True, description="Whether a replay may load code (pickles) that the journal keeps."
    )
    max_deaths: PositiveInt = Field(
        default=3, description="How many processes a hook may take down by itself before it is given up."
    )

    health_address: str | int | None = Field(
        default=None,
        description="Where a service answers probes: a port, or an IP address and a port; else nowhere.",
    )

    secret_key: SecretStr | None = Field(
        default=None, description="What secrets of blocks are encrypted with; else the file secret.key in the home is."
    )

    def __init__(self, **given: Any) -> None:
        """What is given goes before the environment, and that before the files."""
        from_files: dict[str, Any] = {}
        for _, values in reversed(_files()):
            from_files |= values
        super().__init__(**(from_files | _from_environment() | given))

    @property
    def database(self) -> Path:
        """The journal's file."""
        return self.home / "actwright.db"

    @property
    def retention(self) -> timedelta | None:
        """How long finished runs are kept; None is for ever."""
        for_ever = self.retention_days > _LONGEST_RETENTION_DAYS
        return None if for_ever else timedelta(days=self.retention_days)

    @field_validator("home", mode="before")
    @classmethod
    def _absolute(cls, given: object) -> object:
        """Once and for all: a program may change its working directory later."""
        if not isinstance(given, str | Path):
            return given  # pydantic says what it expected
        if not str(given).strip():
            raise ValueError("expected a folder; got nothing")
        try:
            return Path(given).expanduser().absolute()
        except RuntimeError as error:  # a container's user without an entry in passwd, or ~somebody who is not there
            raise ValueError(f"cannot tell which folder that is ({error}). Set it to an absolute path") from error


@cache
def get_current_settings() -> Settings:
    """The settings of this process, read from the environment and the files once.

    Raises:
        SettingsError: values that cannot be; it names each, where it is set, and what was expected. Also a file that
            cannot be read, and a key in it that is no setting. (A variable of the environment that is no setting is
            left alone: it may be another version's.)
    """
    return read_settings()


def read_settings() -> Settings:
    """The settings as the environment and the files have them now; else as `get_current_settings`."""
    try:
        return Settings()
    except ValidationError as error:
        if _tolerant:
            fields = {str(one["loc"][0]) for one in error.errors()}
            return Settings(**{field: Settings.model_fields[field].default for field in fields})
        wrong = [f"{_as_set(str(one['loc'][0]), one['input'])}: {one['msg']}" for one in error.errors()]
        raise SettingsError("There are settings that cannot be. " + "; ".join(wrong)) from error


_tolerant = False


def tolerate_wrong_settings() -> str | None:
    """Have this process go on without what is set wrongly, from now on: other settings count, and else the defaults.

    For a process that has to do its work whatever somebody wrote into a file since it became due.

    Returns:
        What is wrong; None if nothing is, and then nothing has changed.
    """
    global _tolerant
    try:
        get_current_settings()
    except SettingsError as error:
        _tolerant = True
        return str(error)
    return None


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


def source_of(field: str) -> str:
    """Where a setting is set: the name of a variable of the environment, the path of a file, or "default"."""
    variable = Setting(field).name
    if variable in map(str.upper, os.environ):
        return variable
    return next((str(path) for path, values in _files() if field in values), "default")


def _as_set(field: str, value: object) -> str:
    """A setting as its user wrote it, and where: a variable of the environment, or a key of a file."""
    source, variable = source_of(field), Setting(field).name
    if field == "secret_key":
        value = "..."
    return f"{variable}={value!r}" if source in (variable, "default") else f"{source}: {field} = {value!r}"


def _from_environment() -> dict[str, str]:
    """The settings that are there, their names in any case. Others with such a prefix are left alone."""
    variables = {name.upper(): value for name, value in os.environ.items()}
    wanted = {field: Setting(field).name for field in Settings.model_fields}
    return {field: variables[name] for field, name in wanted.items() if name in variables}


def _files() -> list[tuple[Path, dict[str, Any]]]:
    """The files that apply here, each with the settings in it; the first that has a setting decides."""
    found = ((_nearest("actwright.toml"), ()), (_nearest("pyproject.toml"), ("tool", "actwright")))
    return [(path, _values(path, keys)) for path, keys in found if path is not None]


def _values(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        table = _table(path, *keys)
    except SettingsError:
        if not _tolerant:
            raise
        return {}
    if not _tolerant:
        _refuse_unknown(path, table)
    return _from_there(path, table)


def _nearest(name: str) -> Path | None:
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # it was deleted under this process: nothing is near
        return None
    return next((path for path in (one / name for one in (folder, *folder.parents)) if path.is_file()), None)


def _table(path: Path, *keys: str) -> dict[str, Any]:
    """A table of a TOML file; empty when it has none."""
    import tomllib  # most programs have no such file

    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingsError(f"{path} cannot be read: {error}. Mend it, or take it away.") from error
    for key in keys:
        found = table.get(key, {})
        if not isinstance(found, dict):
            raise SettingsError(f"{path}: {key!r} must be a table; got {found!r}. Write [{'.'.join(keys)}].")
        table = cast("dict[str, Any]", found)
    return table


def _refuse_unknown(path: Path, values: Iterable[str]) -> None:
    for key in values:
        if key not in Settings.model_fields:
            from difflib import get_close_matches  # only a mistake needs it

            near = get_close_matches(key.lower().replace("-", "_"), Settings.model_fields, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(Settings.model_fields)}."
            raise SettingsError(f"{path}: {key!r} is no setting. {advice}")


def _from_there(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The values; a home that is not absolute is meant from where the file is."""
    home = values.get("home")
    if isinstance(home, str) and home.strip() and not home.startswith("~"):
        return {**values, "home": str(path.parent / home)}
    return values
