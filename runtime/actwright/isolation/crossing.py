"""Objects on their way to another process and back.

By cloudpickle: what can be imported goes by its path, and what is defined in a script, a notebook or a function goes
by value. An object that came back is the very one that was sent: functions, flows, tasks and exceptions are numbered as
they go. So the task that a body calls is the Runtime's own, with its hooks, and not a copy of a copy.

Hooks never go along: a body has no use for them. In their place goes something to call them by.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from dataclasses import dataclass, fields
from operator import getitem
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from actwright.authoring.by_value import Pickler
from actwright.authoring.futures import Handle
from actwright.authoring.hooks import Hook, name_of
from actwright.authoring.import_paths import at_path, module_of
from actwright.authoring.options import RunOptions
from actwright.authoring.runnable import Runnable
from actwright.exceptions import ActwrightError, NotPicklable
from actwright.isolation.variables import path_of
from actwright.models.outcomes import described

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Crossing", "Elsewhere", "Sealed", "Unreadable"]

_STAY: Final = ("retry_condition_fn", "run_name")
"""Options that are asked where the Runtime is, and so need not be picklable."""

_ADVICE: Final = "Have its class hand plain arguments on to Exception.__init__, or raise another one."

_Import = Callable[[str], ModuleType]


class Crossing:
    """One side of what crosses. Both sides have to load in the order in which the other one has dumped.

    Args:
        handle_of: gives the future of a run by its id.
        id_of: gives the id of the run of a future, which the other side can then ask for; raises TypeError for one that
            is none of its business.
        hooks_stay: this is the Runtime's side: hooks do not go along.
    """

    def __init__(
        self, handle_of: Callable[[UUID], Handle[Any]], id_of: Callable[[Handle[Any]], UUID], *, hooks_stay: bool
    ) -> None:
        self.handle_of = handle_of
        self.id_of = id_of
        self.hooks_stay = hooks_stay
        self._lock = threading.RLock()
        self._ours = _Numbered()
        self._theirs = _Numbered()

    def dumps(self, value: object) -> bytes:
        """An object as bytes. What was not sent, although this returned it, must be sent nevertheless.

        Raises:
            Exception: whatever pickling raises.
        """
        with self._lock, io.BytesIO() as file:
            before = len(self._ours)
            try:
                _CrossingPickler(file, self).dump(value)
            except BaseException:
                self._ours.forget_from(before)
                raise
            return file.getvalue()

    def can(self, value: object) -> bool:
        """Whether an object can be pickled; nothing is remembered of it."""
        with self._lock, io.BytesIO() as file:
            before = len(self._ours)
            try:
                _CrossingPickler(file, self).dump(value)
            except Exception:
                return False
            finally:
                self._ours.forget_from(before)
            return True

    def loads(self, data: bytes, importing: _Import | None = None) -> Any:
        """The object again.

        Args:
            importing: loads a module by its name; None imports as usual.

        Raises:
            Exception: whatever unpickling raises.
        """
        with self._lock:
            return _Unpickler(io.BytesIO(data), self, importing).load()

    def leave_to_parent(self) -> None:
        """In a forked child: a thread of the parent's may have held the lock."""
        self._lock = threading.RLock()

    def reference_to(self, item: object) -> tuple[Any, ...] | None:
        """What stands for an object that the other side has."""
        if (number := self._theirs.number_of(item)) is not None:
            return _yours, (number,)
        if (number := self._ours.number_of(item)) is not None:
            return _mine, (number,)
        return None

    def noted(self, item: object, reduced: Any) -> Any:
        """What was reduced, as one to be known by its number from now on. Not a tuple: unchanged."""
        if not isinstance(reduced, tuple):
            return reduced
        make, args, *rest = cast("tuple[Any, ...]", reduced)
        return _noted, (self._ours.add(item), make, args), *rest

    def resolve(self, name: str) -> Callable[..., Any]:
        """What a name of this module stands for on this side."""
        here: dict[str, Callable[..., Any]] = {
            "_yours": self._ours.item, "_mine": self._theirs.item, "_noted": self._note, "_future": self.handle_of,
            "_sealed": self._opened,
        }  # fmt: skip
        return here.get(name) or cast("Callable[..., Any]", globals()[name])

    def sealed(self, item: object) -> Any:
        """How a sealed object is reduced."""
        what = type(item).__qualname__
        try:
            return _sealed, (what, self.dumps(item))
        except Exception as why:
            return Unreadable, (what, described(why))

    def _opened(self, what: str, data: bytes) -> Any:
        try:
            return Sealed(self.loads(data))
        except BaseException as why:  # a module that exits, say
            return Unreadable(what, described(why))

    def _note(self, number: int, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            item = make(*args)
        except Exception as why:  # it is known by its number nevertheless: sent back, it is itself
            if not (isinstance(make, type) and issubclass(make, BaseException)):
                raise
            said = f"{make.__name__}: {', '.join(map(str, args))}"
            item = NotPicklable.of(f"The exception {said!r}", why, _ADVICE)
        self._theirs.put(number, item)
        return item


class _Numbered:
    """Objects by number, and the numbers of objects, by identity. It keeps them alive."""

    def __init__(self) -> None:
        self._items: dict[int, object] = {}
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: object) -> int:
        number = len(self._items)
        self.put(number, item)
        return number

    def put(self, number: int, item: object) -> None:
        self._items[number] = item
        self._numbers[id(item)] = number

    def item(self, number: int) -> object:
        return self._items[number]

    def number_of(self, item: object) -> int | None:
        return self._numbers.get(id(item))

    def forget_from(self, number: int) -> None:
        for each in range(number, len(self._items)):
            self._numbers.pop(id(self._items.pop(each, None)), None)


class Elsewhere:
    """Stands for a callable of the Runtime's process. Sent back, it is that one; here it cannot be called."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise ActwrightError(f"'{self.__name__}' is called where its Runtime is, and not in the process of a body.")


class Sealed:
    """Around an object among others. If it cannot be pickled, or not be loaded, an `Unreadable` arrives in its place,
    and the others arrive nevertheless."""

    def __init__(self, item: object) -> None:
        self.item = item


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a sealed object.

    Attributes:
        what: its type.
        why: what pickling or loading it raised.
    """

    what: str
    why: str


class _Staying:
    """Around a callable that does not go along."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn


class _CrossingPickler(Pickler):
    def __init__(self, file: io.BytesIO, crossing: Crossing) -> None:
        super().__init__(file)
        self._crossing = crossing

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, _Staying):
            fn = obj.fn
            return self._crossing.reference_to(fn) or self._crossing.noted(fn, (Elsewhere, (name_of(fn),)))
        if isinstance(obj, Sealed):
            return self._crossing.sealed(obj.item)
        known = self._crossing.reference_to(obj)
        if known is not None:
            return _with_its_story(obj, known) if isinstance(obj, BaseException) else known
        if isinstance(obj, Handle):
            return _future, (self._crossing.id_of(cast("Handle[Any]", obj)),)
        if isinstance(obj, ContextVar):
            return self._variable(cast("ContextVar[Any]", obj))
        if self._crossing.hooks_stay and isinstance(obj, Hook | RunOptions):
            return self._without_hooks(obj)
        if isinstance(obj, BaseException):
            return self._crossing.noted(obj, _with_its_story(obj, obj.__reduce_ex__(4)))
        if isinstance(obj, type) and (of := _parametrized(obj)):
            return getitem, of
        if isinstance(obj, CodeType):
            reduced = cast("tuple[Any, ...]", self.dispatch_table[CodeType](obj))
            return _code, (obj.co_filename, reduced[1])  # which cloudpickle leaves out, and tracebacks need
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented and isinstance(obj, FunctionType | Runnable | type):
            return _by_path(obj) or reduced
        is_numbered = isinstance(obj, FunctionType | Runnable)
        return self._crossing.noted(cast(object, obj), reduced) if is_numbered else reduced

    def _variable(self, variable: ContextVar[Any]) -> Any:
        path = path_of(variable)
        if path is not None and path[0] != "__main__":
            return _imported, path
        default: tuple[Any, ...] = ()
        with suppress(LookupError):
            default = (Context().run(variable.get),)
        return self._crossing.noted(variable, (_variable, (variable.name, *default)))

    def _without_hooks(self, item: Hook | RunOptions) -> Any:
        if isinstance(item, Hook):
            return self._crossing.noted(item, (_hook, (_Staying(item.fn),)))
        values = {field.name: getattr(item, field.name) for field in fields(item)}
        staying = {name: _Staying(values[name]) for name in _STAY if callable(values[name])}
        return _options, (type(item), values | staying)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, crossing: Crossing, importing: _Import | None) -> None:
        super().__init__(file)
        self._crossing = crossing
        self._importing = importing

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__:
            return self.find_class if name == _imported.__name__ else self._crossing.resolve(name)
        if self._importing is not None:
            self._importing(module)
        found = at_path(sys.modules.get(module), name)  # without its lock, which whoever imports it just now has
        return super().find_class(module, name) if found is None else found


def _parametrized(kind: Any) -> tuple[Any, ...]:
    """Of a pydantic model such as `Page[int]`, which has no import path: the generic one, and of what; else ()."""
    found = cast("dict[str, Any]", kind.__dict__.get("__pydantic_generic_metadata__") or {})
    return (found["origin"], found["args"]) if found.get("origin") else ()


def _by_path(item: Any) -> Any:
    """A reference to what stands in a module that is being imported just now, since that calls a flow. `pickle` would
    wait for the end of that import."""
    module, name = module_of(item), cast(str, getattr(item, "__qualname__", ""))
    if module is None or not getattr(module.__spec__, "_initializing", False):
        return None
    return (_imported, (module.__name__, name)) if at_path(module, name) is item else None


def _with_its_story(error: BaseException, reduced: Any) -> Any:
    """As it pickles itself, and what Python leaves out: the exceptions that it came from, which may lead back to it.
    Of one that the other side has: what it has been told since."""
    if not isinstance(reduced, tuple):
        return reduced
    make, args, *rest = cast("tuple[Any, ...]", reduced)
    state, setter = (rest[0] if rest else None), (rest[3] if len(rest) > 3 else None)
    came_from = error.__cause__, error.__context__, error.__suppress_context__
    return make, args, (state, setter, getattr(error, "__notes__", None), *came_from), None, None, _told


def _told(error: Any, story: tuple[Any, ...]) -> None:
    state, setter, notes, cause, context, suppressed = story
    if state is not None:
        setter(error, state) if setter is not None else error.__setstate__(state)
    if notes is not None:
        error.__notes__ = notes
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed


def _variable(name: str, *default: Any) -> ContextVar[Any]:
    return ContextVar(name, default=default[0]) if default else ContextVar(name)


def _code(filename: str, args: tuple[Any, ...]) -> CodeType:
    return CodeType(*args).replace(co_filename=filename)


def _hook(fn: Callable[..., Any]) -> Hook:
    return Hook(fn)


def _options(kind: type[RunOptions], values: dict[str, Any]) -> RunOptions:
    return kind(**values)


# Names that the other side gives a meaning of its own: see `Crossing.resolve`.


def _yours(number: int) -> Any: ...
def _mine(number: int) -> Any: ...
def _noted(number: int, make: Callable[..., Any], args: tuple[Any, ...]) -> Any: ...
def _future(run_id: UUID) -> Any: ...
def _sealed(what: str, data: bytes) -> Any: ...
def _imported(module: str, name: str) -> Any: ...
