"""The lists of hooks of a flow or task, as its author sees them: `@my_flow.on_failure`, `my_flow.on_failure_hooks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from actwright.authoring.options import RunOptions

__all__ = ["HookLists"]

H = TypeVar("H", bound=Callable[..., Any])


class HookLists:
    """For each list a method that appends a hook and returns it unchanged, so that it can stand above a function:

        @my_flow.on_failure
        def notify(flow, flow_run, state): ...

    and a property with the functions of the list, in order. How each is delivered stands in `options`. Runs that have
    begun keep the hooks that they began with. A wrong hook raises TypeError, as it does in the list itself.
    """

    options: RunOptions
    _is_bound = False  # this is `instance.method`, made anew at each access

    def on_running(self, hook: H, /) -> H:
        """Each attempt, before the body starts."""
        return self._append("on_running", hook)

    def on_retry(self, hook: H, /) -> H:
        """An attempt failed, and another follows."""
        return self._append("on_retry", hook)

    def on_completion(self, hook: H, /) -> H:
        """The run is Completed."""
        return self._append("on_completion", hook)

    def on_failure(self, hook: H, /) -> H:
        """The run is Failed or TimedOut, after its last retry; also for invalid parameters."""
        return self._append("on_failure", hook)

    def on_cancellation(self, hook: H, /) -> H:
        """The run is Cancelling, and its body has unwound (`hook(fn, at_once=True)`: before it unwinds)."""
        return self._append("on_cancellation", hook)

    def on_crashed(self, hook: H, /) -> H:
        """The run is Crashed."""
        return self._append("on_crashed", hook)

    def on_end(self, hook: H, /) -> H:
        """The run is final, however it ended."""
        return self._append("on_end", hook)

    @property
    def on_running_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_running")

    @property
    def on_retry_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_retry")

    @property
    def on_completion_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_completion")

    @property
    def on_failure_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_failure")

    @property
    def on_cancellation_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_cancellation")

    @property
    def on_crashed_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_crashed")

    @property
    def on_end_hooks(self) -> list[Callable[..., Any]]:
        return self._functions("on_end")

    def _append(self, event: str, hook: H) -> H:
        if self._is_bound:
            raise TypeError(
                "A hook added to a bound method would be lost, since each access makes a new one. "
                f"Write @<method>.{event} in the class body."
            )
        self.options = self.options.replace(**{event: [*self.options.hooks(event), hook]})
        return hook

    def _functions(self, event: str) -> list[Callable[..., Any]]:
        return [hook.fn for hook in self.options.hooks(event)]
