"""Who gets the next slots: decided on rows alone."""

from __future__ import annotations

from collections.abc import Mapping

from actwright.models.slots import Claim, Limit, LimitKind, SlotRow, Want, grants, in_the_way, refusal


class Queue:
    """Claims in the order in which they were asked for. Slots of a name are given by who asks; "t..." is a tag."""

    def __init__(self, **tag_limits: int) -> None:
        self.rows: list[SlotRow] = []
        self.claims: dict[str, Claim] = {}
        self.tag_limits = tag_limits

    def ask(
        self,
        id: str,
        wanted: Mapping[str, int],
        *,
        slots: int = 1,
        within: str = "",
        of_run: str = "",
        in_run: str = "",
    ) -> None:
        wants = tuple(
            Want(Limit(LimitKind.TAG, name), occupy) if name.startswith("t") else
            Want(Limit(LimitKind.NAME, name), occupy, slots)
            for name, occupy in wanted.items()
        )  # fmt: skip
        claim = Claim(id, wants, id, of_run or None, frozenset(in_run.split()), frozenset(within.split()))
        self.claims[id] = claim
        for want in wants:
            about = want.limit.kind, want.limit.name, want.occupy, want.slots, claim.run_id, id
            self.rows.append(SlotRow(len(self.rows), id, "node", *about, asked_at="noon"))

    def let_in(self) -> list[str]:
        """Who comes in now."""
        found = grants(self.claims, self.rows, self.tag_limits)
        lenders = {grant.claim.id: grant.lenders for grant in found}
        self.rows = [
            row._replace(held_since="noon", lender=lenders[row.claim_id].get(row.limit))
            if row.claim_id in lenders
            else row
            for row in self.rows
        ]
        return [grant.claim.id for grant in found]

    def leave(self, id: str) -> list[str]:
        self.rows = [row for row in self.rows if row.claim_id != id]
        return self.let_in()


def test_as_many_come_in_as_there_are_slots_and_each_that_leaves_lets_the_next_one_in() -> None:
    queue = Queue()
    for id in "abcd":
        queue.ask(id, {"db": 1}, slots=2)
    assert queue.let_in() == ["a", "b"]
    assert queue.let_in() == []
    assert queue.leave("b") == ["c"]
    assert queue.leave("d") == []
    assert queue.leave("a") == []


def test_one_that_wants_many_slots_is_not_overtaken_by_those_that_want_few() -> None:
    queue = Queue()
    queue.ask("a", {"db": 1}, slots=3)
    queue.ask("large", {"db": 3}, slots=3)
    queue.ask("b", {"db": 1}, slots=3)
    assert queue.let_in() == ["a"]
    assert queue.leave("a") == ["large"]
    assert queue.leave("large") == ["b"]


def test_slots_of_several_limits_are_had_at_once_or_not_at_all() -> None:
    queue = Queue()
    queue.ask("a", {"db": 1})
    queue.ask("both", {"db": 1, "api": 1})
    queue.ask("b", {"api": 1})
    assert queue.let_in() == ["a"]  # `both` keeps its place in each queue
    assert queue.leave("a") == ["both"]
    assert queue.leave("both") == ["b"]


def test_each_is_let_in_by_the_limit_that_it_gives_itself() -> None:
    queue = Queue()
    queue.ask("a", {"db": 1}, slots=1)
    queue.ask("wide", {"db": 1}, slots=2)
    queue.ask("narrow", {"db": 1}, slots=1)
    assert queue.let_in() == ["a", "wide"]
    assert queue.leave("a") == []
    assert queue.leave("wide") == ["narrow"]


def test_a_limit_that_lets_nobody_in_keeps_nobody_from_another_one() -> None:
    queue = Queue(t1=0, t2=1)
    queue.ask("a", {"t1": 1, "t2": 1})
    queue.ask("b", {"t2": 1})
    assert queue.let_in() == ["b"]
    queue.tag_limits["t1"] = 1
    assert queue.let_in() == []
    assert queue.leave("b") == ["a"]


def test_a_tag_whose_limit_is_kept_no_longer_lets_all_in() -> None:
    queue = Queue(t=0)
    queue.ask("a", {"t": 1})
    queue.ask("b", {"t": 1})
    assert queue.let_in() == []
    del queue.tag_limits["t"]
    assert queue.let_in() == ["a", "b"]


def test_a_block_lends_its_slot_to_one_inside_of_it_at_a_time() -> None:
    queue = Queue()
    queue.ask("outer", {"db": 1})
    queue.ask("other", {"db": 1})
    queue.ask("first", {"db": 1}, within="outer")
    queue.ask("second", {"db": 1}, within="outer")
    queue.ask("innermost", {"db": 1}, within="outer first")
    assert queue.let_in() == ["outer", "first", "innermost"]
    assert queue.leave("innermost") == []
    assert queue.leave("first") == ["second"]
    assert queue.leave("second") == []
    assert queue.leave("outer") == ["other"]


def test_those_inside_take_free_slots_of_their_own_beside_the_one_that_is_lent() -> None:
    queue = Queue()
    queue.ask("outer", {"db": 1}, slots=2)
    for id in "abc":
        queue.ask(id, {"db": 1}, slots=2, within="outer")
    assert queue.let_in() == ["outer", "a", "b"]


def test_a_run_lends_its_slots_of_tags_to_the_runs_that_it_calls() -> None:
    queue = Queue(t=1)
    queue.ask("parent", {"t": 1}, of_run="1")
    queue.ask("child", {"t": 1}, of_run="2", in_run="1")
    queue.ask("stranger", {"t": 1}, of_run="3")
    assert queue.let_in() == ["parent", "child"]


def test_who_holds_something_does_not_queue_behind_those_who_may_wait_for_just_that() -> None:
    queue = Queue()
    queue.ask("outer", {"db": 1})
    queue.ask("both", {"api": 1, "db": 1})  # waits for `outer`
    queue.ask("inner", {"api": 1}, within="outer")
    assert queue.let_in() == ["outer", "inner"]


def test_what_waits_in_another_process_keeps_its_place() -> None:
    queue = Queue()
    queue.ask("theirs", {"db": 1})
    queue.ask("ours", {"db": 1})
    del queue.claims["theirs"]
    assert queue.let_in() == []
    assert [row.title for row in in_the_way("ours", queue.rows)] == ["theirs"]


def test_an_inner_block_that_wants_more_than_the_outer_one_has_is_refused() -> None:
    queue = Queue()
    queue.ask("outer", {"db": 1}, slots=2)
    queue.let_in()
    queue.ask("inner", {"db": 2}, slots=2, within="outer")
    assert refusal(queue.claims["inner"], queue.rows) == (
        "inner asks for 2 slots of 'db', inside of a block that holds 1: they could wait for each other for ever. "
        "Take 2 in the outer block."
    )
    queue.ask("apart", {"db": 2}, slots=2)
    assert refusal(queue.claims["apart"], queue.rows) is None
