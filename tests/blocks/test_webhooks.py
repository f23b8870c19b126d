"""Webhooks against a real server: in sync and in async code, and with nothing shown of their URLs."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import traceback
from functools import partial
from typing import Any

import anyio
import pydantic
import pytest
from pydantic import SecretStr
from tests.blocks.receiver import Receiver
from tests.engine.watched import open_runtime

from actwright import flow, run_flow
from actwright.blocks import SlackWebhook, Webhook
from actwright.exceptions import WebhookError

PATH = "/services/T000/B000/hunter2?token=hunter3"
HIDDEN = ("hunter2", "hunter3", "hunter4")


def slack(receiver: Receiver, **fields: Any) -> SlackWebhook:
    return SlackWebhook(url=receiver.url + PATH, **fields)


def assert_it_hides_the_url(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert not any(hidden in shown for hidden in HIDDEN), shown
    assert error.__context__ is None  # an error of httpx's has its request
    assert error.__cause__ is None


# Slack


def test_in_sync_code_the_channel_has_it_when_notify_returns(receiver: Receiver) -> None:
    slack(receiver).notify("done: <https://example.com|a link>")
    assert not receiver.is_empty()
    request = receiver.take()
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["Content-Type"] == "application/json"
    assert request.json() == {"text": "done: <https://example.com|a link>"}


def test_a_subject_is_a_first_line_in_bold(receiver: Receiver) -> None:
    slack(receiver).notify("é and more", subject="Nightly")
    assert receiver.take().json() == {"text": "*Nightly*\né and more"}


@pytest.mark.anyio
async def test_in_async_code_it_is_awaited_and_the_loop_goes_on_meanwhile(receiver: Receiver) -> None:
    receiver.may_answer.clear()

    async def notify() -> None:
        await slack(receiver).notify("one")
        await slack(receiver).anotify("two")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(notify)
            first = await anyio.to_thread.run_sync(receiver.take)
            assert first.json() == {"text": "one"}
            receiver.may_answer.set()  # said by this loop: one that was held would never come to it
    assert receiver.take().json() == {"text": "two"}


LOADED_IN = """
import sys, threading
import anyio
from actwright.blocks import Webhook

threads = []

def audit(event, args):
    if event == "import" and args[0] == "httpx":
        threads.append(threading.current_thread())

sys.addaudithook(audit)
anyio.run(Webhook(url=sys.argv[1]).acall)
print(len(threads), threading.main_thread() in threads)
"""


def test_what_sending_takes_is_loaded_beside_the_loop(receiver: Receiver) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOADED_IN, receiver.url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.stdout == "1 False\n", ran.stderr


@pytest.mark.anyio
async def test_in_async_code_a_cancelled_one_gives_up(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slack(receiver).anotify, "one")
            await anyio.to_thread.run_sync(receiver.take)
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_sync_hooks_block_their_thread_and_async_ones_await(receiver: Receiver) -> None:
    def tell(flow: Any, flow_run: Any, state: Any) -> None:
        SlackWebhook.load("mine").notify(f"sync {state.name}")

    async def tell_async(flow: Any, flow_run: Any, state: Any) -> None:
        await (await SlackWebhook.aload("mine")).notify(f"async {state.name}")

    @flow(on_failure=[tell, tell_async, lambda flow, flow_run, state: SlackWebhook.load("mine").notify("lambda")])
    async def fails() -> None:
        raise ValueError("meh")

    async with open_runtime():
        await slack(receiver).asave("mine")
        await run_flow(fails, return_state=True)
    assert [receiver.take().json()["text"] for _ in range(3)] == ["sync Failed", "async Failed", "lambda"]
    assert receiver.is_empty()


# Any webhook


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_webhook_sends_its_method_and_headers(method: Any, receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url + PATH, method=method, headers={"Authorization": "Bearer hunter4"})
    answer = webhook.call()
    assert (answer.status_code, answer.text) == (200, "ok")
    request = receiver.take()
    assert (request.method, request.path, request.body) == (method, PATH, b"")
    assert request.headers["Authorization"] == "Bearer hunter4"
    assert "hunter" not in repr(webhook)


@pytest.mark.parametrize(
    ("payload", "body", "kind"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}', "application/json"),
        ([], b"[]", "application/json"),
        (0, b"0", "application/json"),
        ("text, as it is", b"text, as it is", None),
        ("", b"", None),
        (None, b"", None),
    ],
)
def test_a_payload_is_json_or_text_or_nothing(payload: Any, body: bytes, kind: str | None, receiver: Receiver) -> None:
    Webhook(url=receiver.url).call(payload)
    request = receiver.take()
    assert request.body == body
    assert request.headers.get("Content-Type") == kind


@pytest.mark.anyio
async def test_in_async_code_the_answer_is_awaited(receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url)
    assert (await webhook.call({"a": 1})).text == "ok"
    assert (await webhook.acall({"a": 2})).text == "ok"
    assert [receiver.take().json()["a"] for _ in range(2)] == [1, 2]


def test_the_secrets_of_a_webhook_come_back_from_where_it_is_saved(receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url + PATH, headers={"X-Key": SecretStr("hunter4")}, timeout_seconds=5)
    webhook.save("mine")
    assert Webhook.load("mine") == webhook
    Webhook.load("mine").call()
    assert receiver.take().headers["X-Key"] == "hunter4"


# What goes wrong


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "status 404 (Not Found)"),
        (500, "status 500 (Internal Server Error)"),
        (799, "status 799"),
        (302, "It redirects"),
    ],
)
async def test_a_status_that_is_no_2xx_is_an_error_with_status_and_host(
    status: int, said: str, receiver: Receiver
) -> None:
    receiver.status, receiver.headers = status, {"Location": PATH}
    webhook = slack(receiver)
    in_thread = await anyio.to_thread.run_sync(failure_of, webhook)
    with pytest.raises(WebhookError) as raised:
        await webhook.notify("x")
    for error in (in_thread, raised.value):
        assert (error.status, error.host) == (status, "127.0.0.1")
        assert str(error).startswith("127.0.0.1 did not take what was sent: ")
        assert said in str(error)
        assert_it_hides_the_url(error)


def failure_of(webhook: SlackWebhook) -> WebhookError:
    """In a thread, where no loop is: sync code."""
    with pytest.raises(WebhookError) as raised:
        webhook.notify("x")
    return raised.value


@pytest.mark.anyio
async def test_nobody_who_listens_is_an_error_with_the_host() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        webhook = SlackWebhook(url=f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}")
        in_thread = await anyio.to_thread.run_sync(failure_of, webhook)
        with pytest.raises(WebhookError, match=r"^127\.0\.0\.1 could not be told: .*onnect") as raised:
            await webhook.notify("x")
    for error in (in_thread, raised.value):
        assert (error.status, error.host) == (None, "127.0.0.1")
        assert_it_hides_the_url(error)


@pytest.mark.anyio
async def test_an_answer_that_does_not_come_is_an_error_with_the_time(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    webhook = slack(receiver, timeout_seconds=0.05)
    in_thread = await anyio.to_thread.run_sync(failure_of, webhook)
    with pytest.raises(WebhookError, match=r"could not be told: nothing came of it within 0\.05 s") as raised:
        await webhook.notify("x")
    for error in (in_thread, raised.value):
        assert_it_hides_the_url(error)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://[hunter2", {}),
        ("http://127.0.0.1:hunter2/", {}),
        ("http://127.0.0.1:1/\x00hunter2", {}),
        ("http://hunter2" * 100, {}),
        ("http:///hunter2", {}),
        ("http://127.0.0.1:1/", {"X-Key": "hunter2\n"}),
        ("http://127.0.0.1:1/", {"X-Key": "é hunter2"}),
    ],
)
def test_what_cannot_be_sent_at_all_is_an_error_that_does_not_show_it(
    url: str, headers: dict[str, str], receiver: Receiver
) -> None:
    if headers:
        url = receiver.url
    with pytest.raises(WebhookError) as raised:
        Webhook(url=url, headers=headers).call()
    assert raised.value.status is None
    assert "hunter2" not in str(raised.value).replace(raised.value.host or "-", "")
    assert raised.value.__context__ is None


@pytest.mark.parametrize("url", ["hooks.slack.com/hunter2", "ftp://x/hunter2", ""])
def test_what_is_no_url_is_refused_when_the_block_is_made(url: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="expected a URL that begins with https://") as raised:
        SlackWebhook(url=url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 9.3e9])
async def test_a_timeout_that_no_clock_has_is_none(seconds: float, receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url, timeout_seconds=seconds).save("patient", overwrite=True)
    assert Webhook.load("patient") == webhook
    assert (await webhook.acall()).text == "ok"
    assert (await anyio.to_thread.run_sync(webhook.call)).text == "ok"


@pytest.mark.anyio
@pytest.mark.parametrize("by_acall", [True, False])
async def test_no_log_line_has_a_header_that_cannot_be_sent(
    by_acall: bool, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = Webhook(url=receiver.url, headers={"Authorization": "hunter2\n"})
    call: Any = webhook.acall if by_acall else partial(anyio.to_thread.run_sync, webhook.call)
    with pytest.raises(WebhookError, match="see its URL and headers"):
        await call()
    assert "hunter2" not in caplog.text


@pytest.mark.anyio
async def test_no_log_line_has_the_url_and_others_keep_their_lines(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    caplog.set_level(logging.DEBUG)
    webhook = Webhook(url=receiver.url + PATH, headers={"X-Key": "hunter4"})
    await webhook.acall({"a": 1})
    await anyio.to_thread.run_sync(webhook.call)
    receiver.status = 500
    with pytest.raises(WebhookError):
        await webhook.acall()
    shown = "".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    assert not any(hidden in shown for hidden in HIDDEN), shown
    caplog.clear()
    httpx.Client().get(f"{receiver.url}/open").close()
    assert any("/open" in message for message in caplog.messages)


def test_threads_send_side_by_side(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    threads = [threading.Thread(target=slack(receiver).notify, args=(str(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    assert {receiver.take().json()["text"] for _ in threads} == {"0", "1", "2"}
    receiver.may_answer.set()
    for thread in threads:
        thread.join()
