"""The options of a `Runtime`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from actwright.authoring.checks import misfit, seconds, whole_number
from actwright.authoring.hooks import HOOK_EVENTS, Hook, hook, name_of, normalise_hooks
from actwright.journal.memory import MemoryJournal
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from actwright.journal.protocol import Journal
    from actwright.models.deliveries import HookDelivery
    from actwright_actors import Clock

__all__ = ["HooksByEvent", "RuntimeKeywords", "RuntimeOptions"]

HooksByEvent = Mapping[str, Iterable[Callable[..., object]]]


class RuntimeKeywords(TypedDict, total=False):
    """What `Runtime(...)` takes; `RuntimeOptions` says what each means."""

    flow_hooks: HooksByEvent
    task_hooks: HooksByEvent
    on_hook_failure: Callable[[HookDelivery], object]
    on_exit: Literal["drain", "cancel"]
    drain_seconds: float
    cancel_grace_seconds: float
    hook_grace_seconds: float
    hook_timeout_seconds: float
    worker_threads: int
    hook_threads: int
    journal: Journal | Literal["memory"]
    journal_wait_seconds: float
    logs_limit: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How a Runtime behaves. Durations are in seconds.

    Attributes:
        flow_hooks, task_hooks: from "on_failure" and its like to hooks for every run, after the run's own.
        on_hook_failure: called with the HookDelivery of a hook that failed for good.
        on_exit: what leaving the Runtime normally does to the runs that still go on.
        drain_seconds: how long leaving waits for them, before it cancels them.
        cancel_grace_seconds: how long a body that was told to stop may take, before it is abandoned.
        hook_grace_seconds: how long a shutdown waits for hooks.
        hook_timeout_seconds: of hooks that set none.
        worker_threads: how many sync bodies, and bodies in processes of their own, may run at once.
        hook_threads: how many sync hooks may.
        journal: where history goes; None is this process's own, on disk. "memory" ends with the Runtime: its hooks do
            not survive the process.
        journal_wait_seconds: how long a journal may be unable to write before callers are told.
        logs_limit: how many lines of one run's log are kept with its history.
        clock: what drives all time; None is the event loop's.
    """

    flow_hooks: Mapping[str, tuple[Hook, ...]]
    task_hooks: Mapping[str, tuple[Hook, ...]]
    on_hook_failure: Hook | None
    on_exit: Literal["drain", "cancel"]
    drain_seconds: float
    cancel_grace_seconds: float
    hook_grace_seconds: float
    hook_timeout_seconds: float
    worker_threads: int
    hook_threads: int
    journal: Journal | None
    journal_wait_seconds: float
    logs_limit: int
    clock: Clock | None

    @classmethod
    def of(cls, given: RuntimeKeywords) -> RuntimeOptions:
        """Checked, and completed from the settings.

        Raises:
            TypeError, ValueError: an option that cannot be, named.
        """
        unknown = set(given) - set(RuntimeKeywords.__annotations__)
        if unknown:
            known = ", ".join(RuntimeKeywords.__annotations__)
            raise TypeError(f"Runtime has no option {', '.join(map(repr, sorted(unknown)))}. It has: {known}.")
        on_exit = given.get("on_exit", "drain")
        if on_exit not in ("drain", "cancel"):
            raise ValueError(f"on_exit must be 'drain' or 'cancel'; got {on_exit!r}.")
        return cls(
            flow_hooks=_hooks("flow", given.get("flow_hooks")),
            task_hooks=_hooks("task", given.get("task_hooks")),
            on_hook_failure=_on_hook_failure(given.get("on_hook_failure")),
            on_exit=on_exit,
            journal=_journal(given.get("journal")),
            clock=given.get("clock"),
            **_limits(given),
        )


def _journal(given: Any) -> Journal | None:
    if given is None:
        given = get_current_settings().journal
        if given == "sqlite":
            return None
    if given == "memory":
        return MemoryJournal()
    if not callable(getattr(given, "append", None)):
        raise TypeError(
            f'journal must be a Journal or "memory"; got {given!r}. Leave it out to keep history in a file.'
        )
    return cast("Journal", given)


_DURATIONS = (
    "drain_seconds", "cancel_grace_seconds", "hook_grace_seconds", "hook_timeout_seconds", "journal_wait_seconds",
)  # fmt: skip


def _limits(given: RuntimeKeywords) -> dict[str, Any]:
    settings = get_current_settings()
    limits: dict[str, Any] = {}
    for name in _DURATIONS:
        limits[name] = seconds(name, given.get(name, getattr(settings, name)))
    for name, least in (("worker_threads", 1), ("hook_threads", 1), ("logs_limit", 0)):
        limits[name] = whole_number(name, given.get(name, getattr(settings, name)), least=least)
    return limits


def _on_hook_failure(given: object) -> Hook | None:
    if given is None:
        return None
    if not callable(given):
        raise TypeError(f"on_hook_failure must be callable; got {type(given).__name__}.")
    if why := misfit(name_of(given), given, 1):
        raise TypeError(f"on_hook_failure must take one positional argument, a HookDelivery; got {why}.")
    return hook(given)


def _hooks(kind: Literal["flow", "task"], given: object) -> dict[str, tuple[Hook, ...]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{kind}_hooks must be a dict of lists; got {type(given).__name__}. "
            f'Write {kind}_hooks={{"on_failure": [hook1, hook2]}}.'
        )
    hooks: dict[str, tuple[Hook, ...]] = {}
    for event, listed in cast("Mapping[str, object]", given).items():
        if event not in HOOK_EVENTS:
            raise ValueError(f"{kind}_hooks has no event {event!r}. Expected one of {', '.join(HOOK_EVENTS)}.")
        hooks[event] = normalise_hooks(event, listed, kind)
    return hooks
