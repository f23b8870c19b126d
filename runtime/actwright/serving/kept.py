"""The actor that keeps one flow running: its supervisor starts it again when the flow ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actwright.authoring.futures import wait
from actwright.exceptions import ServiceFailed
from actwright_actors import Actor

if TYPE_CHECKING:
    from actwright.authoring.flows import Flow
    from actwright.authoring.futures import Handle
    from actwright.engine.runtime import Runtime
    from actwright_actors import ExitReason

__all__ = ["Ended", "KeptFlow"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended."""


class KeptFlow(Actor[Ended]):
    """One run of a flow. It ends as that does: by a crash where the flow failed or crashed."""

    def __init__(self, runtime: Runtime, flow: Flow[[], Any]) -> None:
        self._runtime = runtime
        self._flow = flow
        self._handle: Handle[Any] | None = None

    async def on_start(self) -> None:
        self._handle = self._runtime.submit(self._flow)
        self.context.start_soon(self._wait_for, self._handle)

    async def _wait_for(self, handle: Handle[Any]) -> None:
        await wait([handle])
        self.context.ref.tell(Ended())

    async def handle(self, message: Ended) -> None:
        assert self._handle is not None
        state = self._handle.state
        if state.is_failed() or state.is_crashed():
            raise ServiceFailed(f"{self._handle.run.title} ended {state}") from state.cause
        self.context.ref.stop()

    async def on_stop(self, reason: ExitReason) -> None:
        """Cancel it; its Runtime waits for its end."""
        if self._handle is not None and not self._handle.done() and not self._handle.state.is_final():
            self._handle.cancel("its service is stopping.")
