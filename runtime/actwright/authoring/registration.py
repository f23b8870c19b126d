"""What a run's hooks need to be delivered by another process: which there are, how each is delivered, where to find it.

Made when a run begins, and kept with it. It holds what the run began with: hooks that are added later are not for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from threading import RLock
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from actwright.authoring.by_identity import ByIdentity
from actwright.authoring.hooks import HOOK_EVENTS, Hook
from actwright.authoring.import_paths import at_path, module_of
from actwright.authoring.runnable import Runnable
from actwright.authoring.stored import StoredObject, store
from actwright.models.transitions import hook_events

if TYPE_CHECKING:
    from typing import Self

    from actwright.models.states import State

__all__ = ["DueHook", "RegisteredHook", "RegisteredSubject", "Registration", "Unfindable", "due_for", "in_order"]

H = TypeVar("H")


def in_order(
    events: Iterable[str], own: Callable[[str], Sequence[H]], runtime_wide: Callable[[str], Sequence[H]]
) -> list[tuple[str, H, bool]]:
    """The hooks of one transition as (event, hook, whether it is the Runtime's), in the order of their delivery.

    The run's own come first, then the Runtime's; among each by event, and within an event in list order. A delivery's
    position counts in this list.
    """
    events = tuple(events)
    first = [(event, hook, False) for event in events for hook in own(event)]
    return first + [(event, hook, True) for event in events for hook in runtime_wide(event)]


@dataclass(frozen=True, slots=True)
class RegisteredHook:
    """A hook without its function: where that is found, and how it is delivered. `Hook` says what each option means."""

    stored: StoredObject
    wait: bool
    at_once: bool
    retries: int
    retry_delay_seconds: float
    timeout_seconds: float | None
    expires_seconds: float | None
    max_attempts: int | None

    @property
    def name(self) -> str:
        """What logs and lists call it."""
        return self.stored.name

    def hook_of(self, fn: Callable[..., Any]) -> Hook:
        """The hook again, with the function that was found."""
        return Hook(fn, **{option: getattr(self, option) for option in _HOOK_OPTIONS})

    def as_json(self) -> dict[str, Any]:
        return {"stored": self.stored.as_json(), **{option: getattr(self, option) for option in _HOOK_OPTIONS}}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        options = {option: kept[option] for option in _HOOK_OPTIONS}
        return cls(StoredObject.of_json(kept["stored"]), **options)


_HOOK_OPTIONS = tuple(option.name for option in fields(Hook) if option.name != "fn")
_STAND_IN_OPTIONS = (
    "description",
    "version",
    "retries",
    "retry_delays",
    "retry_jitter_factor",
    "timeout_seconds",
    "validate_parameters",
    "log_prints",
)


_ONLY_BY_VALUE = "it has no import path, and loading hooks by value is forbidden"


@dataclass(frozen=True, slots=True)
class RegisteredSubject:
    """The flow or task of a run: where it is found, and enough of it for a stand-in.

    Attributes:
        kind, name: its own.
        stored: where it is found.
        options: those that a stand-in has: option -> value, as its decorator takes it.
    """

    kind: Literal["flow", "task"]
    name: str
    stored: StoredObject
    options: Mapping[str, Any] = field(hash=False)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "stored": self.stored.as_json(), "options": dict(self.options)}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        return cls(kept["kind"], kept["name"], StoredObject.of_json(kept["stored"]), kept["options"])


@dataclass(frozen=True, slots=True)
class DueHook:
    """A hook that one transition makes due.

    Attributes:
        event: the list it stands in.
        position: its place among the deliveries of its transition, from 0.
        hook: how it is delivered, and where its function is found.
        runtime_wide: it is the Runtime's, and not the run's own.
    """

    event: str
    position: int
    hook: RegisteredHook
    runtime_wide: bool

    @property
    def name(self) -> str:
        return self.hook.name


@dataclass(frozen=True, slots=True)
class Unfindable:
    """A hook that no other process could find.

    Attributes:
        name: of the hook.
        why: what stands in the way.
    """

    name: str
    why: str

    @property
    def advice(self) -> str:
        """What to tell the author, once."""
        return (
            f"Hook '{self.name}' cannot be found by another process: {self.why}. It runs as long as this process "
            "lives; should it die, the hook is recorded as failed. Define it at the top level of a module, or have it "
            "refer to nothing that cannot be pickled."
        )


@dataclass(frozen=True)
class Registration:
    """The hooks of a run, as data. Made by `Registration.of`; read back by `from_json`.

    Attributes:
        subject: the flow or task.
        own: event -> the run's own hooks; events without any are left out.
        runtime_wide: event -> the Runtime's, for runs of this kind.
        on_hook_failure: called when a delivery is given up.
        backend: what async hooks are written for: what ran the run's event loop. None leaves that open.
        payloads: hash -> bytes, for what was kept by value; not part of the JSON.
    """

    subject: RegisteredSubject
    own: Mapping[str, tuple[RegisteredHook, ...]]
    runtime_wide: Mapping[str, tuple[RegisteredHook, ...]]
    on_hook_failure: RegisteredHook | None
    backend: str | None = None
    payloads: Mapping[str, bytes] = field(default_factory=dict[str, bytes], compare=False, repr=False)

    @classmethod
    def of(
        cls,
        subject: Runnable[..., Any],
        runtime_hooks: Mapping[str, tuple[Hook, ...]],
        on_hook_failure: Hook | None = None,
        backend: str | None = None,
    ) -> Registration:
        """What a run of `subject` registers now. For the same options as the last time this is a look-up.

        Never raises: what cannot be stored is in `unfindable`.

        Args:
            subject: the flow or task; of a bound method, that of its class is stored.
            runtime_hooks: those of its Runtime that fire for it.
            on_hook_failure: its Runtime's.
            backend: what runs the event loop of its Runtime.
        """
        known = _latest.get(subject)
        if known is not None and known.is_for(subject, runtime_hooks, on_hook_failure, backend):
            return known.registration
        owner = _of_its_class(subject)
        if owner is not subject:
            return cls.of(owner, runtime_hooks, on_hook_failure, backend)
        made = _made(subject, runtime_hooks, on_hook_failure, backend)
        _latest.put(subject, _Latest(made, subject.options, runtime_hooks, on_hook_failure))
        return made

    @property
    def has_hooks(self) -> bool:
        """Whether there is any hook that a transition could make due."""
        return bool(self.own or self.runtime_wide)

    def hooks(self, event: str) -> tuple[DueHook, ...]:
        """The hooks of one event, as if it were the only one of its transition."""
        return self._due((event,))

    @property
    def unfindable(self) -> tuple[Unfindable, ...]:
        """The hooks that no other process could find, and why."""
        return self.unfindable_where(by_value=True)

    def unfindable_where(self, *, by_value: bool) -> tuple[Unfindable, ...]:
        """The same for those processes that may load by value, or for those that may not."""
        lost = [hook.stored for hook in self._all_hooks() if not hook.stored.is_findable(by_value)]
        return tuple(Unfindable(stored.name, stored.why or _ONLY_BY_VALUE) for stored in lost)

    @cached_property
    def _json(self) -> str:
        kept = {
            "subject": self.subject.as_json(),
            "own": _lists_as_json(self.own),
            "runtime_wide": _lists_as_json(self.runtime_wide),
            "on_hook_failure": self.on_hook_failure and self.on_hook_failure.as_json(),
            "backend": self.backend,
        }
        return json.dumps(kept, sort_keys=True, separators=(",", ":"))

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of its JSON, in hexadecimal: the same for the same hooks, in any process."""
        return hashlib.sha256(self._json.encode()).hexdigest()

    def to_json(self) -> str:
        """Everything but the payloads, in one canonical form."""
        return self._json

    @classmethod
    def from_json(cls, text: str) -> Registration:
        """What `to_json` gave; without payloads."""
        kept = json.loads(text)
        told = kept["on_hook_failure"]
        return cls(
            subject=RegisteredSubject.of_json(kept["subject"]),
            own=_lists_of_json(kept["own"]),
            runtime_wide=_lists_of_json(kept["runtime_wide"]),
            on_hook_failure=None if told is None else RegisteredHook.of_json(told),
            backend=kept["backend"],
        )

    def _due(self, events: Iterable[str]) -> tuple[DueHook, ...]:
        placed = in_order(events, lambda event: self.own.get(event, ()), lambda event: self.runtime_wide.get(event, ()))
        return tuple(DueHook(event, position, hook, wide) for position, (event, hook, wide) in enumerate(placed))

    def _all_hooks(self) -> list[RegisteredHook]:
        listed = [hook for lists in (self.own, self.runtime_wide) for hooks in lists.values() for hook in hooks]
        return listed if self.on_hook_failure is None else [*listed, self.on_hook_failure]


def due_for(registration: Registration, state: State[Any]) -> tuple[DueHook, ...]:
    """The hooks that entering `state` makes due, in the order of their positions.

    Those of on_cancellation with `at_once` are delivered before the others, and keep their positions.
    """
    return registration._due(hook_events(state))  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True, slots=True)
class _Latest:
    """The latest registration of a flow or task, and what it was made of."""

    registration: Registration
    options: object
    runtime_hooks: Mapping[str, tuple[Hook, ...]]
    on_hook_failure: Hook | None

    def is_for(
        self,
        subject: Runnable[..., Any],
        runtime_hooks: Mapping[str, tuple[Hook, ...]],
        on_hook_failure: Hook | None,
        backend: str | None,
    ) -> bool:
        if self.options is not subject.options or self.registration.backend != backend:
            return False
        if self.runtime_hooks is runtime_hooks and self.on_hook_failure is on_hook_failure:
            return True
        try:
            return bool(self.runtime_hooks == runtime_hooks and self.on_hook_failure == on_hook_failure)
        except Exception:  # callable objects may compare as they like
            return False


_latest: ByIdentity[_Latest] = ByIdentity()


def _made(
    subject: Runnable[..., Any],
    runtime_hooks: Mapping[str, tuple[Hook, ...]],
    on_hook_failure: Hook | None,
    backend: str | None,
) -> Registration:
    payloads: dict[str, bytes] = {}

    def registered(hook: Hook) -> RegisteredHook:
        options = {option: getattr(hook, option) for option in _HOOK_OPTIONS}
        return RegisteredHook(_stored(hook.fn, payloads), **options)

    def lists(hooks_of: Callable[[str], tuple[Hook, ...]]) -> dict[str, tuple[RegisteredHook, ...]]:
        return {event: tuple(map(registered, hooks)) for event in HOOK_EVENTS if (hooks := hooks_of(event))}

    return Registration(
        subject=RegisteredSubject(subject.kind, subject.name, _stored(subject, payloads), _stand_in_options(subject)),
        own=lists(subject.options.hooks),
        runtime_wide=lists(lambda event: runtime_hooks.get(event, ())),
        on_hook_failure=None if on_hook_failure is None else registered(on_hook_failure),
        backend=backend,
        payloads=payloads,
    )


def _stored(item: object, payloads: dict[str, bytes]) -> StoredObject:
    found = store(item)
    if found.payload is not None:
        payloads[hashlib.sha256(found.payload).hexdigest()] = found.payload
    return found.object


def _stand_in_options(subject: Runnable[..., Any]) -> dict[str, Any]:
    options = {option: getattr(subject.options, option) for option in _STAND_IN_OPTIONS}
    delays = options.pop("retry_delays")
    return {
        **options,
        "description": subject.description,
        "tags": sorted(subject.tags),
        "retry_delay_seconds": list(delays),
    }


def _of_its_class(subject: Runnable[..., Any]) -> Runnable[..., Any]:
    """For a method bound to an instance, which is another object at each access, what stands in the class."""
    module = module_of(subject) if isinstance(subject.fn, MethodType) else None
    found = None if module is None else at_path(module, subject.__qualname__)
    if isinstance(found, Runnable) and cast("Runnable[..., Any]", found).options is subject.options:
        return cast("Runnable[..., Any]", found)
    return subject


def _lists_as_json(lists: Mapping[str, tuple[RegisteredHook, ...]]) -> dict[str, Any]:
    return {event: [hook.as_json() for hook in hooks] for event, hooks in lists.items()}


def _lists_of_json(kept: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[RegisteredHook, ...]]:
    return {event: tuple(RegisteredHook.of_json(hook) for hook in hooks) for event, hooks in kept.items()}


def _forget() -> None:
    """Python 3.11 has one lock for what is cached of all instances, and in a forked child maybe nobody to free it."""
    for cached in (each for each in vars(Registration).values() if hasattr(each, "lock")):
        cached.lock = RLock()


os.register_at_fork(after_in_child=_forget)
