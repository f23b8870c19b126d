"""What the actor library costs on asyncio, uvloop and trio, beside bare loops and other libraries: see README.md here.

Whatever is compared takes turns in this one process; each turn is a new loop, warmed up before the clock runs. Shown
are medians over the turns, and the ratio is the median of the ratios of each turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from measuring import floors, lives, messages, peers
from measuring.comparisons import ON_ASYNCIO, ON_THE_SAME_LOOP, Comparison, compare, on
from measuring.loops import LOOPS, run_on
from measuring.table import Row
from measuring.timers import lateness_in_a_drain
from measuring.turns import Spread, take_turns


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 15
    long_turns: int = 3
    """Of what takes seconds."""
    burst: int = 20_000
    passes: int = 10_000
    asks: int = 2_000
    spawns: int = 500
    children: int = 10_000
    drained: int = 1_000_000
    idle: int = 100_000


QUICK: Final = Sizes(
    turns=2, long_turns=1, burst=100, passes=100, asks=20, spawns=10, children=20, drained=5_000, idle=1_000
)


def beside_floors(sizes: Sizes) -> Iterator[Comparison]:
    yield Comparison(
        measure="tell in a burst, per message",
        subject=messages.tell_in_a_burst,
        against="asyncio.Queue (trio: of an asyncio loop)",
        floors=on(ON_ASYNCIO, floors.queue_burst),
        times=sizes.burst,
        budget=2.0,
    )
    yield Comparison(
        measure="ask, one after the other",
        subject=messages.ask_in_turn,
        against="a deque and a Future (trio: a deque and park/reschedule)",
        floors={**on(ON_ASYNCIO, floors.future_round_trips), **on({"trio": "trio"}, floors.park_round_trips)},
        times=sizes.asks,
        budget=3.0,
    )
    yield Comparison(
        measure="ask, one after the other",
        subject=messages.ask_in_turn,
        against="a deque and a Future of an asyncio loop",
        floors=on({"trio": "asyncio"}, floors.future_round_trips),
        times=sizes.asks,
    )
    yield Comparison(
        measure="spawn, stop, stopped, one after the other",
        subject=lives.spawn_and_stop,
        against="tg.start",
        floors=on(ON_THE_SAME_LOOP, floors.start_in_group),
        times=sizes.spawns,
        budget=3.0,
    )


def beside_peers(sizes: Sizes) -> Iterator[Comparison]:
    ask = partial(
        Comparison,
        measure="ask, one after the other",
        subject=messages.ask_in_turn,
        times=sizes.asks,
        budget=1.0,
    )
    yield ask(against="ask of pykka", floors=dict.fromkeys(LOOPS, peers.pykka_asks), peer="pykka")
    yield ask(
        against="a call of xoscar by message (trio: xoscar on asyncio)",
        floors=on(ON_ASYNCIO, peers.xoscar_messages),
        peer="xoscar",
    )
    yield ask(
        against="a call of xoscar in the caller's own task, its fastest (trio: xoscar on asyncio)",
        floors=on(ON_ASYNCIO, peers.xoscar_direct_calls),
        peer="xoscar",
    )


def to_and_fro(sizes: Sizes) -> Iterator[Row]:
    players = {loop: partial(run_on, loop, messages.pass_to_and_fro, sizes.passes) for loop in LOOPS}
    for loop, seconds in take_turns(players, sizes.turns).items():
        rates = [1 / each / 1000 for each in seconds]
        yield Row("two actors that tell each other, one message at a time", loop, "1000 msg/s", Spread.of(rates))


def lateness(sizes: Sizes) -> Iterator[Row]:
    drains = {loop: partial(run_on, loop, lateness_in_a_drain, sizes.drained) for loop in LOOPS}
    for loop, seconds in take_turns(drains, sizes.long_turns, warm_up=0).items():
        worst = Spread.of([late * 1e3 for late in seconds])
        yield Row(
            f"the latest timer, due every 10 ms, while an actor handles {sizes.drained:,} messages",
            loop, "ms", worst, budget=50.0, judged_by="highest",
        )  # fmt: skip


def teams(sizes: Sizes) -> Iterator[Row]:
    supervised = {loop: partial(run_on, loop, lives.supervise, sizes.children) for loop in LOOPS}
    taken = take_turns(supervised, sizes.long_turns, warm_up=0)
    children = f"{sizes.children:,} children of a supervisor"
    for loop, samples in taken.items():
        yield Row(f"start {children}", loop, "s", Spread.of([team.start for team in samples]))
    for loop, samples in taken.items():
        yield Row(
            f"stop {children} in order",
            loop, "s", Spread.of([team.stop for team in samples]), budget=3.0, judged_by="highest",
        )  # fmt: skip


def idle(sizes: Sizes) -> Iterator[Row]:
    for loop in LOOPS:
        grown = lives.growth_by_idle_actors(loop, sizes.idle)
        before, after = grown.before / 1e6, grown.after / 1e6
        each = (grown.after - grown.before) / sizes.idle
        yield Row(
            f"resident memory of each of {sizes.idle:,} idle actors",
            loop, "kB", Spread.of([each / 1000]), budget=8.0, judged_by="highest",
            note=f"= {each / 1024:.2f} KiB; the process grew from {before:.0f} to {after:.0f} MB",
        )  # fmt: skip


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    """The rows of one measure after the other, in the order in which they are to be measured."""
    for comparison in beside_floors(sizes):
        yield compare(comparison, sizes.turns)
    yield to_and_fro(sizes)
    yield lateness(sizes)
    yield teams(sizes)
    yield idle(sizes)
    # Last, because what they import stays, and makes this process a bigger one.
    for comparison in beside_peers(sizes):
        yield compare(comparison, sizes.turns)
