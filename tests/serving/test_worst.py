"""The largest of what was measured lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actwright.serving.worst import Worst

SECONDS = 10.0
STEPS = st.lists(st.tuples(st.floats(0, 6), st.floats(0, 100)), max_size=50)


@given(STEPS)
def test_it_is_the_largest_of_what_was_noted_in_that_time_and_0_if_nothing_was(
    steps: list[tuple[float, float]],
) -> None:
    worst, now, noted = Worst(SECONDS), 0.0, list[tuple[float, float]]()
    for pause, value in steps:
        now += pause
        worst.note(value, now)
        noted.append((now, value))
        assert worst.at(now) == max(value for at, value in noted if at > now - SECONDS)
    assert worst.at(now + 2 * SECONDS) == 0.0
