"""What is remembered for an object, by which object it is."""

from __future__ import annotations

import gc

from actwright.authoring.by_identity import ByIdentity


class Equal:
    """Equal to each of its kind, and unhashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]


def test_an_equal_object_is_another_one() -> None:
    known = ByIdentity[str]()
    one, other = Equal(), Equal()
    known.put(one, "one")
    assert known.get(one) == "one"
    assert known.get(other) is None
    known.put(other, "other")
    assert (known.get(one), known.get(other)) == ("one", "other")


def test_an_object_is_forgotten_with_its_last_user() -> None:
    known = ByIdentity[str]()
    item = Equal()
    known.put(item, "x")
    del item
    gc.collect()
    assert len(known) == 0


def test_a_reused_id_finds_nothing() -> None:
    known = ByIdentity[str]()
    for _ in range(1_000):
        item = Equal()
        assert known.get(item) is None
        known.put(item, "x")


def test_what_cannot_be_referred_to_weakly_is_not_remembered() -> None:
    known = ByIdentity[str]()
    known.put((), "x")
    assert known.get(()) is None
