from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwright.authoring.options import TaskOptions
from actwright.authoring.retries import delay_before

delays = st.floats(min_value=0, max_value=1e6)


@given(delays, st.floats(min_value=0, max_value=10), st.integers(1, 50), st.randoms(use_true_random=False))
def test_jitter_only_lengthens_a_delay_and_by_no_more_than_its_factor(
    delay: float, factor: float, attempt: int, rng: random.Random
) -> None:
    options = TaskOptions().replace(retries=50, retry_delay_seconds=delay, retry_jitter_factor=factor)
    assert delay <= delay_before(attempt, options, rng) <= delay * (1 + factor)


@given(st.lists(delays, min_size=1, max_size=5), st.integers(1, 20))
def test_a_list_gives_each_retry_its_delay_and_the_last_repeats(listed: list[float], attempt: int) -> None:
    options = TaskOptions().replace(retries=20, retry_delay_seconds=listed)
    expected = listed[attempt - 1] if attempt <= len(listed) else listed[-1]
    assert delay_before(attempt, options, random.Random(0)) == expected


def test_a_function_of_the_retries_is_asked_again_when_the_retries_change() -> None:
    def doubling(retries: int) -> list[float]:
        return [2.0**retry for retry in range(retries)]

    options = TaskOptions().replace(retries=2, retry_delay_seconds=doubling)
    assert options.retry_delays == (1, 2)
    assert options.replace(retries=4).retry_delays == (1, 2, 4, 8)


def test_no_delay_is_none() -> None:
    assert delay_before(1, TaskOptions().replace(retries=1), random.Random(0)) == 0
    assert delay_before(1, TaskOptions().replace(retries=1, retry_delay_seconds=[]), random.Random(0)) == 0


def test_retries_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1; got 0"):
        delay_before(0, TaskOptions(), random.Random(0))
