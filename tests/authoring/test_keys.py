"""The keys of secrets: where they come from, who can read them, and how one is replaced."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from actwright.authoring import keys
from actwright.authoring.keys import KEY_FILE, Keyring, keyring
from actwright.blocks import Secret
from actwright.engine import background
from actwright.exceptions import SecretKeyError, SettingsError
from actwright.journal.memory import MemoryJournal
from actwright.settings import get_current_settings

HIDDEN = "hunter2"


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    yield
    background.close()


def a_key() -> str:
    return Fernet.generate_key().decode()


def set_key(monkeypatch: pytest.MonkeyPatch, *given: str, by: str = "\n") -> None:
    monkeypatch.setenv("ACTWRIGHT_SECRET_KEY", by.join(given))
    get_current_settings.cache_clear()


def test_the_key_is_made_at_the_first_use_for_its_owner_alone(actwright_home: Path) -> None:
    before = keyring(make=True).encrypt(b"x")
    path = actwright_home / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(actwright_home.stat().st_mode) == 0o700
    assert keyring(make=True).decrypt(*before) == b"x"
    assert [each.name for each in actwright_home.iterdir()] == [KEY_FILE]


MAKE = """
import sys
from actwright.authoring.keys import keyring
print("ready", flush=True)
sys.stdin.readline()
print(keyring(make=True).encrypt(b"x")[0])
"""


def test_of_many_processes_that_make_the_key_at_once_all_have_the_same_one(actwright_home: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", MAKE]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    fingerprints = {process.communicate(timeout=30)[0] for process in processes}
    assert len(fingerprints) == 1
    assert [process.returncode for process in processes] == [0] * 6
    assert [each.name for each in actwright_home.iterdir()] == [KEY_FILE]


def test_a_key_that_another_process_makes_meanwhile_is_kept(
    actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, new_key = a_key().encode(), keys.new_key

    def overtaken() -> bytes:
        (actwright_home / KEY_FILE).write_bytes(other)
        (actwright_home / KEY_FILE).chmod(0o600)
        return new_key()

    monkeypatch.setattr(keys, "new_key", overtaken)
    fingerprint, _ = keyring(make=True).encrypt(b"x")
    assert fingerprint == Keyring([other], "the other's").encrypt(b"x")[0]
    assert (actwright_home / KEY_FILE).read_bytes() == other


def test_the_setting_goes_before_the_file(actwright_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_key(monkeypatch, a_key())
    Secret(value=HIDDEN).save("main")
    assert not (actwright_home / KEY_FILE).exists()
    assert Secret.load("main").get() == HIDDEN
    set_key(monkeypatch, a_key())
    with pytest.raises(
        SecretKeyError, match=r"another key \(fingerprint \w+\) than those of ACTWRIGHT_SECRET_KEY \(\w+\)"
    ):
        Secret.load("main")


def test_memory_has_a_key_of_its_own_and_leaves_no_file(actwright_home: Path) -> None:
    journal, other = MemoryJournal(), MemoryJournal()
    assert journal.own_key == journal.own_key != other.own_key
    ring = keyring(journal.own_key, make=True)
    assert keyring(journal.own_key, make=False).decrypt(*ring.encrypt(b"x")) == b"x"
    assert not actwright_home.exists()


@pytest.mark.parametrize("by", ["\n", " ", "\r\n"])
def test_a_key_is_replaced_by_putting_a_new_one_in_front(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = a_key(), a_key()
    set_key(monkeypatch, old)
    Secret(value=HIDDEN).save("main")
    set_key(monkeypatch, new, old, by=by)
    Secret.load("main").save("main", overwrite=True)
    set_key(monkeypatch, new)
    assert Secret.load("main").get() == HIDDEN


@pytest.mark.parametrize("given", ["not a key", "", "   ", "x" * 44])
def test_what_is_no_key_is_an_error_that_says_how_one_is_made_and_does_not_show_it(
    given: str, actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(monkeypatch, given)
    with pytest.raises(SecretKeyError, match=r"ACTWRIGHT_SECRET_KEY .*Fernet\.generate_key") as raised:
        Secret(value=1).save("main")
    assert not given.strip() or given not in str(raised.value)
    monkeypatch.delenv("ACTWRIGHT_SECRET_KEY")
    get_current_settings.cache_clear()
    (actwright_home / KEY_FILE).write_text(given)
    (actwright_home / KEY_FILE).chmod(0o600)
    with pytest.raises(SecretKeyError, match=r"secret\.key .*Fernet\.generate_key"):
        Secret(value=1).save("main")
    assert (actwright_home / KEY_FILE).read_text() == given


def test_a_key_in_a_file_of_settings_is_named_by_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "actwright.toml").write_text('secret_key = "no"\n')
    get_current_settings.cache_clear()
    with pytest.raises(SecretKeyError, match=r"^secret_key in .*actwright\.toml holds something else than a key"):
        Secret(value=1).save("main")
    (tmp_path / "actwright.toml").write_text("secret_key = 4321\n")
    get_current_settings.cache_clear()
    with pytest.raises(SettingsError, match=r"actwright\.toml: secret_key = '\.\.\.'") as raised:
        get_current_settings()
    assert "4321" not in str(raised.value)


def test_keys_that_are_given_as_a_list_are_refused_and_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "actwright.toml").write_text('secret_key = ["hunter2", "hunter3"]\n')
    get_current_settings.cache_clear()
    with pytest.raises(SettingsError) as raised:
        get_current_settings()
    assert "hunter" not in "".join(traceback.format_exception(raised.value))


def test_a_place_that_cannot_be_written_is_an_error_that_says_what_to_do(
    actwright_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actwright_home.write_text("a file, where a folder should be")
    with pytest.raises(SecretKeyError, match=r"cannot be kept in .*secret\.key: .* or set ACTWRIGHT_SECRET_KEY"):
        keyring(make=True)
    actwright_home.unlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_key_and_nobody_waits_for_it(make: Callable[[Path], None], actwright_home: Path) -> None:
    actwright_home.mkdir()
    make(actwright_home / KEY_FILE)
    for may_make in (True, False):
        with pytest.raises(SecretKeyError, match=r"cannot be kept in .*secret\.key: .*\. See to that"):
            keyring(make=may_make)


def test_a_key_that_others_can_read_is_said_once(actwright_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    keyring(make=True)
    (actwright_home / KEY_FILE).chmod(0o640)
    with caplog.at_level(logging.WARNING, "actwright.blocks"):
        keyring(make=False)
        keyring(make=False)
    (line,) = caplog.messages
    assert (
        line
        == f"Others can read {actwright_home / KEY_FILE} (mode 0640), the key of your secrets: chmod 600 "
        + str(actwright_home / KEY_FILE)
    )


def test_a_token_that_was_changed_is_no_secret() -> None:
    ring = Keyring([a_key().encode()], "here")
    fingerprint, token = ring.encrypt(b"x")
    with pytest.raises(ValueError, match="not what was encrypted"):
        ring.decrypt(fingerprint, token[:-5] + "AAAA=")
    assert get_current_settings().secret_key is None
