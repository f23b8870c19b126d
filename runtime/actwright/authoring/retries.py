"""How long to wait before an attempt is made again. Pure: the dice are passed in."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actwright.authoring.options import RunOptions

__all__ = ["delay_before"]


def delay_before(attempt: int, options: RunOptions, rng: random.Random) -> float:
    """Seconds to wait before retry number `attempt`, counted from 1.

    The delays of `retry_delay_seconds` in order; the last one repeats, as in Prefect. With `retry_jitter_factor=f`
    a delay of d seconds becomes one drawn evenly from d to d * (1 + f): never less than what was asked for.
    """
    if attempt < 1:
        raise ValueError(f"Retries are counted from 1; got {attempt}.")
    delays = options.retry_delays
    delay = delays[min(attempt, len(delays)) - 1] if delays else 0.0
    return rng.uniform(delay, delay * (1 + options.retry_jitter_factor))
