"""Where an object can be imported from: "module:qualname", when that leads back to this very object; and importing."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any, cast

from actwright.exceptions import ReplayImportError

__all__ = ["at_path", "imported", "is_importable", "module_of", "names_of", "run_module"]


def names_of(item: object) -> Iterator[tuple[ModuleType, str]]:
    """The modules and dotted names by which this process has this very object; the one it was defined by comes first.

    Found are functions and classes where they were defined, what has a name in the module of its function or class (a
    lambda, a partial, a callable object), and bound methods of any of these.
    """
    seen: set[tuple[str, str]] = set()
    for module, name in _likely_names(item):
        if (module.__name__, name) not in seen:
            seen.add((module.__name__, name))
            if _is_same(at_path(module, name), item):
                yield module, name


def at_path(module: object, name: str) -> object:
    """What a dotted name leads to in a module, or None."""
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception:  # AttributeError, or whatever a user's property raises
            return None
    return found


def module_of(item: object) -> ModuleType | None:
    """The module that an object says it was defined in, if that is loaded."""
    name = _text(item, "__module__")
    module = sys.modules.get(name) if name else None
    return module if isinstance(module, ModuleType) else None


def imported(name: str) -> ModuleType:
    """A module, imported while flows refuse to run (see `replay_guard`): one that calls a flow is left off there, and
    what it has defined until then is used.

    Raises:
        ModuleNotFoundError: there is no such module.
        BaseException: whatever the module raises.
    """
    if name in sys.modules:
        return sys.modules[name]
    parent, _, child = name.rpartition(".")
    package = imported(parent) if parent else None
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = run_module(spec)
    if package is not None:
        setattr(package, child, module)
    return module


def run_module(spec: ModuleSpec) -> ModuleType:
    """The same for a module that was found."""
    if spec.loader is None:  # a folder without an __init__.py
        __import__(spec.name)
        return sys.modules[spec.name]
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ReplayImportError:
        pass
    except BaseException:
        del sys.modules[spec.name]
        raise
    return sys.modules.get(spec.name, module)


def is_importable(module: ModuleType) -> bool:
    """Whether importing its name in a fresh process, with the same sys.path, leads to the same file.

    Not so for `__main__`, for what is made in memory, and for a file that was loaded under an invented name.
    """
    known = _verdicts.get(module.__name__)
    if known is None or known[0] is not module:
        known = _verdicts[module.__name__] = module, _would_import(module)
    return known[1]


_verdicts: dict[str, tuple[ModuleType, bool]] = {}


def _would_import(module: ModuleType) -> bool:
    name = module.__name__
    if name == "__main__" or sys.modules.get(name) is not module:
        return False
    parent = sys.modules.get(name.rpartition(".")[0])
    if parent is not None and not is_importable(parent):
        return False
    if parent is None and "." in name:
        return False
    try:
        # `importlib.util.find_spec` would answer with what is loaded, whoever loaded it.
        specs = (_spec_of(finder, name, parent) for finder in sys.meta_path)
        found = next((spec for spec in specs if spec is not None), None)
    except Exception:  # a finder of somebody else's
        return False
    if found is None:
        return False
    spec_origin = getattr(module.__spec__, "origin", None)
    if found.origin == "frozen":  # `os` and its like have a file as well, which is not where they come from
        return spec_origin == "frozen"
    origin = getattr(module, "__file__", None) or spec_origin
    return found.origin == origin or _same_file(found.origin, origin)


def _spec_of(finder: Any, name: str, parent: ModuleType | None) -> ModuleSpec | None:
    find_spec = getattr(finder, "find_spec", None)
    return find_spec(name, None if parent is None else parent.__path__) if find_spec else None


def _same_file(one: str | None, other: str | None) -> bool:
    if not one or not other:
        return False
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _likely_names(item: object) -> Iterator[tuple[ModuleType, str]]:
    module, qualname = module_of(item), _text(item, "__qualname__")
    if module is not None and qualname and "<" not in qualname:
        yield module, qualname
    if isinstance(item, MethodType):
        for home, name in names_of(item.__self__):
            yield home, f"{name}.{item.__name__}"
        return
    for likely in (module, module_of(type(item)), module_of(_innermost(item))):
        if likely is not None:
            yield from ((likely, name) for name, value in list(vars(likely).items()) if value is item)


def _innermost(item: object) -> object:
    while isinstance(item, functools.partial):
        item = cast("functools.partial[Any]", item).func
    return cast("Callable[..., Any]", item)


def _is_same(found: object, item: object) -> bool:
    if isinstance(found, MethodType) and isinstance(item, MethodType):  # each access makes another object
        return found.__self__ is item.__self__ and found.__func__ is item.__func__
    return found is item


def _text(item: object, attribute: str) -> str | None:
    try:
        value = getattr(item, attribute, None)
    except Exception:  # a user's own __getattr__
        return None
    return value if isinstance(value, str) else None
