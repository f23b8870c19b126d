"""Where the health endpoint listens, as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from actwright.serving.addresses import Address, address_of
from actwright.settings import get_current_settings, read_settings


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (8080, Address("127.0.0.1", 8080)),
        ("8080", Address("127.0.0.1", 8080)),
        (":0", Address("127.0.0.1", 0)),
        ("localhost:1", Address("127.0.0.1", 1)),
        (" 0.0.0.0:65535 ", Address("0.0.0.0", 65_535)),
        ("[::1]:8080", Address("::1", 8080)),
    ],
)
def test_a_port_is_this_machines_own_unless_an_address_stands_before_it(given: str | int, address: Address) -> None:
    assert Address.of(given) == address
    assert address_of(given) == address


@pytest.mark.parametrize("given", ["", "x", "1.2.3:80", "127.0.0.1", "example.org:80", "::1", -1, 65_536, "80x", "²"])
def test_what_is_no_address_is_refused_with_what_was_expected(given: str | int) -> None:
    with pytest.raises(ValueError, match=r"health_address: expected a port, or an IP address and a port"):
        address_of(given)


def test_where_none_is_given_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address_of(None) is None
    monkeypatch.setenv("ACTWRIGHT_HEALTH_ADDRESS", "")  # as a file of variables may leave it
    get_current_settings.cache_clear()
    assert address_of(None) is None
    monkeypatch.setenv("ACTWRIGHT_HEALTH_ADDRESS", "0.0.0.0:8080")
    get_current_settings.cache_clear()
    assert address_of(None) == Address("0.0.0.0", 8080)
    assert address_of(7) == Address("127.0.0.1", 7)
    get_current_settings.cache_clear()


def test_in_a_file_of_settings_a_port_may_be_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "actwright.toml").write_text("health_address = 8080")
    monkeypatch.chdir(tmp_path)
    assert read_settings().health_address == 8080


def test_an_address_has_a_url() -> None:
    assert Address("127.0.0.1", 80).url == "http://127.0.0.1:80"
    assert Address("::1", 80).url == "http://[::1]:80"
