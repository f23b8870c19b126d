"""Settings: from two files, before them the environment, and before that what a Runtime is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from actwright import Runtime
from actwright.engine.options import RuntimeOptions
from actwright.exceptions import SettingsError
from actwright.settings import (
    ACTWRIGHT_API_URL,
    ACTWRIGHT_UI_URL,
    Settings,
    get_current_settings,
    tolerate_wrong_settings,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def settings_are_read_anew() -> Iterator[None]:
    get_current_settings.cache_clear()
    yield
    get_current_settings.cache_clear()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a folder in it, which is the working directory."""
    monkeypatch.delenv("ACTWRIGHT_HOME")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    return tmp_path


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
        ("ACTWRIGHT_HOME", ""),
        ("ACTWRIGHT_HOME", "~nobody-of-that-name"),
        ("ACTWRIGHT_JOURNAL", "paper"),
        ("ACTWRIGHT_SYNCHRONOUS", "OFF"),
        ("ACTWRIGHT_RETENTION_DAYS", "0"),  # at once, or for ever? It is not guessed
        ("ACTWRIGHT_RETENTION_DAYS", "nan"),
        ("ACTWRIGHT_JOURNAL_QUEUE_LIMIT", "0"),
        ("ACTWRIGHT_MAX_DEATHS", "0"),
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


def test_history_has_defaults(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("ACTWRIGHT_UNDERSTUDY")
    settings = get_current_settings()
    assert settings.home == Path("/home/me/.actwright")
    assert (settings.journal, settings.synchronous, settings.retention) == ("sqlite", "NORMAL", timedelta(days=30))
    assert settings.journal_wait_seconds == 30.0
    assert (settings.journal_queue_limit, settings.parameters_limit_bytes, settings.logs_limit) == (
        10_000,
        65_536,
        10_000,
    )
    assert (settings.understudy, settings.load_hooks_by_value, settings.max_deaths) == (True, True, 3)


@pytest.mark.parametrize("days", ["inf", "1e12"])
def test_history_can_be_kept_for_ever(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("ACTWRIGHT_RETENTION_DAYS", days)
    assert get_current_settings().retention is None


def test_a_home_stays_where_it_was_when_the_program_changes_its_directory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTWRIGHT_HOME", "history")
    home = get_current_settings().home
    monkeypatch.chdir(project)
    assert home == project / "inside" / "history"


@pytest.mark.parametrize("folder", [".", "inside"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("actwright.toml", "worker_threads = 3\nunderstudy = false"),
        ("pyproject.toml", "[project]\nname = 'mine'\n[tool.actwright]\nworker_threads = 3\nunderstudy = false"),
    ],
)
def test_a_file_of_the_working_directory_or_above_sets_them(project: Path, folder: str, file: str, text: str) -> None:
    (project / folder / file).write_text(text)
    settings = get_current_settings()
    assert (settings.worker_threads, settings.understudy) == (3, False)


def test_the_nearest_file_of_a_name_is_read_and_no_other(project: Path) -> None:
    (project / "actwright.toml").write_text("worker_threads = 3\nhook_threads = 4")
    (project / "inside" / "actwright.toml").write_text("worker_threads = 5")
    settings = get_current_settings()
    assert (settings.worker_threads, settings.hook_threads) == (5, 10)


def test_the_environment_goes_before_actwright_toml_and_that_before_pyproject_toml(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTWRIGHT_WORKER_THREADS", "1")
    (project / "actwright.toml").write_text("worker_threads = 2\nhook_threads = 2")
    (project / "pyproject.toml").write_text("[tool.actwright]\nworker_threads = 3\nhook_threads = 3\nmax_deaths = 4")
    settings = get_current_settings()
    assert (settings.worker_threads, settings.hook_threads, settings.max_deaths) == (1, 2, 4)


def test_a_home_in_a_file_is_meant_from_where_the_file_is(project: Path) -> None:
    (project / "actwright.toml").write_text('home = ".history"')
    assert get_current_settings().home == project / ".history"


def test_a_value_of_a_file_that_cannot_be_is_refused_by_file_and_key(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "actwright.toml").write_text('worker_threads = "many"\nsynchronous = "OFF"')
    monkeypatch.setenv("ACTWRIGHT_MAX_DEATHS", "none")
    with pytest.raises(SettingsError) as caught:
        get_current_settings()
    message = str(caught.value)
    assert f"{project / 'actwright.toml'}: worker_threads = 'many': Input should be a valid integer" in message
    assert f"{project / 'actwright.toml'}: synchronous = 'OFF': Input should be 'NORMAL' or 'FULL'" in message
    assert "ACTWRIGHT_MAX_DEATHS='none'" in message


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("actwright.toml", "worker_thread = 3", "'worker_thread' is no setting. Did you mean 'worker_threads'?"),
        ("actwright.toml", "Worker-Threads = 3", "Did you mean 'worker_threads'?"),
        ("actwright.toml", "colour = 'red'", "'colour' is no setting. There are: home,"),
        ("pyproject.toml", "[tool.actwright]\nhooks = 3", "'hooks' is no setting."),
        ("pyproject.toml", "[tool]\nactwright = 3", "Write [tool.actwright]."),
        ("pyproject.toml", "[tool.actwright\n", "line 1"),
        ("actwright.toml", "worker_threads", "cannot be read"),
    ],
)
def test_a_file_that_is_not_understood_is_an_error_that_names_it(
    project: Path, file: str, text: str, said: str
) -> None:
    (project / file).write_text(text)
    with pytest.raises(SettingsError, match=re.escape(str(project / file))) as caught:
        get_current_settings()
    assert said in str(caught.value)


def test_a_file_that_is_not_text_is_an_error_that_names_it(project: Path) -> None:
    (project / "actwright.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=re.escape(f"{project / 'actwright.toml'} cannot be read")):
        get_current_settings()


@pytest.fixture
def tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test turns on is off again after it."""
    monkeypatch.setattr("actwright.settings._tolerant", False)


@pytest.mark.usefixtures("tolerance")
def test_who_tolerates_wrong_settings_goes_on_with_all_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "actwright.toml").write_text("worker_thread = 3\nhook_threads = 0\nload_hooks_by_value = false")
    (project / "pyproject.toml").write_text("[tool.actwright")
    monkeypatch.setenv("ACTWRIGHT_MAX_DEATHS", "4")
    monkeypatch.setenv("ACTWRIGHT_SYNCHRONOUS", "OFF")
    wrong = tolerate_wrong_settings()
    assert wrong is not None
    assert str(project / "actwright.toml") in wrong
    settings = get_current_settings()
    assert (settings.max_deaths, settings.load_hooks_by_value) == (4, False)
    assert (settings.worker_threads, settings.hook_threads, settings.synchronous) == (40, 10, "NORMAL")


@pytest.mark.usefixtures("tolerance")
def test_with_nothing_wrong_there_is_nothing_to_tolerate_and_later_mistakes_are_errors(project: Path) -> None:
    assert tolerate_wrong_settings() is None
    (project / "actwright.toml").write_text("worker_thread = 3")
    get_current_settings.cache_clear()
    with pytest.raises(SettingsError, match="worker_thread"):
        get_current_settings()


def test_settings_need_no_working_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTWRIGHT_HOME", "/somewhere")
    (project / "inside").rmdir()
    assert get_current_settings().home == Path("/somewhere")


def test_the_page_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    fields = Settings.model_fields
    assert list(listed) == list(fields)
    for name, shown in listed.items():
        default = fields[name].default
        expected = (
            {True: "true", False: "false"}.get(default, str(default)) if isinstance(default, bool) else str(default)
        )
        assert shown.strip("`").replace(" ", "") == expected.removesuffix(".0"), name
