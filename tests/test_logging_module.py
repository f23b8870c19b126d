"""Log lines as JSON: what is in them, and that none is lost because of what is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from actwright.logging import JsonFormatter


@pytest.fixture
def logger() -> logging.Logger:
    """One that nobody else hears, pytest neither."""
    return logging.Logger("tests.json")


@pytest.fixture
def said(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    """The one line that was written, as an object. What `logging` complains of fails the test."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)

    def only_line() -> dict[str, Any]:
        assert capsys.readouterr().err == ""
        (line,) = stream.getvalue().splitlines()
        assert line.isascii()
        return strictly(line)

    return only_line


def strictly(line: str) -> dict[str, Any]:
    """What any reader of JSON makes of it; Python's own would take NaN too."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return found


def formatted(**extra: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": "words", **extra})
    return strictly(JsonFormatter().format(record))


def test_a_line_tells_when_how_grave_who_and_what_in_this_order(
    logger: logging.Logger, said: Callable[[], dict[str, Any]]
) -> None:
    before = datetime.now(UTC)
    logger.warning("disk is %s %% full", 91, extra={"disk": "sda"})
    line = said()
    assert list(line) == ["timestamp", "level", "logger", "message", "disk"]
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert before <= moment <= datetime.now(UTC)
    assert line == {"level": "WARNING", "logger": "tests.json", "message": "disk is 91 % full", "disk": "sda"}


def test_what_is_called_as_an_own_field_is_does_not_take_its_place() -> None:
    line = formatted(level=7, logger=8, timestamp=9)
    assert (line["level"], line["logger"]) == ("INFO", "a")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
    assert (line["extra_level"], line["extra_logger"], line["extra_timestamp"]) == (7, 8, 9)


@pytest.mark.parametrize("name", ["brave-otter", "part of 100%", "it's"])
def test_the_words_of_a_run_do_not_begin_with_its_name_which_is_a_field(name: str) -> None:
    run = {"run_id": "1", "run_name": name, "run_kind": "flow"}
    line = formatted(msg=f"Flow run {name!r} - words", **run)
    assert line["message"] == "words"
    assert {field: line[field] for field in run} == run


@pytest.mark.parametrize("run", [{"run_name": 1, "run_kind": "flow"}, {"run_kind": "flow"}, {"run_name": "1"}])
def test_fields_of_others_that_are_called_so_change_no_words(run: dict[str, Any]) -> None:
    assert formatted(msg="Flow run 1 - words", **run)["message"] == "Flow run 1 - words"


class Account(BaseModel):
    key: SecretStr


@dataclass
class Login:
    key: SecretStr


@pytest.mark.parametrize(
    "value",
    [
        SecretStr("hush"), SecretBytes(b"hush"), Secret("hush"), [SecretStr("hush")], {"key": SecretStr("hush")},
        {SecretStr("hush"): float("nan")}, Account(key=SecretStr("hush")), Login(SecretStr("hush")),
        {(1, 2): Login(SecretStr("hush"))}, (Account(key=SecretStr("hush")), float("inf")),
    ],
    ids=repr,
)  # fmt: skip
def test_secrets_stay_masked_wherever_they_stand(value: object) -> None:
    line = formatted(value=value)
    assert "hush" not in str(line)
    assert "**********" in str(line["value"])


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, 2.5, None, True, "ü"], [1, 2.5, None, True, "ü"]),
        ({"a": {"b": (1, 2)}}, {"a": {"b": [1, 2]}}),
        (datetime(2026, 7, 1, tzinfo=UTC), "2026-07-01T00:00:00+00:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Colour.RED, "red"),
        (Account(key=SecretStr("hush")), "key=SecretStr('**********')"),
        (float("inf"), "inf"),
        ({"a": [float("nan")]}, "{'a': [nan]}"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (range(3), "range(0, 3)"),
    ],
    ids=repr,
)
def test_what_json_has_is_told_as_it_is_and_else_as_text(value: object, told: object) -> None:
    assert formatted(value=value)["value"] == told


class Unspeakable:
    def __str__(self) -> str:
        raise ConnectionError("gone")

    __repr__ = __str__


class Broken(Unspeakable):
    """Nothing at all can be asked of it."""

    __class__ = property(Unspeakable.__str__)  # pyright: ignore[reportIncompatibleMethodOverride]


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def held_by_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Broken, "(unreadable)"),
        (lambda: {"in": [Broken()]}, "(unreadable)"),
        (deep, "(unreadable)"),
        (lambda: 10**100_000, "(unreadable)"),
        (held_by_itself, "{'self': {...}}"),
        (lambda: "half \udcff", "half \udcff"),
        (lambda: {"\udcff": 1}, {"\udcff": 1}),
    ],
    ids=["broken", "broken inside", "deep", "large", "circular", "no text", "no text inside"],
)
def test_no_line_is_lost_because_of_what_is_in_it(
    make: Callable[[], Any], told: object, logger: logging.Logger, said: Callable[[], dict[str, Any]]
) -> None:
    logger.info("words", extra={"before": 1, "value": make(), "after": 2})
    line = said()
    assert line["value"] == told
    assert (line["message"], line["before"], line["after"]) == ("words", 1, 2)


@pytest.mark.parametrize("name", [b"bytes", 7, None, ()])
def test_nor_because_of_a_name_that_is_no_text(
    name: Any, logger: logging.Logger, said: Callable[[], dict[str, Any]]
) -> None:
    logger.info("words", extra={name: 1})
    assert said()[str(name)] == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Broken)
    | st.builds(SecretStr, st.just("hush")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none() | st.tuples(), inner),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(min_size=1).map(lambda name: f"own {name}"), values))
def test_whatever_is_given_as_extra_makes_one_line_that_is_json_and_tells_no_secret(extra: dict[str, Any]) -> None:
    line = JsonFormatter().format(logging.makeLogRecord({"msg": "words", **extra}))
    assert len(line.splitlines()) == 1
    assert "hush" not in line
    assert strictly(line).keys() == {"timestamp", "level", "logger", "message", *extra}


@pytest.mark.parametrize(
    ("words", "args", "message"),
    [
        ("%d items", ("many",), "%d items % ('many',)"),
        ("%s", (Unspeakable(),), "%s % (unreadable)"),
        (Unspeakable(), (), "(unreadable) % ()"),
        ({"level": 1}, (), "{'level': 1}"),
        ("a\nb\u2028c", (), "a\nb\u2028c"),
    ],
    ids=["wrong argument", "broken argument", "broken words", "no text", "lines"],
)
def test_words_that_cannot_be_formatted_are_told_as_they_were_given(
    words: Any, args: tuple[Any, ...], message: str, logger: logging.Logger, said: Callable[[], dict[str, Any]]
) -> None:
    logger.info(words, *args)
    line = said()
    assert (line["message"], line["level"]) == (message, "INFO")


def test_an_exception_is_told_with_its_traceback(logger: logging.Logger, said: Callable[[], dict[str, Any]]) -> None:
    try:
        raise ConnectionError("no answer")
    except ConnectionError:
        logger.exception("words", stack_info=True)
    line = said()
    assert line["exc_info"].startswith("Traceback (most recent call last):\n")
    assert line["exc_info"].endswith("ConnectionError: no answer")
    assert "stack_info=True" in line["stack_info"]


def test_the_record_is_left_as_it_was_for_other_handlers() -> None:
    record = logging.makeLogRecord({"msg": "at %s", "args": (1,)})
    before = dict(vars(record))
    JsonFormatter().format(record)
    assert vars(record) == before
