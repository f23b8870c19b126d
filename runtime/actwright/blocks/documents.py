"""What the journal has of a block: its class and its fields, as JSON, with each secret encrypted where it stands.

A secret is an object with the key `$actwright`, as values are that JSON has no word for (see `models.marks`).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import to_jsonable_python

from actwright.exceptions import CorruptBlock
from actwright.models.marks import MASK, SECRETS, SIGN, finite, unmistakable

if TYPE_CHECKING:
    from actwright.authoring.keys import Keyring

__all__ = ["Document", "corrupt", "masked", "read", "sealed", "secrets_in", "unsealed", "written"]

_ANYTHING: Final = TypeAdapter[Any](Any)
_LISTS: Final = (list, tuple, set, frozenset, deque)
_Seal: TypeAlias = "Callable[[bytes], tuple[str, str]]"
_AnySecret: TypeAlias = "SecretStr | SecretBytes | Secret[Any]"


class Document(NamedTuple):
    """What is kept of a block.

    Attributes:
        made_by: where its class was defined, for people: "shop.blocks:Till".
        fields: JSON values, secrets encrypted.
    """

    made_by: str
    fields: dict[str, Any]


def written(document: Document) -> str:
    """A document as the journal keeps it."""
    return json.dumps({"class": document.made_by, "fields": document.fields}, allow_nan=False)


def read(title: str, kept: bytes) -> Document:
    """A document from what the journal has.

    Args:
        title: whose it is: "slack-webhook/mine".

    Raises:
        CorruptBlock: it is none.
    """
    try:
        found = json.loads(kept)
        made_by, fields = found["class"], found["fields"]
        if isinstance(made_by, str) and isinstance(fields, dict):
            return Document(made_by, cast("dict[str, Any]", fields))
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise corrupt(title, "it is no document of a block")


def corrupt(title: str, why: str) -> CorruptBlock:
    """What is wrong with a block whose document cannot be read."""
    return CorruptBlock(
        f"What the journal has of block {title!r} is damaged: {why}. Save it anew, with overwrite=True, or delete it: "
        f"`actwright block delete {title}`."
    )


def sealed(value: Any, seal: _Seal) -> Any:
    """A value as JSON, with its secrets encrypted, at whatever depth.

    Raises:
        ValueError: JSON has no word for something in it.
    """
    if isinstance(value, SECRETS):
        key, token = seal(_plain(cast("_AnySecret", value), seal))
        return {SIGN: "secret", "key": key, "is": token}
    if isinstance(value, Mapping):
        made = {_key(key): sealed(each, seal) for key, each in cast("Mapping[Any, Any]", value).items()}
        if len(made) < len(cast("Mapping[Any, Any]", value)):
            raise ValueError("two keys of a dict are the same in JSON")
        return unmistakable(made)
    if isinstance(value, _LISTS):
        return [sealed(each, seal) for each in cast("Iterable[Any]", value)]
    if isinstance(value, Iterator):
        raise ValueError("an iterator, which reading would use up")
    plain = to_jsonable_python(value)
    if isinstance(plain, int):
        int.__repr__(plain)  # raises for one with more digits than Python reads
    return finite(plain) if isinstance(plain, float) else plain


def _plain(secret: _AnySecret, seal: _Seal) -> bytes:
    """What a secret hides, as JSON that tells which kind of secret it was."""
    hidden = secret.get_secret_value()
    if isinstance(secret, SecretBytes):
        return json.dumps({"bytes": b64encode(cast("bytes", hidden)).decode()}).encode()
    kind = "str" if isinstance(secret, SecretStr) else "value"
    return json.dumps({kind: sealed(_ANYTHING.dump_python(hidden, round_trip=True), seal)}).encode()


def secrets_in(value: Any) -> int:
    """How many secrets a value has, at whatever depth; of a model, those that are not excluded from what it writes."""
    if isinstance(value, SECRETS):
        return 1
    return sum(map(secrets_in, _parts(value)))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, BaseModel):
        named = type(value).model_fields.items()
        return [vars(value).get(name) for name, field in named if not field.exclude] + [value.model_extra]
    if is_dataclass(value):
        known: Mapping[str, Any] = getattr(value, "__pydantic_fields__", {})
        names = [field.name for field in fields(value)]
        return [getattr(value, name) for name in names if not (name in known and known[name].exclude)]
    if isinstance(value, Mapping):
        return [*cast("Mapping[Any, Any]", value), *cast("Mapping[Any, Any]", value).values()]
    return cast("Iterable[Any]", value) if isinstance(value, _LISTS) else ()


def _key(key: object) -> str:
    """The key of an object, as pydantic writes it: a secret in it would be its mask."""
    if secrets_in(key):
        raise ValueError("a secret cannot be a key of a dict")
    (made,) = to_jsonable_python({key: None})
    return str(made)


def unsealed(title: str, value: Any, keys: Callable[[], Keyring]) -> Any:
    """The value again, with a secret type of pydantic's around each secret, so that nothing shows it.

    Args:
        title: whose it is.
        keys: gives the keys; called only where there is a secret.

    Raises:
        CorruptBlock: it is not what was made of it.
        SecretKeyError: its secrets were encrypted with another key.
    """
    try:
        return _unsealed(value, keys)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise corrupt(title, "a value, or a secret, is not what was kept")  # outside of `except`: that might show it


def _unsealed(value: Any, keys: Callable[[], Keyring]) -> Any:
    if isinstance(value, list):
        return [_unsealed(each, keys) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    if SIGN not in found:
        return {key: _unsealed(each, keys) for key, each in found.items()}
    match found[SIGN]:
        case "secret":
            return _secret(json.loads(keys().decrypt(found["key"], found["is"])), keys)
        case "float":
            return float(found["is"])
        case "dict":
            return {key: _unsealed(each, keys) for key, each in found["is"].items()}
        case _:
            raise ValueError(f"no mark: {found[SIGN]!r}")


def _secret(plain: dict[str, Any], keys: Callable[[], Keyring]) -> _AnySecret:
    ((kind, hidden),) = plain.items()
    if kind == "bytes":
        return SecretBytes(b64decode(hidden, validate=True))
    if kind == "str":
        return SecretStr(hidden)
    return Secret[Any](_unsealed(hidden, keys))


def masked(value: Any) -> Any:
    """The value for people: secrets are masked, marks are words. It needs no key. Never raises for what JSON is."""
    try:
        return _masked(value)
    except RecursionError:
        return MASK


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    match found.get(SIGN), found.get("is"):
        case None, _:
            return {key: _masked(each) for key, each in found.items()}
        case "float", str() as number:
            return number
        case "dict", dict():
            return {key: _masked(each) for key, each in cast("dict[str, Any]", found["is"]).items()}
        case _:  # a secret; or what somebody wrote there, which may be one
            return MASK
