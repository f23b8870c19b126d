"""How programs are drawn. The plainest comes first everywhere, since that is what a failure is shrunk to."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from tests.engine.model import program as do

from actwright.authoring.hooks import HOOK_EVENTS

__all__ = ["programs"]

DEPTH: Final = 3
EVENTS: Final = (*HOOK_EVENTS, "on_end", "on_end", "on_cancellation")
DELAYS: Final = (0.0, 1.0, 5.0)


def _often(usual: Any, *others: Any, times: int = 3) -> st.SearchStrategy[Any]:
    """The usual one, and now and then another."""
    return st.sampled_from([*([usual] * times * len(others)), *others])


stands = st.builds(do.Stand, _often("obeys", "finally", "swallows", "raises", times=1))
fails = st.builds(
    do.Fail,
    st.sampled_from([*["raise"] * 3, "exit", "forge", "interrupt", "Failed", "Crashed", "Cancelled", "Cancelling"]),
    st.sampled_from([1, 2, 99]),
)
sleeps = st.builds(do.Sleep, st.sampled_from([2.0, 10.0]))
others = st.one_of(
    stands, stands, stands, sleeps, st.builds(do.Receive, st.sampled_from([3.0, 30.0])), st.just(do.WaitForAll()), fails
)


def hooks() -> st.SearchStrategy[do.HookScript]:
    return st.sampled_from(EVENTS).flatmap(
        lambda event: st.builds(
            do.HookScript,
            st.just(event),
            _often(
                "returns", "raises", "exits", "once", "stands", "stands", "hangs", "stands then raises", "runs", times=1
            ),
            is_async=st.booleans(),
            wait=_often(True, False),
            at_once=_often(False, True, times=1) if event == "on_cancellation" else st.just(False),
            retries=_often(0, 1, 2, times=2),
            retry_delay_seconds=_often(0.0, 2.0, times=1),
            timeout_seconds=_often(None, 3.0),
        )
    )


def starts(depth: int) -> st.SearchStrategy[do.Start]:
    how = st.sampled_from(["submit", "call", "join", "after", "submit", "call"])
    return st.builds(do.Start, nodes(depth), how, st.booleans())


def scripts(depth: int) -> st.SearchStrategy[tuple[do.Step, ...]]:
    steps = st.one_of(others, starts(depth - 1), starts(depth - 1)) if depth else others
    return st.lists(steps, max_size=4).map(tuple)


def nodes(depth: int, kind: str | None = None) -> st.SearchStrategy[do.Node]:
    return st.builds(
        do.Node,
        scripts(depth),
        kind=st.just(kind) if kind else st.sampled_from(["task", "flow", "task"]),
        is_async=_often(True, False, times=2),
        returns=_often("value", "children"),
        retries=_often(0, 1, 2, times=1),
        crash_retries=_often(0, 1, times=2),
        retry_delay_seconds=st.sampled_from(DELAYS),
        timeout_seconds=_often(None, 3.0, 20.0, times=2),
        condition=_often("none", "yes", "no", "raises"),
        hooks=st.lists(hooks(), max_size=5).map(tuple),
    )


which = st.integers(0, 7)
actions = st.one_of(
    *[st.builds(do.Release, which)] * 6,
    *[st.builds(do.Advance, st.sampled_from([1.0, 3.0, 5.0, 30.0, 400.0]))] * 3,
    *[st.builds(do.Cancel, which, _often(1, 2), st.sampled_from(["handle", "id"]))] * 3,
    st.builds(do.Cancel, which, st.just(1), st.sampled_from(["handle", "id"]), final=st.just(True)),
    *[st.builds(do.Send, which)] * 2,
    st.builds(do.Send, which, final=st.just(True)),
    st.just(do.CancelAll()),
    st.builds(do.Kill, which),
    st.builds(do.Crash, which),
    st.builds(do.KillInfrastructure, st.sampled_from(["hooks", "runs"])),
    st.just(do.Submit()),
    st.builds(do.Close, st.sampled_from(["normally", "by an exception", "cancelled"])),
)

programs = st.builds(
    do.Program,
    nodes(DEPTH, "flow").map(do.named),
    st.lists(actions, max_size=25).map(tuple)
    | st.lists(actions, max_size=8).map(lambda drawn: (*drawn, do.CancelAll())),
    everywhere=st.just(()) | st.lists(hooks(), max_size=2).map(tuple),
    on_exit=_often("drain", "cancel"),
    worker_threads=_often(8, 1, 2),
    hook_threads=_often(8, 1, 2),
    order=st.integers(0, 1000),
)
