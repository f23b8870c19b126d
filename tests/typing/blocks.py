"""What the type checkers must make of variables and blocks. Never run: mypy and pyright read it.

Each ignore marks an error that must be one; both checkers complain about an ignore that is not needed.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_type

import httpx

from actwright import Block, Variable
from actwright.authoring.keeping import Truth
from actwright.blocks import SlackWebhook, Webhook


class Till(Block):
    number: int


def sync_code() -> None:
    assert_type(Variable.get("x"), Variable)
    assert_type(Variable.unset("x"), Truth)
    assert_type(Till(number=1).save("main"), Till)
    assert_type(Till.load("main"), Till)
    assert_type(Block.load("till/main"), Block)
    assert_type(SlackWebhook(url="https://x").notify("done"), Awaitable[None])
    Till(numbr=1)  # type: ignore[call-arg]
    SlackWebhook("https://x")  # type: ignore[call-arg]
    Webhook(url="https://x", method="HEAD")  # type: ignore[arg-type]


async def async_code() -> None:
    assert_type(await Variable.get("x"), Variable)
    assert_type(await Variable.aget("x"), Variable)
    assert_type(await Variable.unset("x"), bool)
    assert_type(await Variable.aunset("x"), bool)
    assert_type(await Till.load("main"), Till)
    assert_type(await Till.aload("main"), Till)
    assert_type(await Till(number=1).asave("main"), Till)
    assert_type(await Till.delete("main"), bool)
    assert_type(await Webhook(url="https://x").acall({"a": [1]}), httpx.Response)
    await SlackWebhook(url="https://x").notify("done")
