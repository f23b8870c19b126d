"""Ids of runs, states and deliveries."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from uuid import RFC_4122, UUID

import pytest

from actwright.models import ids
from actwright.models.ids import BLOCK_SIZE, new_id


def test_an_id_is_a_uuid_of_version_8() -> None:
    assert {(id.version, id.variant) for id in (new_id() for _ in range(1_000))} == {(8, RFC_4122)}


def test_as_text_the_ids_of_a_block_lie_together_in_their_order() -> None:
    """What an index is spared: as many neighbours in a row as a block has, whatever else begins elsewhere."""
    made = [str(new_id()) for _ in range(2 * BLOCK_SIZE)]
    starts = [id[:5] for id in made]
    assert len(set(starts)) in (2, 3)
    first = [id for id in made if id.startswith(starts[0])]
    assert first == sorted(first) == made[: len(first)]


def test_within_a_block_each_id_is_told_by_its_first_eight_digits() -> None:
    made = [str(new_id()) for _ in range(2 * BLOCK_SIZE)]
    block = [id for id in made if id[:5] == made[BLOCK_SIZE][:5]]  # the one in the middle is whole
    assert (len(block), len({id[:8] for id in block})) == (BLOCK_SIZE, BLOCK_SIZE)


def test_a_program_that_seeds_the_random_module_gets_no_id_twice() -> None:
    random.seed(1)
    first = new_id()
    random.seed(1)
    assert new_id() != first


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reads, writes = os.pipe()
    yield reads, writes
    os.close(reads)
    os.close(writes)


def told_by_the_child(pipe: tuple[int, int], child: int, made: UUID) -> UUID:
    """What the child has made; 0 is itself, as `fork` has it."""
    reads, writes = pipe
    if not child:
        os.write(writes, made.bytes)
        os._exit(0)
    os.waitpid(child, 0)
    return UUID(bytes=os.read(reads, 16))


@pytest.mark.parametrize("fork", [os.fork, ctypes.PyDLL(None).fork], ids=["by Python", "by C, which calls no hook"])
def test_a_forked_child_begins_a_block_of_its_own(pipe: tuple[int, int], fork: Callable[[], int]) -> None:
    new_id()
    child = fork()
    ours = new_id()
    assert str(told_by_the_child(pipe, child, ours))[:5] != str(ours)[:5]


def test_a_child_that_was_forked_while_an_id_was_made_gets_another_one(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[int] = []

    def fork_at_the_number() -> Iterator[int]:
        children.append(os.fork())
        yield 7

    new_id()
    monkeypatch.setattr(ids, "_numbers", fork_at_the_number())
    ours = new_id()
    assert told_by_the_child(pipe, children[0], ours) != ours


def test_threads_that_ask_at_once_get_different_ids() -> None:
    seen: list[UUID] = []
    threads = [threading.Thread(target=lambda: seen.extend([new_id() for _ in range(5_000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == len(seen) == 20_000


def test_the_first_ids_of_programs_are_told_apart_by_the_digits_that_count_as_well() -> None:
    program = "from actwright.models.ids import new_id; print(new_id())"
    made = [subprocess.check_output([sys.executable, "-c", program], text=True) for _ in range(3)]
    assert len({id[5:8] for id in made}) > 1
