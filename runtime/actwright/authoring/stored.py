"""How another process finds an object of this one again: a hook, a flow, a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from actwright.authoring.by_identity import ByIdentity
from actwright.authoring.hooks import name_of
from actwright.authoring.import_paths import is_importable, names_of
from actwright.models.outcomes import described

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Reference", "Stored", "StoredObject", "Way", "entry_of", "reference_of", "store"]

Way = Literal["path", "value", "file"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One way to an object.

    Attributes:
        way: "path" imports a module, "value" unpickles a payload, "file" runs a file as a module of another name.
        where: "module:qualname", the SHA-256 of the payload, "/the/file.py:qualname".
    """

    way: Way
    where: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of some process, as another one finds it.

    Attributes:
        name: for people.
        references: the ways to it, in the order in which they are to be tried; none when there is no way.
        why: what stood in the way of keeping it by value; None when nothing did, or when nobody needs to know.
    """

    name: str
    references: tuple[Reference, ...] = ()
    why: str | None = None

    def is_findable(self, by_value: bool = True) -> bool:
        """Whether there is a way to it; `by_value` is false where unpickling is forbidden."""
        return any(by_value or reference.way != "value" for reference in self.references)

    def as_json(self) -> dict[str, Any]:
        """What `json.dumps` takes and `of_json` reads."""
        ways = [[reference.way, reference.where] for reference in self.references]
        return {"name": self.name, "references": ways, "why": self.why}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        ways = tuple(Reference(cast(Way, way), where) for way, where in kept["references"])
        return cls(kept["name"], ways, kept["why"])


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored object, with the payload that its "value" reference names, if it has one."""

    object: StoredObject
    payload: bytes | None = None


def store(item: object) -> Stored:
    """The ways to an object. Never raises. Worked out once for each object that can be referred to weakly.

    An import path alone where that leads back to this very object; else its value, as it is now, and if it has a name
    in a script, that.
    """
    known = _known.get(item)
    if known is None:
        known = _worked_out(item)
        _known.put(item, known)
    return known


_known: ByIdentity[Stored] = ByIdentity()


def _worked_out(item: object) -> Stored:
    name = name_of(cast(Any, item))
    by_name = _by_name(item)
    if by_name is not None and by_name[1]:
        return Stored(StoredObject(name, (by_name[0],)))
    payload, why = _value(item)
    ways = [] if payload is None else [Reference("value", hashlib.sha256(payload).hexdigest())]
    if by_name is not None:
        ways.append(by_name[0])
    return Stored(StoredObject(name, tuple(ways), why), payload)


def entry_of(item: object) -> str | None:
    """Where an object is found by name: "module:qualname", or "/the/file.py:qualname" of a script; else None.

    Never raises, and pickles nothing. Worked out once for each object that can be referred to weakly.
    """
    known = _entries.get(item)
    if known is None:
        by_name = _by_name(item)
        known = ("",) if by_name is None else (by_name[0].where,)
        _entries.put(item, known)
    return known[0] or None


_entries: ByIdentity[tuple[str]] = ByIdentity()


def reference_of(entry: str) -> Reference:
    """What `entry_of` gave, as the way that it is."""
    return Reference("file" if entry.startswith("/") else "path", entry)


def _by_name(item: object) -> tuple[Reference, bool] | None:
    """The way to an object by its name, and whether that leads back to this very object: a script's does not, since
    another process runs the file anew."""
    names = list(names_of(item))
    for module, qualname in names:
        if is_importable(module):
            return Reference("path", f"{module.__name__}:{qualname}"), True
    found = _by_source(*names[0]) if names else None
    return None if found is None else (found, False)


def _value(item: object) -> tuple[bytes | None, str | None]:
    from actwright.authoring.by_value import by_value  # only those who need cloudpickle pay for importing it

    try:
        return by_value(item), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the objects that it refers to make of being pickled
        return None, f"it cannot be kept by value: {' '.join(described(error)[:500].split())}"


def _by_source(module: ModuleType, qualname: str) -> Reference | None:
    """By the module's real name, where `python -m` ran it; else by its file, also where `python folder` found that."""
    spec = getattr(module, "__spec__", None)
    if module.__name__ == "__main__" and spec is not None and spec.name != "__main__":
        return Reference("path", f"{spec.name}:{qualname}")
    file = getattr(module, "__file__", None)
    if isinstance(file, str) and Path(file).is_file():
        return Reference("file", f"{Path(file).absolute()}:{qualname}")
    return None
