"""`actwright block`: what is saved, masked, and without the key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pydantic
import pytest
from pydantic import SecretStr
from tests.control.shell import act, printed

from actwright import Block
from actwright.authoring.keys import KEY_FILE
from actwright.blocks import Secret, SlackWebhook
from actwright.engine import background

HIDDEN = "hunter2"


class CashRegister(Block):
    url: str
    tokens: list[SecretStr]
    any: object = None


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    yield
    background.close()


@pytest.fixture
def saved(actwright_home: Path) -> Path:
    """Three blocks; the key to their secrets is not there."""
    SlackWebhook(url=f"https://slack.example/{HIDDEN}").save("mine")
    CashRegister(
        url="https://till.example",
        tokens=[SecretStr(HIDDEN)],
        any={"limit": float("inf"), "$actwright": "secret", "deep": pydantic.Secret(HIDDEN)},
    ).save("main")
    Secret(value=HIDDEN).save("password")
    (actwright_home / KEY_FILE).unlink()
    return actwright_home


def test_without_a_journal_there_is_nothing_to_list_and_none_is_made(actwright_home: Path) -> None:
    assert printed("block", "ls") == []
    assert act("block", "ls").exit_code == 0
    for command in ("inspect", "delete"):
        ran = act("block", command, "secret/x")
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert "There is no journal" in ran.stderr
    assert [each["slug"] for each in printed("block", "types")] == sorted(
        ["cash-register", "secret", "slack-webhook", "webhook", *_of_other_tests()]
    )
    assert not actwright_home.exists()


def _of_other_tests() -> list[str]:
    from actwright.blocks.types import known_types

    own = {"cash-register", "secret", "slack-webhook", "webhook"}
    return [slug for slug in known_types() if slug not in own]


def test_blocks_are_listed_by_type_and_name_with_these_keys(saved: Path) -> None:
    found = printed("block", "ls")
    assert [(each["slug"], each["name"], each["class"]) for each in found] == [
        ("cash-register", "main", f"{__name__}:CashRegister"),
        ("secret", "password", "actwright.blocks.secret:Secret"),
        ("slack-webhook", "mine", "actwright.blocks.webhooks:SlackWebhook"),
    ]
    assert all(set(each) == {"slug", "name", "class", "error", "updated_at"} for each in found)
    lines = act("block", "ls").stdout.splitlines()
    assert lines[0].split() == ["block", "class", "updated"]
    assert lines[3].split()[:2] == ["slack-webhook/mine", "actwright.blocks.webhooks:SlackWebhook"]


def test_one_is_inspected_with_its_secrets_masked(saved: Path) -> None:
    found = printed("block", "inspect", "cash-register/main")
    mask = "**********"
    assert found["fields"] == {
        "url": "https://till.example",
        "tokens": [mask],
        "any": {"limit": "inf", "$actwright": "secret", "deep": mask},
    }
    assert (found["slug"], found["name"], found["error"]) == ("cash-register", "main", None)
    drawn = act("block", "inspect", "slack-webhook/mine").stdout
    assert "class" in drawn
    assert f"url              {mask}" in drawn
    assert "timeout_seconds  30.0" in drawn


def test_nothing_that_is_printed_has_a_secret_or_a_token(saved: Path) -> None:
    commands = (["ls"], ["types"], ["inspect", "secret/password"], ["inspect", "cash-register/main"])
    for command in commands:
        for output in ("table", "json"):
            ran = act("block", *command, "-o", output)
            assert ran.exit_code == 0
            assert HIDDEN not in ran.output
            assert "gAAAA" not in ran.output


def test_types_are_those_that_are_there_and_those_of_what_is_saved(saved: Path) -> None:
    with closing(sqlite3.connect(saved / "actwright.db", isolation_level=None)) as journal:
        journal.execute("UPDATE blocks SET slug = 'of-another-program' WHERE slug = 'cash-register'")
    found = {each["slug"]: (each["class"], each["saved"]) for each in printed("block", "types")}
    assert found["of-another-program"] == (f"{__name__}:CashRegister", 1)
    assert found["slack-webhook"] == ("actwright.blocks.webhooks:SlackWebhook", 1)
    assert found["webhook"] == ("actwright.blocks.webhooks:Webhook", 0)
    assert "of-another-program" in act("block", "types").stdout


def test_one_is_deleted(saved: Path) -> None:
    assert printed("block", "delete", "secret/password") == {"slug": "secret", "name": "password"}
    assert [each["slug"] for each in printed("block", "ls")] == ["cash-register", "slack-webhook"]
    for each in printed("block", "ls"):
        assert act("block", "delete", f"{each['slug']}/{each['name']}").exit_code == 0
    ran = act("block", "ls")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "No block is saved.\n")


@pytest.mark.parametrize("command", ["inspect", "delete"])
@pytest.mark.parametrize("given", ["secret/nobody", "password", "", "secret/"])
def test_what_is_not_there_is_refused(command: str, given: str, saved: Path) -> None:
    ran = act("block", command, given)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert (
        f"There is no block {given!r}. A block is named by its type and name; see `actwright block ls`." in ran.stderr
    )
    assert len(printed("block", "ls")) == 3


@pytest.mark.parametrize("damage", ["'{'", "CAST(x'ff' AS TEXT)", "'{\"class\": 1}'"])
def test_one_that_was_damaged_is_named_and_the_others_are_listed(damage: str, saved: Path) -> None:
    with closing(sqlite3.connect(saved / "actwright.db", isolation_level=None)) as journal:
        journal.execute(f"UPDATE blocks SET document = {damage} WHERE slug = 'secret'")
    found = printed("block", "ls")
    assert [(each["slug"], each["error"] is None) for each in found] == [
        ("cash-register", True),
        ("secret", False),
        ("slack-webhook", True),
    ]
    assert "(unreadable)" in act("block", "ls").stdout
    assert act("block", "types").exit_code == 0
    ran = act("block", "inspect", "secret/password")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "block 'secret/password' is damaged" in ran.stderr
    assert act("block", "delete", "secret/password").exit_code == 0


def test_config_masks_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from actwright.settings import get_current_settings

    monkeypatch.setenv("ACTWRIGHT_SECRET_KEY", HIDDEN)
    get_current_settings.cache_clear()
    assert printed("config")["secret_key"] == {"value": "**********", "source": "ACTWRIGHT_SECRET_KEY"}
    assert HIDDEN not in act("config").stdout
