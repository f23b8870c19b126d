"""Which class a block is of: each class of blocks has a slug, and is known by it once it is defined."""

from __future__ import annotations

import inspect
import re
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from actwright.exceptions import AuthoringError

if TYPE_CHECKING:
    from actwright.blocks.block import Block

__all__ = ["class_of", "defined", "import_path_of", "known_types", "register", "slug_from"]

_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")

_WHOLE: Final = "__actwright_is_whole__"
"""Of a class that is defined, and so of one that was filled with all that another process had of it."""

_known: dict[str, type[Block]] = {}
_hollow: list[weakref.ref[type[Block]]] = []


def slug_from(name: str) -> str:
    """The slug of a class that says none itself: `SlackWebhook` is slack-webhook, `S3Bucket` s3-bucket."""
    return _BETWEEN_WORDS.sub("-", name).strip("-").lower()


def defined(cls: type[Block]) -> None:
    """A class was just defined: have it found by its slug, as `register` does.

    One that cloudpickle makes is empty still, its slug among what is missing; and it makes another one each time that
    it meets the class, but fills the first alone. So those are taken in when one looks for them, once they are filled.

    Raises:
        AuthoringError: as `register`.
    """
    if _is_unpickled():
        _hollow.append(weakref.ref(cls))
        return
    setattr(cls, _WHOLE, True)
    register(cls)


def register(cls: type[Block]) -> None:
    """Have a class found by its slug. A class that is defined once more (a module reloaded) takes its own place.

    Raises:
        AuthoringError: the slug is no slug, or another class has it.
    """
    slug = cls.get_block_type_slug()
    if not _SLUG.fullmatch(slug):
        raise AuthoringError(
            f"{import_path_of(cls)} would have the slug {slug!r}, which is none: lower-case letters and digits, with "
            "'-' between words. Give the class one: `_block_type_slug = \"...\"`."
        )
    before = _known.get(slug)
    if before is not None and not _is_again(before, cls):
        raise AuthoringError(
            f"{import_path_of(cls)} has the slug {slug!r}, and so has {import_path_of(before)}: a block of it could be "
            'either. Rename one, or give it a slug of its own: `_block_type_slug = "..."`.'
        )
    _known[slug] = cls


def class_of(slug: str) -> type[Block] | None:
    """The class with that slug, if it is defined here."""
    _take_in()
    return _known.get(slug)


def known_types() -> dict[str, type[Block]]:
    """Slug -> class, of all that are defined here; sorted."""
    _take_in()
    return dict(sorted(_known.items()))


def import_path_of(cls: type[Any]) -> str:
    """Where a class is defined, for people: "shop.blocks:Till"."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _take_in() -> None:
    for reference in list(_hollow):
        cls = reference()
        if cls is None or _WHOLE in cls.__dict__:
            with suppress(ValueError):  # another thread was faster
                _hollow.remove(reference)
        if cls is not None and _WHOLE in cls.__dict__:
            _known.setdefault(cls.get_block_type_slug(), cls)


def _is_unpickled() -> bool:
    """Whether it is cloudpickle (its own, or one that another library brings) that makes a class just now."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "_make_skeleton_class" and "cloudpickle" in frame.f_globals.get("__name__", ""):
            return True
        frame = frame.f_back
    return False


def _is_again(before: type[Any], cls: type[Any]) -> bool:
    """Whether a class is one that was defined before: of the same name, in the same module or file."""
    if before.__qualname__ != cls.__qualname__:
        return False
    modules = {before.__module__, cls.__module__}
    return len(modules) == 1 or _is_replayed_script(modules) or (_file(before) == _file(cls) is not None)


def _is_replayed_script(modules: set[str]) -> bool:
    """To replay a script's hooks, what was stored of them by value is of `__main__`, and the script is loaded, too."""
    return "__main__" in modules and any(module.startswith("actwright_replay_") for module in modules)


def _file(cls: type[Any]) -> str | None:
    """Of the module. A script that something imports, too, is two modules of one file."""
    module = sys.modules.get(cls.__module__)
    file = None if module is None else inspect.getattr_static(module, "__file__", None)
    return file if isinstance(file, str) else None
