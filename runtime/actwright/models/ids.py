"""Ids of runs, states and deliveries: UUIDs of version 4."""

from __future__ import annotations

import os
import random
from uuid import UUID

__all__ = ["new_id"]

# Seeded by the operating system, once, and anew in a forked child. `uuid4` asks it for each id, and lets go of the GIL
# meanwhile: beside the journal's writer, which then has it for up to 5 ms, an id was a tenth of what a run costs.
# It is a generator of its own, since programs seed the one of the module.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> UUID:
    """An id that no process has had before. Nobody should be kept from anything by not knowing it."""
    return UUID(int=_random.getrandbits(128), version=4)
