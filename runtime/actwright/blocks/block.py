"""`Block`: a typed document that is kept by name, with its secrets encrypted."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from actwright.authoring.keeping import Truth, ask, ask_in_thread, checked_name
from actwright.authoring.keys import keyring
from actwright.blocks.documents import Document, read, sealed, secrets_in, unsealed, written
from actwright.blocks.types import class_of, defined, import_path_of, register, slug_from
from actwright.exceptions import (
    AuthoringError,
    BlockExists,
    MisfitBlock,
    UnknownBlock,
    UnknownBlockType,
    WrongBlockType,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from actwright.authoring.entry import Store
    from actwright.authoring.keys import Keyring

__all__ = ["Block"]


class Block(BaseModel):
    """A pydantic model whose instances are saved by name, and loaded wherever the same journal is.

        class Till(Block):
            url: str
            token: SecretStr


        Till(url="https://till.example", token="...").save("main")
        Till.load("main")  # or, where its class need not be named: Block.load("till/main")

    A block is kept in the journal, beside history, for each process that opens it: a hook that runs after its process
    was killed loads it as any other. What has one of pydantic's secret types (`SecretStr`, `SecretBytes`, `Secret[T]`),
    at whatever depth, is encrypted there, with a key that is not there: `$ACTWRIGHT_HOME/secret.key`, made at the first
    use, or the setting `ACTWRIGHT_SECRET_KEY`. Logs, listings and `repr` show it masked. What is pickled, as hooks of a
    script are, has them encrypted too. With `journal="memory"` blocks end with their Runtime.

    The slug of a class is its name in kebab case (`SlackWebhook`: slack-webhook), or `_block_type_slug` where it has
    one. Defining a class makes it known by its slug; two classes with one slug are an `AuthoringError` at the second.

    `load`, `save` and `delete` do their work before they return, in sync and in async code, and what they return may be
    awaited. That blocks the event loop while the file is read or written: for about a millisecond, or for as long as
    another program holds the file. `aload`, `asave` and `adelete` leave that to a thread.
    """

    # Errors would show what does not fit, a secret too; a plain str that is assigned, or a default, becomes a secret.
    model_config = ConfigDict(hide_input_in_errors=True, validate_assignment=True, validate_default=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__pydantic_generic_metadata__["origin"] is None:  # `Box[int]` is a class too, and no type of its own
            defined(cls)

    @classmethod
    def get_block_type_slug(cls) -> str:
        """What blocks of this class are found by: the first part of "slack-webhook/mine"."""
        return cls.__dict__.get("_block_type_slug") or slug_from(cls.__dict__.get("_block_type_name") or cls.__name__)

    @classmethod
    def register(cls) -> None:
        """Have `Block.load` find this class by its slug. Defining the class did so already.

        Raises:
            AuthoringError: the slug is no slug, or another class has it.
        """
        register(cls)

    @classmethod
    def load(cls, name: str) -> Self:
        """The block of that name: "slug/name", or, of a class of its own, "name".

        Raises:
            UnknownBlock: there is none. It is a ValueError.
            UnknownBlockType: nothing that is imported here defines its class.
            WrongBlockType: it is of another class than the one that is asked for it.
            MisfitBlock: it does not fit its class any more.
            SecretKeyError: there is no key for its secrets, or another one.
            CorruptBlock: what is kept of it cannot be read.
            JournalError: the journal cannot be opened, or read.
        """
        return ask(partial(cls._load, name))

    @classmethod
    async def aload(cls, name: str) -> Self:
        """`load`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread."""
        return await ask_in_thread(partial(cls._load, name))

    @classmethod
    def _load(cls, given: str, store: Store) -> Self:
        slug, name = cls._address(given)
        title = f"{slug}/{name}"
        try:
            kept = store.block(slug, name)
        except KeyError:
            raise UnknownBlock(_nothing_there(title, store)) from None
        document = read(title, kept)
        found = cls if slug == cls.get_block_type_slug() else class_of(slug)
        if found is None:
            raise UnknownBlockType(
                f"Block {title!r} is there, and nothing that is imported here defines its class: it was saved by "
                f"{document.made_by}. Import that before."
            )
        if not issubclass(found, cls):
            raise WrongBlockType(
                f"Block {title!r} is a {import_path_of(found)}, no {import_path_of(cls)}. Load it by that class, or by "
                "Block.load()."
            )
        return found._restored(title, document.fields, lambda: keyring(store.own_key, make=False))

    @classmethod
    def _address(cls, given: object) -> tuple[str, str]:
        """The slug and the name that are meant."""
        if isinstance(given, str):
            slug, slash, name = given.partition("/")
            if slash and slug and name:
                return slug, name
            if given and not slash and cls is not Block:
                return cls.get_block_type_slug(), given
        expected = '"slug/name"' if cls is Block else '"name" or "slug/name"'
        raise AuthoringError(f"A block is named {expected} here; got {given!r}.")

    @classmethod
    def _restored(cls, title: str, fields: dict[str, Any], keys: Callable[[], Keyring]) -> Self:
        made = cls._made_of(unsealed(title, fields, keys))
        if not isinstance(made, str):
            return made
        raise MisfitBlock(
            f"Block {title!r} does not fit {import_path_of(cls)} any more: {made}. It stays as it was saved. Have the "
            "class take it (a default, a validator), or save the block anew, with overwrite=True."
        )

    @classmethod
    def _made_of(cls, values: dict[str, Any]) -> Self | str:
        """The block; or why they do not fit, in words. An error of pydantic's has what it was given, secrets among it,
        and so would the context of whatever is raised where it is caught."""
        try:
            return cls.model_validate(values, strict=False, by_alias=False, by_name=True)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in wrong)

    def save(self, name: str, overwrite: bool = False) -> Self:
        """Keep the block by this name. It is committed when this returns; itself is what this returns.

        Raises:
            BlockExists: there is one of that class and name, and `overwrite` is false. It is a ValueError.
            AuthoringError: the name may not be one, or a value is none that JSON has a word for.
            SecretKeyError: there is no key for its secrets, and none can be made.
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(self._save, name, overwrite), changes=True)

    async def asave(self, name: str, overwrite: bool = False) -> Self:
        """`save`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread, and
        what it saves is saved."""
        return await ask_in_thread(partial(self._save, name, overwrite), changes=True)

    def _save(self, name: str, overwrite: bool, store: Store) -> Self:
        slug = self.get_block_type_slug()
        title = f"{slug}/{checked_name('block', name)}"
        if type(self) is Block:
            raise AuthoringError("A Block has no fields to save. Make a class of it: `class MyBlock(Block): ...`.")
        document = written(Document(import_path_of(type(self)), self._sealed(title, lambda: store.own_key)))
        try:
            store.set_block(slug, name, document, overwrite=overwrite)
        except FileExistsError:
            raise BlockExists(f"There is a block {title!r} already. Use overwrite=True to replace it.") from None
        return self

    def _sealed(self, title: str, own_key: Callable[[], bytes | None]) -> dict[str, Any]:
        """Its fields as JSON, secrets encrypted; having seen that it can be read again."""
        keys = cache(lambda: keyring(own_key(), make=True))  # a block without secrets asks for none
        # Validated first: nobody may have checked what was put into a field, and a plain str is not encrypted.
        fitting = self._fitting(title, self.model_dump(round_trip=True, by_alias=False, warnings=False))
        try:
            plain = fitting.model_dump(round_trip=True, by_alias=False)
            if secrets_in(plain) < secrets_in(fitting):
                raise AuthoringError(
                    f"Block {title!r} is not saved: a serializer of its class writes a secret as something else, which "
                    "would not be encrypted. Give that serializer when_used='json'."
                )
            fields: dict[str, Any] = sealed(plain, lambda secret: keys().encrypt(secret))
        except (ValueError, RecursionError) as error:
            raise AuthoringError(f"Block {title!r} has a value that JSON has no word for: {error}.") from error
        self._fitting(title, unsealed(title, fields, keys))
        return fields

    def _fitting(self, title: str, values: dict[str, Any]) -> Self:
        made = self._made_of(values)
        if isinstance(made, str):
            raise AuthoringError(f"Block {title!r} is not saved, since nobody could load it again: {made}.")
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its document: the journal has pickles of what hooks refer to."""
        slug = self.get_block_type_slug()
        return _unpickled, (type(self), slug, self._sealed(slug, lambda: None))

    @classmethod
    def delete(cls, name: str) -> Truth:
        """Forget the block of that name: "slug/name", or, of a class of its own, "name". Whether there was one.

        Raises:
            JournalError: the journal cannot be opened, or written.
        """
        return ask(partial(cls._delete, name), changes=True)

    @classmethod
    async def adelete(cls, name: str) -> bool:
        """`delete`, which a thread does: the event loop goes on. A caller that is cancelled waits for that thread."""
        return bool(await ask_in_thread(partial(cls._delete, name), changes=True))

    @classmethod
    def _delete(cls, given: str, store: Store) -> Truth:
        return Truth(store.unset_block(*cls._address(given)))

    def __await__(self) -> Generator[Any, Any, Self]:
        return self
        yield  # what makes this a generator: awaiting a block never waits


def _unpickled(cls: type[Block], title: str, fields: dict[str, Any]) -> Block:
    return cls._restored(title, fields, partial(keyring, make=False))  # pyright: ignore[reportPrivateUsage]


def _nothing_there(title: str, store: Store) -> str:
    """What to say of a block that is not there: which others are."""
    slug = title.partition("/")[0]
    names = ["/".join(each) for each in store.block_names()]
    alike = [name for name in names if name.startswith(f"{slug}/")] or names
    known = (
        f"There are: {', '.join(alike[:20])}{', ...' if len(alike) > 20 else ''}." if alike else "None is saved yet."
    )
    return f"There is no block {title!r}. {known} A block is saved by its method save()."
