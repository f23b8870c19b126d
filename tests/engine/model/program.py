"""What a history of runs is made of: a tree of flows and tasks with their scripts, and what is done to them.

Data alone. `drawing` draws it, `cast` makes flows and tasks of it, `stage` plays it. What prints is a program that can
be read, and pasted into an `@example`: fields that are as usual are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, TypeAlias, cast

__all__ = [
    "ACTOR_PATIENCE",
    "GRACE",
    "HOOK_ACTOR_PATIENCE",
    "HOOK_TIMEOUT",
    "MAX_DEATHS",
    "Action",
    "Advance",
    "Cancel",
    "CancelAll",
    "Close",
    "Crash",
    "Fail",
    "HookScript",
    "Kill",
    "KillInfrastructure",
    "Node",
    "Program",
    "Receive",
    "Release",
    "Send",
    "Sleep",
    "Stand",
    "Start",
    "Step",
    "Submit",
    "WaitForAll",
    "named",
]

GRACE: Final = 30.0
"""Seconds that a body which was told to stop may take."""
HOOK_TIMEOUT: Final = 300.0
"""Seconds that one try of a hook may take, where it sets no time of its own."""
HOOK_ACTOR_PATIENCE: Final = 5.0
"""Seconds for which a hook actor that was killed waits for an async hook that does not let itself be cancelled."""
ACTOR_PATIENCE: Final = 5.0
"""The same for a run's actor, and its body."""
MAX_DEATHS: Final = 4
"""Of one run's actors, and of each actor that serves runs: with more, an engine rightly gives up."""


class Terse:
    """Prints without the fields that have their defaults, the first one without its name."""

    def __repr__(self) -> str:
        shown: list[str] = []
        for number, one in enumerate(fields(cast("Any", self))):
            value = getattr(self, one.name)
            if one.repr and value != one.default:
                shown.append(f"{one.name}={value!r}" if number else repr(value))
        return f"{type(self).__name__}({', '.join(shown)})"


# What a body does


@dataclass(frozen=True, repr=False)
class Stand(Terse):
    """Wait at a gate until somebody opens it. An async body that is cancelled there leaves at once ("obeys"), stands
    at another gate first and then leaves ("finally"), goes on after that as if nothing were ("swallows"), or raises an
    error of its own ("raises"). A sync body cannot be cancelled."""

    when_cancelled: Literal["obeys", "finally", "swallows", "raises"] = "obeys"


@dataclass(frozen=True, repr=False)
class Sleep(Terse):
    """Wait on the runtime's clock; for a sync body, which cannot, it is nothing."""

    seconds: float = 2.0


@dataclass(frozen=True, repr=False)
class Start(Terse):
    """Start a run of another node. "call" and "join" wait for it, "submit" does not, "after" has it wait for those that
    were submitted before; a child that ended badly fails its caller if that `minds`."""

    node: Node
    how: Literal["call", "submit", "join", "after"] = "submit"
    minds: bool = False


@dataclass(frozen=True, repr=False)
class WaitForAll(Terse):
    """Wait for all runs that were submitted so far."""


@dataclass(frozen=True, repr=False)
class Fail(Terse):
    """End the body, in its first `times` attempts: by an error, by what cuts it short, or by returning a state."""

    how: Literal["raise", "exit", "interrupt", "forge", "Failed", "Crashed", "Cancelled", "Cancelling"] = "raise"
    times: int = 99


@dataclass(frozen=True, repr=False)
class Receive(Terse):
    """Take the next message that was sent to the run, waiting for it for so long; a sync body only looks."""

    seconds: float = 3.0


Step: TypeAlias = Stand | Sleep | Start | WaitForAll | Receive | Fail


@dataclass(frozen=True, repr=False)
class HookScript(Terse):
    """A hook. "once" raises when it is called for the first time, "stands" waits at a gate, "hangs" does so through any
    cancellation, "stands then raises" is both, "runs" calls a flow."""

    event: str
    does: Literal["returns", "raises", "exits", "once", "stands", "hangs", "stands then raises", "runs"] = "returns"
    is_async: bool = False
    wait: bool = True
    at_once: bool = False
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None


@dataclass(frozen=True, repr=False)
class Node(Terse):
    """A flow or a task: what its body does, one step after another, and its options.

    Attributes:
        returns: a value, or its children's futures, which then decide.
        condition: what its `retry_condition_fn` does; "none" for having none.
        name: its place in the tree: "r" is the root, "r0" its first child.
    """

    script: tuple[Step, ...] = ()
    kind: Literal["flow", "task"] = "flow"
    is_async: bool = True
    returns: Literal["value", "children"] = "value"
    retries: int = 0
    crash_retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None
    condition: Literal["none", "yes", "no", "raises"] = "none"
    hooks: tuple[HookScript, ...] = ()
    name: str = field(default="", compare=False, repr=False)

    def children(self) -> Iterator[Node]:
        return (step.node for step in self.script if isinstance(step, Start))

    def family(self) -> Iterator[Node]:
        """It and all below it."""
        yield self
        for child in self.children():
            yield from child.family()


def named(node: Node, name: str = "r") -> Node:
    """The same tree, each node with its name."""
    script: list[Step] = []
    for step in node.script:
        if isinstance(step, Start):
            number = sum(isinstance(before, Start) for before in script)
            step = replace(step, node=named(step.node, f"{name}{number}"))
        script.append(step)
    return replace(node, script=tuple(script), name=name)


# What is done from outside


@dataclass(frozen=True, repr=False)
class Release(Terse):
    """Open a gate at which somebody stands: the so-and-so-manieth, by name."""

    which: int = 0


@dataclass(frozen=True, repr=False)
class Advance(Terse):
    """Let time pass."""

    seconds: float = 1.0


@dataclass(frozen=True, repr=False)
class Cancel(Terse):
    """Cancel a run, as often: the so-and-so-manieth of those that go on, or of those that are final."""

    which: int = 0
    times: int = 1
    by: Literal["handle", "id"] = "handle"
    final: bool = False


@dataclass(frozen=True, repr=False)
class Send(Terse):
    """Send a message to a run: the so-and-so-manieth of those that go on, or of those that are final."""

    which: int = 0
    final: bool = False


@dataclass(frozen=True, repr=False)
class CancelAll(Terse):
    """Cancel all that goes on, and have the grace of their bodies pass."""


@dataclass(frozen=True, repr=False)
class Kill(Terse):
    """Kill a run's actor: the supervisor of runs is to notice, and to have the run brought to its end."""

    which: int = 0


@dataclass(frozen=True, repr=False)
class Crash(Terse):
    """Crash a run from outside, as a signal to the process does."""

    which: int = 0


@dataclass(frozen=True, repr=False)
class KillInfrastructure(Terse):
    """Kill the hook actor, or the supervisor of runs."""

    name: Literal["hooks", "runs"] = "hooks"


@dataclass(frozen=True, repr=False)
class Submit(Terse):
    """Start another run of the root."""


@dataclass(frozen=True, repr=False)
class Close(Terse):
    """Leave the Runtime: as it is left normally, by an exception, or by a cancellation."""

    how: Literal["normally", "by an exception", "cancelled"] = "normally"


Action: TypeAlias = Release | Advance | Cancel | Send | CancelAll | Kill | Crash | KillInfrastructure | Submit | Close


@dataclass(frozen=True, repr=False)
class Program(Terse):
    """A whole history: what runs, where, and what is done to it. In the end the Runtime is closed, every gate is
    opened, and time passes until nothing is due.

    Attributes:
        everywhere: the Runtime's own hooks, for flows and tasks alike.
        order: in which trio wakes tasks that can go on at the same time. asyncio's loops wake them as they came.
    """

    root: Node = Node()
    actions: tuple[Action, ...] = ()
    everywhere: tuple[HookScript, ...] = ()
    on_exit: Literal["drain", "cancel"] = "drain"
    worker_threads: int = 8
    hook_threads: int = 8
    order: int = 0
