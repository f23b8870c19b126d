"""What of many runs is drawn, while they go on."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from tests.journal.records import NOW, delivery_for, new_run

from actwright.control.trees import MOST_CALLED, live_tree, shown_and_rest
from actwright.journal.queries import FoundDelivery, FoundRun
from actwright.models.runs import FlowRun
from actwright.models.states import Completed, Failed, Running, State


def found(state: State[Any], name: str = "r", **fields: Any) -> FoundRun:
    return FoundRun(new_run(name=name, **fields).entered(state), "node-1")


def names(runs: list[FoundRun]) -> list[str]:
    return [each.run.name for each in runs]


def drawn(*args: Any, **options: Any) -> str:
    console = Console(width=200, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(live_tree(*args, **options))
    return captured.get()


def test_few_are_all_shown_in_their_order() -> None:
    runs = [found(Completed(), "a"), found(Running(), "b"), found(Failed(), "c")]
    shown, rest = shown_and_rest(runs, most=3)
    assert (names(shown), rest) == (["a", "b", "c"], {})


def test_of_many_those_that_go_on_come_first_then_the_failed_then_the_newest_and_the_rest_is_counted() -> None:
    runs = [found(Running(), "goes on"), found(Failed(), "failed"), *(found(Completed(), str(n)) for n in range(5))]
    shown, rest = shown_and_rest(runs, most=3)
    assert (names(shown), rest) == (["goes on", "failed", "4"], {"Completed": 4})
    shown, rest = shown_and_rest(runs, most=1)
    assert (names(shown), rest) == (["goes on"], {"Failed": 1, "Completed": 5})


def test_a_tree_has_hooks_attempts_and_what_each_run_called_below_it() -> None:
    root = found(Running(timestamp=NOW), "root")
    again = root.run.entered(Running(timestamp=NOW))
    child = found(Failed(timestamp=NOW), "child", parent_flow_run_id=root.run.id)
    grandchildren = [
        found(Completed(timestamp=NOW), f"leaf-{n}", parent_flow_run_id=child.run.id) for n in range(MOST_CALLED + 2)
    ]
    assert isinstance(child.run, FlowRun)
    hook = FoundDelivery(
        delivery_for(child.run).started(NOW).failed(NOW, "gone\nagain"), "node-1", "flow", "f", "child"
    )
    text = drawn(FoundRun(again, "node-1"), [child, *grandchildren], [hook], now=NOW, dead={"node-1"})
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0].startswith("root  Running, its process is dead  attempt 2  0 ms")
    assert lines[1].startswith("└── child  Failed")
    assert lines[2].startswith("    ├── on_end tell  FAILED  0 ms  gone\\nagain")
    assert sum("leaf-" in line for line in lines) == MOST_CALLED
    assert lines[-1] == "    └── ... and 2 Completed"


def test_a_thousand_calls_deep_is_no_depth_for_it() -> None:
    runs = [found(Running(timestamp=NOW), "r")]
    for _ in range(1_500):
        runs.append(found(Running(timestamp=NOW), "r", parent_flow_run_id=runs[-1].run.id))
    assert live_tree(runs[0], runs[1:], [], now=NOW) is not None
