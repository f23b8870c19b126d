"""Slots in memory, and what holds of every order in which they are asked for and given back."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from actwright.journal.memory_slots import MemorySlots
from actwright.models.slots import Claim, Limit, LimitKind, Want

SLOTS = 3
NAMES = ("db", "api")

Step = tuple[str, int]
"""What is done, and a number that says to whom, or of what."""

steps = st.lists(
    st.tuples(st.sampled_from(["ask", "ask both", "ask inside", "leave", "give up"]), st.integers(0, 1_000)),
    max_size=60,
)


class World:
    """People who ask for slots, some from inside of what others hold."""

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        self.slots = MemorySlots()
        self.names = names
        self.open: dict[str, Future[None]] = {}
        self.around: dict[str, frozenset[str]] = {}
        self.order: list[str] = []
        self._ids = map(str, count())

    def do(self, step: Step) -> None:
        what, number = step
        inside = sorted(id for id, answer in self.open.items() if answer.done())
        leaves = [id for id in inside if not any(id in self.around[other] for other in self.open)]
        waiting = sorted(id for id, answer in self.open.items() if not answer.done())
        if what == "ask both":
            self.ask(dict.fromkeys(self.names, 1 + number % SLOTS))
        elif what == "ask" or (what == "ask inside" and not inside):
            self.ask({self.names[number % len(self.names)]: 1 + number // 2 % SLOTS})
        elif what == "ask inside":
            outer = inside[number % len(inside)]
            self.ask({self.names[0]: 1}, self.around[outer] | {outer})
        elif what == "leave" and leaves:
            self.leave(leaves[number % len(leaves)])
        elif what == "give up" and waiting:
            self.leave(waiting[number % len(waiting)], gives_up=True)
        self.see_that_limits_hold()

    def ask(self, wanted: dict[str, int], around: frozenset[str] = frozenset()) -> None:
        id = next(self._ids)
        wants = tuple(Want(Limit(LimitKind.NAME, name), occupy, SLOTS) for name, occupy in wanted.items())
        self.around[id] = around
        self.open[id] = self.slots.ask(Claim(id, wants, id, claims_around=around))
        self.open[id].add_done_callback(lambda _: self.order.append(id))

    def leave(self, id: str, *, gives_up: bool = False) -> None:
        del self.open[id]
        if gives_up:
            assert self.slots.give_up(id).result() is not None
        else:
            self.slots.free(id)

    def see_that_limits_hold(self) -> None:
        rows = self.slots.rows()
        for name in self.names:
            held = [row for row in rows if row.name == name and row.is_held]
            assert sum(row.occupy for row in held if row.lender is None) <= SLOTS
            for lender in held:
                lent = [row for row in held if row.lender == lender.claim_id]
                assert sum(row.occupy for row in lent) <= lender.occupy
        assert {row.claim_id for row in rows} == self.open.keys()  # who has left has left nothing


@given(steps)
def test_no_order_of_asking_leaving_and_giving_up_breaks_a_limit(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.do(step)


@given(steps)
def test_however_they_nest_in_one_limit_all_come_in_as_those_inside_leave(steps: list[Step]) -> None:
    world = World(("db",))
    for step in steps:
        world.do(step)
    while world.open:
        before = len(world.open)
        world.do(("leave", 0))
        assert len(world.open) < before, "all wait, and nobody is inside who could leave"


@given(steps)
def test_those_that_hold_nothing_come_in_in_the_order_in_which_they_asked(steps: list[Step]) -> None:
    world = World(("db",))
    for step in steps:
        if step[0] != "ask inside":
            world.do(step)
    assert world.order == sorted(world.order, key=int)


def test_a_run_whose_tags_have_no_limit_has_nothing_to_wait_for_and_leaves_no_row() -> None:
    slots = MemorySlots()
    tags = tuple(Want(Limit(LimitKind.TAG, tag)) for tag in ("web", "db"))
    assert not slots.may_be_limited(["web", "db"])
    assert slots.ask(Claim("a", tags, "a")).done()
    assert slots.rows() == []
    slots.set_tag_limit("db", 0)
    assert slots.may_be_limited(["web", "db"])
    waiting = slots.ask(Claim("b", tags, "b"))
    assert not waiting.done()
    assert [row.name for row in slots.rows()] == ["db"]
    assert slots.unset_tag_limit("db")
    assert waiting.done()
    assert not slots.unset_tag_limit("db")
