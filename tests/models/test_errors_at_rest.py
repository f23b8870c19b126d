"""Exceptions as history keeps them."""

from __future__ import annotations

import json

import pytest

from actwright.exceptions import RecordedError
from actwright.models.errors_at_rest import error_at_rest, error_from_rest


class Odd(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_exception_comes_back_as_its_type_its_message_and_its_traceback() -> None:
    read = error_from_rest(error_at_rest(raised(ValueError("no such order"))))
    assert (read.type_name, read.message) == ("ValueError", "no such order")
    assert "raise error" in read.traceback
    assert read.traceback.rstrip().endswith("ValueError: no such order")


def test_a_type_that_is_not_builtin_is_named_with_its_module() -> None:
    read = error_from_rest(error_at_rest(json.JSONDecodeError("bad", "{", 0)))
    assert read.type_name == "json.decoder.JSONDecodeError"


def test_its_traceback_is_cut_by_whoever_knows_what_matters() -> None:
    assert error_from_rest(error_at_rest(ValueError("x"), lambda error: f"only {error}")).traceback == "only x"


def test_one_that_was_recorded_stays_what_it_was() -> None:
    first = RecordedError("ValueError", "no", "Traceback ...")
    read = error_from_rest(error_at_rest(raised(first)))
    assert (read.type_name, read.message, read.traceback) == ("ValueError", "no", "Traceback ...")


def test_recording_never_raises() -> None:
    read = error_from_rest(error_at_rest(raised(Odd()), str))
    assert read.message == read.traceback == "<telling it raised SystemExit>"


def test_a_long_story_loses_its_middle() -> None:
    text = error_at_rest(ValueError("a" + "x" * 10**6 + "z"), lambda _: "b" + "y" * 10**6 + "e")
    read = error_from_rest(text)
    assert len(text) < 50_000
    assert (read.message[0], read.message[-1], read.traceback[0], read.traceback[-1]) == ("a", "z", "b", "e")
    assert "characters are left out" in read.message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "x"}'])
def test_one_that_cannot_be_read_says_so(text: str) -> None:
    assert "It cannot be read from history: " in str(error_from_rest(text))
