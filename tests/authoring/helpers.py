"""An engine that only writes down what it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actwright.authoring.entry import Call

if TYPE_CHECKING:
    from actwright.authoring.futures import Handle


class FakeEngine:
    """An `EngineEntry`: `calls` holds (how, call) in order. A call gives its body's result, a submit its call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Call]] = []

    def call(self, call: Call) -> Any:
        self.calls.append(("call", call))
        return self._body(call)

    async def call_async(self, call: Call) -> Any:
        self.calls.append(("call_async", call))
        return await self._body(call)

    def submit(self, call: Call) -> Handle[Any]:
        self.calls.append(("submit", call))
        return cast("Handle[Any]", call)

    @property
    def last(self) -> Call:
        return self.calls[-1][1]

    @staticmethod
    def _body(call: Call) -> Any:
        args, kwargs = call.subject.parameters.call_args(call.parameters)
        return call.subject.fn(*args, **kwargs)
