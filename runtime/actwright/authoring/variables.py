"""`Variable`: small named JSON values that outlive a run."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from actwright.authoring.keeping import AtHand, Truth, ask, ask_in_thread, checked_name
from actwright.exceptions import AuthoringError, UnknownVariable, VariableExists

if TYPE_CHECKING:
    from typing import Self

    from actwright.authoring.entry import Store

__all__ = ["Variable", "json_copy"]

_MISSING = object()


class Variable(AtHand):
    """A named JSON value. `Variable.get("x").value` in sync code; `(await Variable.get("x")).value` in async code.

    Variables are kept in the journal, beside history: each process that opens it sees them, and so does a hook that
    runs after its process was killed. What is set is on disk when `set` returns. With `journal="memory"` they end with
    their Runtime. They are no place for secrets, which a `Block` keeps encrypted.

    `get`, `set` and `unset` do their work before they return, in sync and in async code, and what they return may be
    awaited. That blocks the event loop while the file is read or written: for well below a millisecond, or for as
    long as another program holds the file. `aget`, `aset` and `aunset` leave that to a thread.

    A name has 1 to 255 characters: letters, digits, `_`, `-` and `.`, and neither `-` nor `.` in front. Case counts.

    Attributes:
        name: what it is called.
        value: what it is set to.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    @classmethod
    def get(cls, name: str, default: Any = _MISSING) -> Self:
        """The variable of that name, or one with the default as its value.

        Raises:
            UnknownVariable: there is none, and no default was given. It is a KeyError.
            CorruptVariable: what is kept of it cannot be read.
            JournalError: the journal cannot be opened, or read.
        """
        return ask(partial(cls._get, name, default))

    @classmethod
    async def aget(cls, name: str, default: Any = _MISSING) -> Self:
        """`get`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread."""
        return await ask_in_thread(partial(cls._get, name, default))

    @classmethod
    def _get(cls, name: str, default: Any, store: Store) -> Self:
        try:
            return cls(name, store.variable(name))
        except KeyError:
            if default is not _MISSING:
                return cls(name, default)
        raise UnknownVariable(
            f"There is no variable {name!r}. Set it with Variable.set({name!r}, ...), or give get() a default."
        )

    @classmethod
    def set(cls, name: str, value: Any, overwrite: bool = False) -> Self:
        """Set a variable. It is committed when this returns.

        Raises:
            VariableExists: there is one of that name, and `overwrite` is false. It is a ValueError.
            AuthoringError: the value is not JSON, or the name may not be one.
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(cls._set, name, value, overwrite), changes=True)

    @classmethod
    async def aset(cls, name: str, value: Any, overwrite: bool = False) -> Self:
        """`set`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread, and
        what it sets is set."""
        return await ask_in_thread(partial(cls._set, name, value, overwrite), changes=True)

    @classmethod
    def _set(cls, name: str, value: Any, overwrite: bool, store: Store) -> Self:
        copy = json_copy(checked_name("variable", name), value)
        try:
            store.set_variable(name, copy, overwrite=overwrite)
        except FileExistsError:
            raise VariableExists(f"There is a variable {name!r} already. Use overwrite=True to replace it.") from None
        return cls(name, copy)

    @classmethod
    def unset(cls, name: str) -> Truth:
        """Forget a variable; whether there was one.

        Raises:
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(cls._unset, name), changes=True)

    @classmethod
    async def aunset(cls, name: str) -> bool:
        """`unset`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread."""
        return bool(await ask_in_thread(partial(cls._unset, name), changes=True))

    @classmethod
    def _unset(cls, name: str, store: Store) -> Truth:
        return Truth(store.unset_variable(name))

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {self.value!r})"


def json_copy(name: str, value: object) -> Any:
    """A value as reading its JSON gives it.

    Raises:
        AuthoringError: it is not JSON. NaN and the infinities are not, nor is half a surrogate pair.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise AuthoringError(
            f"Variable {name!r} must be JSON (str, number, bool, None, list, dict): {error}. A secret goes into a "
            "Block."
        ) from error
