"""`Runtime`: the scope in which runs live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, overload

from actwright.authoring.accepted import Accepted
from actwright.authoring.flows import Flow
from actwright.authoring.futures import Handle
from actwright.engine.ambient import enter, leave
from actwright.engine.host import Host
from actwright.engine.launch import launch, usual_place
from actwright.engine.options import RuntimeKeywords, RuntimeOptions
from actwright.exceptions import RuntimeClosed
from actwright_actors.backends import protect_from_keyboard_interrupt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from types import TracebackType
    from uuid import UUID

    from actwright.authoring.entry import Call
    from actwright.engine.load import Load
    from actwright.journal.protocol import Journal

__all__ = ["Runtime", "RuntimeKeywords"]

P = ParamSpec("P")
T = TypeVar("T")


class Runtime:
    """Where runs live: `async with Runtime() as runtime`.

    Inside the block, and in everything on the same event loop, `await my_flow()`, `run_flow` and `submit` use it.
    Leaving the block normally drains: new runs are refused, those that go on have `drain_seconds`, and are then
    cancelled; with `on_exit="cancel"` they are cancelled at once, as when an exception or a cancellation leaves the
    block. Either way every run comes to its final state and its hooks run before the block is left, through any number
    of cancellations of the task that leaves it. It installs no signal handler. It is used once.

    Args:
        **options: what is not given comes from the settings. `RuntimeOptions` says what each means.

    Raises:
        TypeError, ValueError: an option that cannot be.
    """

    def __init__(self, **options: Unpack[RuntimeKeywords]) -> None:
        self._host = Host(RuntimeOptions.of(options))
        self._before: Host | None = None

    async def __aenter__(self) -> Self:
        if self._host.status != "new":
            raise RuntimeClosed(f"This Runtime is {self._host.status}, and a Runtime is used once. Make another.")
        protect_from_keyboard_interrupt(Runtime.__aenter__, Runtime.__aexit__)  # half opened, nobody would close it
        await self._host.__aenter__()
        self._before = enter(self._host)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self._host.__aexit__(exc_type, exc, tb)
        finally:
            leave(self._host, self._before)

    @property
    def journal(self) -> Journal:
        """The history of its runs."""
        return self._host.journal

    @property
    def cut_short(self) -> int:
        """How many runs did not end by themselves: leaving the block had to cancel them, or left them behind past every
        grace, or a hook of theirs. What these called is not counted, and neither is what others have cancelled."""
        return len(self._host.cut_short)

    @overload
    def submit(self, flow: Flow[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self, flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    def submit(self, flow: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start a run of a flow and return at once; it outlives the task that asked. In any thread.

        Args:
            flow: what to run.
            *args, **kwargs: the function's own.

        Raises:
            TypeError: not a flow.
            ParameterBindError: the arguments do not fit; no run exists.
            RuntimeClosed: it is not open, or draining.
        """
        if not isinstance(flow, Flow):
            raise TypeError(
                f"runtime.submit expects a flow; got {flow!r}. Put @flow above the function; a task is submitted "
                "itself, with my_task.submit(...)."
            )
        call = flow.prepare(args, kwargs)
        return Handle(launch(self._host, call, usual_place(call)))

    def load(self) -> Load:
        """How much it has to do, and how much it has done. In any thread."""
        return self._host.tally.load()

    def begin(self, call: Call) -> Handle[Any]:
        """Start a run that was prepared elsewhere, as `submit` does: one that was submitted, and claimed by this
        process."""
        return Handle(launch(self._host, call, usual_place(call)))

    def cancel(self, run_id: UUID, reason: str | None = None) -> Awaitable[None]:
        """Cancel a run by its id, of a flow or a task; as `Handle.cancel` does, awaited or blocking.

        Raises:
            RunIsFinal: it has ended; the message names its state.
            RunError: there is no such run here.
        """
        return Accepted.of(self._host.request_cancel(run_id, reason), self._host.thread_id)
