"""Functions and other objects as bytes, with all that cannot be imported inside: cloudpickle, which this loads.

A flow or task of a script is made anew from its function and its options. It is there before these are, since its
hooks may well refer to it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# cloudpickle brings no types.
from __future__ import annotations

import functools
import io
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from threading import RLock
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

import cloudpickle  # type: ignore[import-untyped]

from actwright.authoring.hooks import Hook
from actwright.authoring.import_paths import at_path, is_importable, module_of
from actwright.authoring.keys import keyring
from actwright.authoring.options import RunOptions
from actwright.authoring.runnable import Runnable
from actwright.models.marks import SECRETS

__all__ = ["Pickler", "by_value", "from_value"]

_SHAPE: Final = ",".join(field.name for options in (RunOptions, Hook) for field in fields(options))
_TAG: Final = f"{sys.implementation.cache_tag} {sha256(_SHAPE.encode()).hexdigest()[:8]}\n".encode()
"""What a payload begins with. It holds byte code, which another Python would not refuse but run; and options, which
another Actwright would take for others."""

_LARGEST: Final = 16_000_000

_CACHED = type(functools.cache(lambda: None))
"""What `functools.cache` makes of a function. It pickles itself by reference alone, even where that leads nowhere."""

_one_at_a_time = RLock()  # what is by value and what is not, cloudpickle keeps in one place for all
_at_work: set[Pickler] = set()


def by_value(item: object) -> bytes:
    """An object as bytes.

    Raises:
        Exception: whatever pickling raises; ValueError for one that is too large to keep.
    """
    with io.BytesIO() as file:
        file.write(_TAG)
        _AtRest(file).dump(item)
        payload = file.getvalue()
    if len(payload) > _LARGEST:
        raise ValueError(f"with all that it refers to, it takes {len(payload)} bytes; at most {_LARGEST} are kept")
    return payload


def from_value(payload: bytes) -> object:
    """The object again. This runs code: call it only with what is known to be of `by_value`.

    Raises:
        ValueError: it was made by another version of Python.
        SecretKeyError: it has secrets, and there is no key for them.
        Exception: whatever unpickling raises.
    """
    tag, _, pickled = payload.partition(b"\n")
    if tag != _TAG.strip():
        raise ValueError(f"it was made by {tag[:40]!r}, and this is {_TAG.strip()!r}")
    return cast(object, pickle.loads(pickled))


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """By reference only what a fresh process could import."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._for_now: list[ModuleType] = []

    def dump(self, obj: object) -> None:
        """Write an object to the file. Raises whatever pickling raises."""
        with _one_at_a_time:
            _at_work.add(self)
            try:
                super().dump(obj)
            finally:
                self.close()
                _at_work.discard(self)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Runnable):
            return _reduced(cast("Runnable[..., Any]", obj))
        if isinstance(obj, _CACHED) and not _leads_back(cast("Callable[..., Any]", obj)):
            return _cached, (obj.__wrapped__, obj.cache_parameters())
        if isinstance(obj, FunctionType | type | ModuleType):
            self._take_by_value(obj if isinstance(obj, ModuleType) else module_of(obj))
        return super().reducer_override(obj)

    def _take_by_value(self, module: ModuleType | None) -> None:
        """Have what is defined in a module that cannot be imported pickled by value, as cloudpickle does `__main__`."""
        if module is None or module.__name__ == "__main__" or is_importable(module):
            return
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self._for_now.append(module)

    def close(self) -> None:
        """Leave cloudpickle as it was. Again: nothing happens."""
        while self._for_now:
            cloudpickle.unregister_pickle_by_value(self._for_now.pop())


class _AtRest(Pickler):
    """For the journal: pydantic's secrets are encrypted there, as those of blocks are."""

    def reducer_override(self, obj: Any) -> Any:
        return _encrypted(obj) if isinstance(obj, SECRETS) else super().reducer_override(obj)


def _encrypted(secret: Any) -> Any:
    with io.BytesIO() as file:
        Pickler(file).dump(secret.get_secret_value())
        return _decrypted, (type(secret), *keyring(make=True).encrypt(file.getvalue()))


def _decrypted(kind: Any, fingerprint: str, token: str) -> Any:
    return kind(pickle.loads(keyring(make=False).decrypt(fingerprint, token)))


def _reduced(runnable: Runnable[..., Any]) -> Any:
    if _leads_back(runnable):
        return NotImplemented  # by import path, as it pickles itself
    module = module_of(runnable)
    found: Any = None if module is None else at_path(module, runnable.__qualname__)
    if isinstance(runnable.fn, MethodType) and isinstance(found, Runnable):
        return NotImplemented  # as an attribute of its instance
    source: Any = runnable.__dict__["_descriptor"] or runnable.fn
    if isinstance(found, Runnable) and cast(Any, found).fn is runnable.fn and _leads_back(cast(Any, found)):
        source = cast(object, found)  # it has other options, and is the same otherwise
    return _blank, (type(runnable),), (source, runnable.options), None, None, _fill


def _leads_back(item: Callable[..., Any]) -> bool:
    """Whether its import path leads a fresh process to it."""
    module = module_of(item)
    return module is not None and is_importable(module) and at_path(module, item.__qualname__) is item


def _cached(fn: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(fn)


def _blank(kind: type[Runnable[..., Any]]) -> Runnable[..., Any]:
    return object.__new__(kind)


def _fill(blank: Runnable[..., Any], state: tuple[Any, Any]) -> None:
    source, options = state
    if isinstance(source, Runnable):
        blank.__dict__.update(cast("Runnable[..., Any]", source).with_run_options(options).__dict__)
    else:
        cast(Any, Runnable).__init__(blank, source, options)


def _forget() -> None:
    """In a forked child the threads that were at it do not exist: what they hold nobody gives back."""
    global _one_at_a_time
    _one_at_a_time = RLock()
    for pickler in list(_at_work):
        pickler.close()
    _at_work.clear()


os.register_at_fork(after_in_child=_forget)
