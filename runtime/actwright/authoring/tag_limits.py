"""`TagLimit`: how many runs with a tag may be Running at once, kept in the journal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actwright.authoring.checks import whole_number
from actwright.authoring.keeping import AtHand, Truth, ask, ask_in_thread

if TYPE_CHECKING:
    from typing import Self

    from actwright.authoring.entry import Store

__all__ = ["TagLimit", "checked_tag"]


class TagLimit(AtHand):
    """How many runs with a tag may be Running at once: `TagLimit.set("db", 3)` in sync code, awaited in async code.

    It is kept in the journal, and holds in all processes on it: at once in the one that sets it, within 50 ms in the
    others. Runs that are Running go on, and those that had no limit when they began are not counted. `actwright limit`
    does the same in a shell.

    `get`, `set` and `delete` do their work before they return, and what they return may be awaited, as with `Variable`;
    `aget`, `aset` and `adelete` leave it to a thread.

    Attributes:
        tag: what is limited.
        slots: how many runs at once; 0 lets none begin, None is no limit.
    """

    __slots__ = ("slots", "tag")

    def __init__(self, tag: str, slots: int | None) -> None:
        self.tag = tag
        self.slots = slots

    @classmethod
    def get(cls, tag: str) -> Self:
        """The limit of a tag; its `slots` are None when it has none.

        Raises:
            JournalError: the journal cannot be opened, or read.
        """
        return ask(partial(cls._get, tag))

    @classmethod
    async def aget(cls, tag: str) -> Self:
        """`get`, which a thread does. A caller that is cancelled waits for that thread."""
        return await ask_in_thread(partial(cls._get, tag))

    @classmethod
    def _get(cls, tag: str, store: Store) -> Self:
        return cls(tag, store.tag_limits().get(tag))

    @classmethod
    def set(cls, tag: str, slots: int) -> Self:
        """Limit a tag, or change its limit. It is committed when this returns.

        Raises:
            TypeError, ValueError: no tag, or not a whole number of at least 0.
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(cls._set, tag, slots), changes=True)

    @classmethod
    async def aset(cls, tag: str, slots: int) -> Self:
        """`set`, which a thread does. A caller that is cancelled waits for that thread, and what it sets is set."""
        return await ask_in_thread(partial(cls._set, tag, slots), changes=True)

    @classmethod
    def _set(cls, tag: str, slots: int, store: Store) -> Self:
        made = cls(checked_tag(tag), whole_number("A limit", slots))
        store.set_tag_limit(tag, slots)
        return made

    @classmethod
    def delete(cls, tag: str) -> Truth:
        """Limit a tag no longer; whether it was. Runs that waited for it go on.

        Raises:
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(cls._delete, tag), changes=True)

    @classmethod
    async def adelete(cls, tag: str) -> bool:
        """`delete`, which a thread does. A caller that is cancelled waits for that thread."""
        return bool(await ask_in_thread(partial(cls._delete, tag), changes=True))

    @classmethod
    def _delete(cls, tag: str, store: Store) -> Truth:
        return Truth(store.unset_tag_limit(tag))

    def __repr__(self) -> str:
        return f"TagLimit({self.tag!r}, {self.slots!r})"


def checked_tag(tag: object) -> str:
    """A tag that may be limited.

    Raises:
        TypeError, ValueError: not a string; or an empty one, or one that cannot be printed.
    """
    if not isinstance(tag, str):
        raise TypeError(f"A tag must be a string; got {tag!r}.")
    if not tag or not tag.isprintable():
        raise ValueError(f"A tag that is limited has at least one character, all printable; got {tag!r}.")
    return tag
