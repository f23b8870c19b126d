"""Ids of runs, states and deliveries: UUIDs that lie close together, block by block.

An index of random ids is written all over: each new one changes a page of its own, in every index that holds it, and
in a large journal that page has to be read first. So the ids of one process come in blocks. All of a block have their
first 20 bits in common, and count up in the next ten: a batch of runs changes one page of each index, not one a row.
The sixth to eighth digits still tell apart what stands side by side, so that the start of an id names a run for people
as well as that of a random one does; the start of UUIDv7, which has the same aim, is the same for a minute.
"""

from __future__ import annotations

import os
import random
from itertools import count
from typing import Final
from uuid import UUID

__all__ = ["BLOCK_SIZE", "new_id", "telling_digits"]

BLOCK_SIZE: Final = 1 << 10
"""How many ids of a process begin alike."""

_START_BITS: Final = 20
_NUMBER_BITS: Final = BLOCK_SIZE.bit_length() - 1
_NUMBER_SHIFT: Final = 128 - _START_BITS - _NUMBER_BITS
_FORM: Final = (8 << 76) | (0b10 << 62)  # version 8 of RFC 9562: "custom"; and that RFC's variant
_RANDOM_BITS: Final = ((1 << _NUMBER_SHIFT) - 1) ^ (0xF << 76) ^ (0b11 << 62)

# Seeded by the operating system, once in each process. `uuid4` asks it for each id, and lets go of the GIL meanwhile:
# beside the journal's writer, which then has it for up to 5 ms, an id was a tenth of what a run costs.
# It is a generator of its own, since programs seed the one of the module.
_random = random.Random()
_numbers = count()  # `next` of it is safe among threads; that two of them may begin a block each does no harm
_block = 0
_pid = 0


def new_id() -> UUID:
    """An id that no process has had before. Nobody should be kept from anything by not knowing it."""
    global _block
    if os.getpid() != _pid:  # at first, and where somebody has forked in C, past the hooks of Python
        _begin()
    number = next(_numbers) % BLOCK_SIZE
    if number == 0:
        _block = _new_block()
    return UUID(int=_block | number << _NUMBER_SHIFT | _random.getrandbits(_NUMBER_SHIFT) & _RANDOM_BITS | _FORM)


def telling_digits(id: UUID) -> str:
    """Three digits by which people tell an id from its neighbours: those after what all of its block begin with."""
    return str(id)[5:8]


def _begin() -> None:
    """Somewhere in a block: else the first id of each program, which is all that many have, would be number 0."""
    global _block, _numbers, _pid
    _random.seed()
    _block = _new_block()
    _numbers = count(_random.getrandbits(_NUMBER_BITS))
    _pid = os.getpid()


def _new_block() -> int:
    return _random.getrandbits(_START_BITS) << 128 - _START_BITS


# A fork of Python's own may come in the middle of `new_id`, in a signal handler, after that has looked at the process.
os.register_at_fork(after_in_child=_begin)
