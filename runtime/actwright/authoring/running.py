"""`run_flow`: run a flow from async code, whether its body is sync or async."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, ParamSpec, TypeVar, overload

from actwright.authoring.entry import engine, load_engine
from actwright.authoring.flows import Flow
from actwright.models.states import State

__all__ = ["run_flow"]

P = ParamSpec("P")
T = TypeVar("T")


@overload
async def run_flow(
    flow: Flow[..., Coroutine[Any, Any, T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
) -> State[T]: ...
@overload
async def run_flow(flow: Flow[..., T], /, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[T]: ...
@overload
async def run_flow(flow: Flow[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
@overload
async def run_flow(flow: Flow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
async def run_flow(flow: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run a flow and wait for what its body returns.

    A sync body runs in a worker thread, so the event loop stays free. It uses the Runtime around it, or opens one for
    this call. It returns once the run is final and its hooks, but those with `wait=False`, are done. Cancelling the
    caller (a cancel scope, `asyncio.wait_for`, `task.cancel()`) cancels the run: this waits until that is Cancelled and
    its hooks are done, and then lets the cancellation go on.

    Args:
        flow: what to run.
        *args, **kwargs: the function's own.
        return_state: give the final state instead, and raise nothing for a run that did not complete.

    Raises:
        TypeError: not a flow.
        ParameterBindError: the arguments do not fit; no run exists.
        BaseException: what ended the run, as `State.result` has it.
    """
    if not isinstance(flow, Flow):
        raise TypeError(
            f"run_flow expects a flow; got {flow!r}. Put @flow above the function; a task is awaited itself."
        )
    return await engine().call_async(flow.prepare(args, kwargs))


load_engine()  # with this module, at import: to load it at the first call would hold the event loop for as long
