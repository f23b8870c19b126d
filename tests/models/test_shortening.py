"""Users' values, shown to people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.models.shortening import shorten


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class RudeDict(dict[str, int]):
    def __len__(self) -> int:
        raise RuntimeError("no")


@given(st.recursive(st.text() | st.integers() | st.binary(), st.lists), st.integers(min_value=10, max_value=300))
def test_a_value_is_shown_in_no_more_than_its_limit(value: object, limit: int) -> None:
    assert len(shorten(value, limit)) <= limit


@pytest.mark.parametrize("value", [Rude(), [Rude()], {"x": Rude()}, RudeDict(a=1), type("dict", (), {})()])
def test_showing_a_value_never_raises(value: object) -> None:
    assert shorten(value)


def test_a_short_value_is_shown_whole() -> None:
    assert shorten({"a": [1, "x"]}) == "{'a': [1, 'x']}"
    assert len(shorten("x" * 10**6)) <= 200
