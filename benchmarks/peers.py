"""What a run costs beside other libraries that run work: Prefect, DBOS, Dask, Ray. See README.md here.

Each library is a program in a process of its own, Actwright too: started once, warmed up, then asked for one round at a
time, in turns; or, where its start is what is measured, started for each round. Shown are medians over the rounds, and
the ratio is the median of the ratios of each round. A library that is not installed, or does not run here, has rows
that say so. `python benchmarks peers` measures all of it; `python benchmarks/peers.py` has options of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from measuring.comparisons import UNITS
from measuring.peer_comparisons import OUR_IMPORT, OUR_SCRIPT, PEERS, WORKS, Ours, Peer, Until
from measuring.peer_processes import Failed, Program, Seconds, Starts, running, versions_in
from measuring.table import Row, document, machine, show, write_json
from measuring.turns import Spread, ratio, take_turns

PYTHON_BESIDE: Final = Path(__file__).resolve().parent.parent / ".venv-peers" / "bin" / "python"
PYTHON_NAMED_BY: Final = "BENCH_PEERS_PYTHON"
PACKAGES: Final = tuple(dict.fromkeys(peer.package for peer in PEERS))
Taken = dict[str, list[Seconds]]
"""What one repetition of a work took, by side and round."""

ADVICE: Final = "{} is not installed: pip install -e '.[bench-peers]', or see benchmarks/README.md"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it in a round."""

    turns: int = 9
    """Rounds of each."""
    warm_up: int = 1
    tasks: int = 100
    flows: int = 20
    starts: int = 3
    """How often each program is started. The warm-up writes the bytecode."""


QUICK: Final = Sizes(turns=1, warm_up=0, tasks=3, flows=2, starts=1)


class Side:
    """A library: a program, which stays from its first round on, and programs whose start and exit are a round.

    While such a one runs, the one that stays does not. Closed, it is ended.
    """

    def __init__(self, python: Path, program: str, starts: Starts) -> None:
        self._stack = ExitStack()
        self._start = partial(running, python, program, *starts.arguments, settings=starts.settings)
        self._starts = starts
        self._program: Program | None = None

    def round_of(self, work: str, count: int) -> Seconds:
        """Have it make a round, and wait for that.

        Raises:
            Failed: it did not; the message is what it said last.
        """
        if WORKS[work].size == "starts":
            self.close()
            return self._starts.round_of(work, count)
        if self._program is None:
            self._program = self._stack.enter_context(self._start())
        return self._program.round_of(work, count)

    def close(self) -> None:
        """End what runs. Blocks until it is gone."""
        self._program = None
        self._stack.close()


def our_side(ours: Ours) -> Side:
    """Actwright, with its history as a peer has it."""
    program, python = "actwright_runs", Path(sys.executable)
    return Side(python, program, Starts(program, python, OUR_IMPORT, OUR_SCRIPT, settings=ours.settings))


def side_of(peer: Peer, python: Path) -> Side:
    """A peer, in that Python."""
    starts = Starts(peer.program, python, peer.works.get("import", ""), peer.script, peer.arguments)
    return Side(python, peer.program, starts)


def python_of_peers() -> Path:
    """The one that the environment names; without that, the one of `.venv-peers` where there is one, and else ours."""
    named = os.environ.get(PYTHON_NAMED_BY)
    if named:
        return Path(named)
    return PYTHON_BESIDE if PYTHON_BESIDE.exists() else Path(sys.executable)


def measures(sizes: Sizes, python: Path | None = None, packages: Collection[str] = PACKAGES) -> Iterator[Iterable[Row]]:
    """The rows of one peer after the other, of those packages; each is measured while its rows are taken.

    The peers are those that `python` has installed; by default, it is `python_of_peers`.
    """
    python = python or python_of_peers()
    versions = versions_in(python, PACKAGES)
    with ExitStack() as stack:
        own: dict[Ours, Side] = {}

        @cache
        def alone(work: str, ours: Ours) -> Taken:
            """What it takes without a peer is the same beside each that is missing: it is measured once."""
            return _take_turns(work, {"ours": own[ours]}, sizes)

        for peer in (each for each in PEERS if each.package in packages):
            if peer.ours not in own:
                own[peer.ours] = stack.enter_context(closing(our_side(peer.ours)))
            yield _beside(peer, own[peer.ours], python, versions.get(peer.package), sizes, alone)


def _beside(
    peer: Peer, ours: Side, python: Path, version: str | None, sizes: Sizes, alone: Callable[[str, Ours], Taken]
) -> Iterator[Row]:
    """Rows of Actwright and that peer; from where that fails, of Actwright alone, and why."""
    why = "" if version is not None else ADVICE.format(peer.package)
    with closing(side_of(peer, python)) as theirs:
        for work in peer.works:
            taken: Taken = {}
            try:
                if not why:
                    taken = _take_turns(work, {"ours": ours, "theirs": theirs}, sizes)
            except Failed as failure:
                if failure.program != peer.program:
                    raise  # Actwright's own
                why = f"{peer.named(version or '')} does not run here: {failure}"
            yield from _rows(peer, work, peer.named(version or ""), taken or alone(work, peer.ours), why)


def _take_turns(work: str, sides: Mapping[str, Side], sizes: Sizes) -> Taken:
    """What one repetition took, by side and round."""
    of = WORKS[work].size
    count = {"tasks": sizes.tasks, "flows": sizes.flows, "starts": 1}[of]
    contestants = {name: partial(each.round_of, work, count) for name, each in sides.items()}
    taken = take_turns(contestants, sizes.starts if of == "starts" else sizes.turns, warm_up=sizes.warm_up)
    return {
        name: [Seconds(each.awaited / count, each.settled / count) for each in rounds] for name, rounds in taken.items()
    }


def _rows(peer: Peer, work: str, named: str, taken: Taken, why: str) -> Iterator[Row]:
    """One for each moment at which a round may be said to be over."""
    unit = "ms" if WORKS[work].size == "starts" else "us"
    terms = "" if work == "import" else f"Actwright: {peer.ours.words}; {peer.title}: {peer.keeps}"
    for until, words in peer.until_of(work).items():
        ours, *theirs = (_samples(rounds, until, unit) for rounds in taken.values())
        row = Row(
            WORKS[work].measure + words,
            WORKS[work].loop,
            unit,
            Spread.of(ours),
            against=f"{named}: {peer.works[work]}",
            note=why or terms,
        )
        yield replace(row, floor=Spread.of(theirs[0]), ratio=ratio(ours, theirs[0])) if theirs else row


def _samples(rounds: Iterable[Seconds], until: Until, unit: str) -> list[float]:
    return [UNITS[unit](each.awaited if until == "awaited" else each.settled) for each in rounds]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a run costs beside other libraries.")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--peers-python", type=Path, metavar="PATH", help="the Python that has the other libraries")
    parser.add_argument("--only", nargs="+", choices=PACKAGES, default=PACKAGES, help="measure beside these alone")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    print("Peers: medians of rounds.", *(f"{name} {is_}" for name, is_ in machine().items()), sep="  ")
    rows: list[Row] = []
    for measured in measures(sizes, options.peers_python, options.only):
        for row in measured:
            show([row])
            rows.append(row)
        if options.json is not None:  # after each peer, so that one that hangs takes no other's figures with it
            write_json(options.json, document({"peers": rows}, quick=options.quick, sizes={"peers": asdict(sizes)}))


if __name__ == "__main__":
    main()
