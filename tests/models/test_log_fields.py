"""What a log line carries besides its words, kept as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from actwright.models.log_fields import EXTRA_LIMIT_BYTES, exception_of, fields_at_rest, fields_from_rest

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def kept(extra: object = None, exc_info: object = None) -> dict[str, Any]:
    text = fields_at_rest(extra, exc_info)
    assert text is not None
    assert json.loads(text) == fields_from_rest(text)
    return fields_from_rest(text)


def test_a_line_without_any_has_none() -> None:
    given: list[tuple[object, object]] = [
        (None, None), ({}, False), (None, (None, None, None)), ("no mapping", None), (None, True), (None, (1, 2))
    ]  # fmt: skip
    for extra, exc_info in given:
        assert fields_at_rest(extra, exc_info) is None
    assert fields_from_rest(None) == {}


def test_fields_come_back_as_json_has_them() -> None:
    given = {"rows": 7, "city": "Oslo", "deep": {"list": [1, None]}}
    assert kept(given) == given


def test_what_json_has_no_word_for_is_marked_and_secrets_are_masked() -> None:
    found = kept({"lock": object(), "key": SecretStr("hunter2"), "odd": float("nan")})
    assert found["lock"] == {"$actwright": "missing", "why": "object cannot be written as JSON"}
    assert found["key"] == "**********"
    assert found["odd"] == {"$actwright": "float", "is": "nan"}


def test_what_is_too_large_is_left_out_and_the_rest_stays() -> None:
    text = fields_at_rest({"blob": "x" * EXTRA_LIMIT_BYTES, "rows": 7}, None)
    assert text is not None
    assert len(text) < EXTRA_LIMIT_BYTES
    found = fields_from_rest(text)
    assert found["rows"] == 7
    assert (
        found["blob"]["why"] == f"it is too large: the fields of a log line may take {EXTRA_LIMIT_BYTES} bytes in all"
    )


@given(st.dictionaries(st.text(st.characters(exclude_categories=())) | st.integers(), anything), st.booleans())
def test_whatever_is_given_is_kept_as_json_and_never_raises(extra: dict[Any, Any], with_error: bool) -> None:
    text = fields_at_rest(extra, ValueError("no") if with_error else None)
    names = {name for name in extra if isinstance(name, str)} | {"exc_info" for _ in range(with_error)}
    if text is None:
        assert not names
    else:
        assert set(json.loads(text)) == names


@pytest.mark.parametrize("form", ["itself", "tuple", "asked"])
def test_an_exception_is_kept_with_its_type_its_words_and_its_traceback_in_each_form(form: str) -> None:
    try:
        raise ConnectionError("no answer")
    except ConnectionError as error:
        exc_info = {"itself": error, "tuple": sys.exc_info(), "asked": True}[form]
        found = kept({"rows": 7}, exc_info)
    assert found["rows"] == 7
    assert (found["exc_info"]["type"], found["exc_info"]["message"]) == ("ConnectionError", "no answer")
    traceback = exception_of(found)
    assert traceback is not None
    assert traceback.startswith("Traceback (most recent call last):")
    assert 'raise ConnectionError("no answer")' in traceback


def test_fields_that_cannot_be_read_say_so_and_tell_of_no_exception() -> None:
    found = fields_from_rest("no json")
    assert list(found) == ["(unreadable)"]
    told: list[dict[str, Any]] = [found, {}, {"exc_info": 1}, {"exc_info": {}}]
    assert [exception_of(fields) for fields in told] == [None] * 4
