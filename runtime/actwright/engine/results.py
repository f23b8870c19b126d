"""What of a run's result history keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actwright.models.values_at_rest import result_at_rest

if TYPE_CHECKING:
    from actwright.engine.live_run import LiveRun
    from actwright.models.states import State

__all__ = ["result_to_keep"]


_NONE: Final = result_at_rest(None)


def result_to_keep(run: LiveRun, state: State[Any]) -> str | None:
    """As JSON: None, which costs nothing; else what `persist_result` asks for, where that can be JSON."""
    if not state.is_completed():
        return None
    if state.data is None:
        return _NONE
    if not run.options.persist_result:
        return None
    return result_at_rest(state.data)
