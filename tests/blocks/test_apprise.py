"""Telling by Apprise: a real service of its, `json://`, against a real server."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from tests.blocks.receiver import Receiver

from actwright import Block
from actwright.blocks import AppriseNotification
from actwright.exceptions import AuthoringError, WebhookError

pytestmark = pytest.mark.filterwarnings("ignore:'(imghdr|cgi|imp)' is deprecated:DeprecationWarning")  # Apprise's own


def told_by(receiver: Receiver, *more: str) -> AppriseNotification:
    address = receiver.url.removeprefix("http://")
    return AppriseNotification(urls=[f"json://me:hunter2@{address}/hook", *more])


def test_in_sync_code_they_have_it_when_notify_returns(receiver: Receiver) -> None:
    told_by(receiver).notify("done", subject="Nightly")
    request = receiver.take()
    assert (request.method, request.path) == ("POST", "/hook")
    assert (request.json()["title"], request.json()["message"]) == ("Nightly", "done")


@pytest.mark.anyio
async def test_in_async_code_it_is_awaited(receiver: Receiver) -> None:
    await told_by(receiver).notify("one")
    await told_by(receiver).anotify("two")
    assert [receiver.take().json()["message"] for _ in range(2)] == ["one", "two"]


def test_it_is_saved_with_its_urls_encrypted_and_loaded(receiver: Receiver, actwright_home: Any) -> None:
    told_by(receiver).save("operators")
    assert b"hunter2" not in (actwright_home / "actwright.db").read_bytes()
    loaded: Any = Block.load("apprise-notification/operators")
    loaded.notify("loaded")
    assert receiver.take().json()["message"] == "loaded"
    assert "hunter2" not in repr(loaded)


def test_one_that_cannot_be_told_is_an_error_that_hides_the_urls_as_logs_do(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(WebhookError, match="number 2 of the 2 services") as caught:
        told_by(receiver, "json://me:hunter3@127.0.0.1:9/nobody").notify("done")
    assert receiver.take().json()["message"] == "done"
    assert "hunter" not in caplog.text + str(caught.value)


def test_no_log_line_of_what_apprise_uses_has_a_token(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        AppriseNotification(urls=[f"json://{receiver.url.removeprefix('http://')}/hunter2"]).notify("done")
    assert receiver.take().path == "/hunter2"
    assert "hunter2" not in caplog.text


def test_a_url_that_apprise_does_not_know_is_named_by_its_place(receiver: Receiver) -> None:
    with pytest.raises(AuthoringError, match="no service by URL 2 of 2") as caught:
        told_by(receiver, "nothing-like-it://hunter3").notify("done")
    assert "hunter3" not in str(caught.value)


def test_where_it_is_not_installed_the_error_says_how_to(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(AuthoringError, match=r"pip install 'actwright\[apprise\]'"):
        told_by(receiver).notify("done")
