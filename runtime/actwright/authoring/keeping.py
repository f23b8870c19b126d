"""What variables, blocks and limits of tags have in common: names, where they are kept, answers that may be awaited."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from actwright.authoring.entry import engine, load_engine
from actwright.exceptions import AuthoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from actwright.authoring.entry import EngineEntry, Store

__all__ = ["AtHand", "Truth", "ask", "ask_in_thread", "checked_name"]

T = TypeVar("T")

# No blank and no slash, so that a command line takes it as it is and `slug/name` is in two parts; no dash in front, so
# that a command does not take it for an option.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


class AtHand:
    """What is here already, and may be awaited all the same: that never waits."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Self]:
        return self
        yield  # what makes this a generator


class Truth(int):
    """True or False, which async code may await. (`bool` cannot be subclassed.)"""

    def __await__(self) -> Generator[Any, Any, bool]:
        return bool(self)
        yield  # what makes this a generator: it never waits

    def __repr__(self) -> str:
        return repr(bool(self))

    __str__ = __repr__


def checked_name(kind: str, name: object) -> str:
    """A name under which something of this kind ("variable") may be kept.

    Raises:
        AuthoringError: it may not be; the message has the rule.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise AuthoringError(
        f"A {kind} cannot be named {name!r}. A name has 1 to 255 characters: letters (a-z, A-Z), digits, '_', '-' and "
        "'.', and neither '-' nor '.' in front."
    )


def ask(question: Callable[[Store], T], *, changes: bool = False) -> T:
    """What `question` returns, asked here of the store that the code that asks belongs to. It blocks, for moments.

    Args:
        changes: it changes something. That is refused while code is loaded to replay a hook, since it was done already;
            what only reads (a block that a module loads for its hooks) may be read again.
    """
    return question(_door(changes).store())


async def ask_in_thread(question: Callable[[Store], T], *, changes: bool = False) -> T:
    """The same in async code: a thread asks, and what was begun is waited for also when the caller is cancelled."""
    store = await _door(changes).store_async()
    return await anyio.to_thread.run_sync(question, store)


def _door(changes: bool) -> EngineEntry:
    return engine() if changes else load_engine()
