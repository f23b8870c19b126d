"""Settings: from the environment, and before them what a Runtime is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actwright import Runtime
from actwright.engine.options import RuntimeOptions
from actwright.exceptions import SettingsError
from actwright.settings import ACTWRIGHT_API_URL, ACTWRIGHT_UI_URL, Settings, get_current_settings


@pytest.fixture(autouse=True)
def settings_are_read_anew() -> Iterator[None]:
    get_current_settings.cache_clear()
    yield
    get_current_settings.cache_clear()


def test_settings_have_defaults() -> None:
    settings = get_current_settings()
    assert (settings.worker_threads, settings.hook_threads) == (40, 10)
    assert settings.hook_timeout_seconds == 300.0
    assert settings.background_backend == "asyncio+uvloop"
    assert ACTWRIGHT_API_URL.value() == "http://127.0.0.1:4200/api"
    assert ACTWRIGHT_UI_URL.value() == "http://127.0.0.1:4200"


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_UI_URL", "https://flows.example")
    monkeypatch.setenv("ACTWRIGHT_WORKER_THREADS", "3")
    assert ACTWRIGHT_UI_URL.value() == "https://flows.example"
    assert get_current_settings().worker_threads == 3


def test_they_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_current_settings()
    monkeypatch.setenv("ACTWRIGHT_WORKER_THREADS", "3")
    assert get_current_settings() is first


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ACTWRIGHT_WORKER_THREADS", "0"),
        ("ACTWRIGHT_HOOK_THREADS", "many"),
        ("ACTWRIGHT_DRAIN_SECONDS", "-1"),
        ("ACTWRIGHT_HOOK_TIMEOUT_SECONDS", "0"),
        ("ACTWRIGHT_BACKGROUND_BACKEND", "curio"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        get_current_settings()


def test_variables_of_the_environment_that_nobody_knows_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_COLOUR", "red")
    assert get_current_settings() == Settings()


def test_a_setting_is_shown_by_its_name_in_the_environment() -> None:
    assert ACTWRIGHT_API_URL.name == "ACTWRIGHT_API_URL"
    assert repr(ACTWRIGHT_UI_URL) == "<ACTWRIGHT_UI_URL>"


def test_what_a_runtime_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_WORKER_THREADS", "3")
    monkeypatch.setenv("ACTWRIGHT_HOOK_THREADS", "4")
    monkeypatch.setenv("ACTWRIGHT_DRAIN_SECONDS", "5")
    options = RuntimeOptions.of({"worker_threads": 7})
    assert (options.worker_threads, options.hook_threads, options.drain_seconds) == (7, 4, 5.0)


def test_a_setting_that_cannot_be_stops_a_runtime_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_CANCEL_GRACE_SECONDS", "soon")
    with pytest.raises(SettingsError, match="ACTWRIGHT_CANCEL_GRACE_SECONDS"):
        Runtime()
