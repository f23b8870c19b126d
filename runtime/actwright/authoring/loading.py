"""Flows by the names that a command line gives them: `module:flow`, `path/to/file.py:flow`."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from actwright.authoring.flows import Flow
from actwright.authoring.import_paths import at_path, imported, run_module
from actwright.exceptions import FlowNotFound
from actwright.models.outcomes import described

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["flow_at", "object_at"]


def flow_at(where: str) -> Flow[..., Any]:
    """A flow by its name. Its module is imported, or its file run, in which `__name__` is not "__main__".

    Raises:
        FlowNotFound: there is none; it says what failed.
    """
    found = object_at(where)
    if isinstance(found, Flow):
        return cast("Flow[..., Any]", found)
    raise FlowNotFound(f"{where} is no flow; got {type(found).__name__}. Put @flow above the function.")


def object_at(where: str) -> Any:
    """Whatever stands there.

    Raises:
        FlowNotFound: nothing does.
    """
    source, separator, qualname = where.rpartition(":")
    if not (source and separator and qualname):
        raise FlowNotFound(f"Expected module:flow or path/to/file.py:flow; got {where!r}.")
    module = _module_at(source)
    found = at_path(module, qualname)
    if found is None:
        raise FlowNotFound(f"There is no {qualname!r} in {source}.")
    return found


def _module_at(source: str) -> ModuleType:
    try:
        return _run_file(Path(source).absolute()) if source.endswith(".py") else imported(source)
    except Exception as error:
        raise FlowNotFound(f"{source} cannot be loaded: {described(error)}") from error


def _run_file(path: Path) -> ModuleType:
    """Once for all that it defines. What stands beside it can be imported, as when it is run as a script."""
    name = f"actwright_file_{sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # there is a loader for .py
    return run_module(spec)
