"""The keys that secrets are encrypted with. They are never in the journal: who copies that has no secret.

They come from the setting `secret_key`, else from a file beside the journal, which is made when the first secret is to
be kept. Several keys may be there, one a line: the first encrypts, each decrypts what it encrypted. That is how a key
is replaced: a new one goes in front, blocks are saved again, the old one goes.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from actwright.exceptions import SecretKeyError
from actwright.settings import get_current_settings, source_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.fernet import Fernet

__all__ = ["KEY_FILE", "Keyring", "keyring", "new_key"]

logger = logging.getLogger("actwright.blocks")

KEY_FILE: Final = "secret.key"
"""In the folder that history is kept in."""

_HOW_TO_MAKE_ONE: Final = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class Keyring:
    """Keys, each known by a fingerprint, so that a secret tells which one it needs.

    Args:
        keys: as Fernet has them; the first encrypts.
        origin: where they come from, for people.
    """

    def __init__(self, keys: Iterable[bytes], origin: str) -> None:
        from cryptography.fernet import Fernet  # 20 ms: for whoever has secrets

        self.origin = origin
        self._keys: dict[str, Fernet] = {}
        for key in keys:
            try:
                self._keys[_fingerprint(key)] = Fernet(key)
            except ValueError:
                pass
            else:
                continue
            raise SecretKeyError(  # outside of `except`: nothing of a key is shown
                f"{origin} holds something else than a key. A key is made by: {_HOW_TO_MAKE_ONE}"
            )
        if not self._keys:
            raise SecretKeyError(f"{origin} is empty. Put the key back that was there. A new one: {_HOW_TO_MAKE_ONE}")

    def encrypt(self, secret: bytes) -> tuple[str, str]:
        """The fingerprint of the key, and the token."""
        fingerprint, fernet = next(iter(self._keys.items()))
        return fingerprint, fernet.encrypt(secret).decode()

    def decrypt(self, fingerprint: str, token: str) -> bytes:
        """The secret.

        Raises:
            SecretKeyError: it was encrypted with another key.
            ValueError: the token is not what was encrypted.
        """
        from cryptography.fernet import InvalidToken

        fernet = self._keys.get(fingerprint)
        if fernet is None:
            raise SecretKeyError(
                f"A secret was encrypted with another key (fingerprint {fingerprint}) than those of {self.origin} "
                f"({', '.join(self._keys)}). Add that key there, in a line of its own, or save the block anew."
            )
        try:
            return fernet.decrypt(token)
        except InvalidToken:
            raise ValueError("a secret is not what was encrypted") from None


def keyring(own: bytes | None = None, *, make: bool) -> Keyring:
    """The keys of this process.

    Args:
        own: of what ends with a process: the key for it where the settings have none.
        make: make the file if there is none yet; else that is an error.

    Raises:
        SecretKeyError: there is no key, or what is in its place is none.
    """
    given = get_current_settings().secret_key
    if given is not None:
        return Keyring(_lines(given.get_secret_value().encode()), _setting())
    if own is not None:
        return Keyring([own], "this Runtime")
    path = get_current_settings().home / KEY_FILE
    return Keyring(_lines(_read(path, make=make)), str(path))


def _setting() -> str:
    source = source_of("secret_key")
    return source if source == "ACTWRIGHT_SECRET_KEY" else f"secret_key in {source}"


def _lines(text: bytes) -> list[bytes]:
    return text.split()


def _fingerprint(key: bytes) -> str:
    return sha256(b"actwright secret key: " + key).hexdigest()[:8]


def new_key() -> bytes:
    """A key, as Fernet has them."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key()


def _read(path: Path, *, make: bool) -> bytes:
    try:
        with suppress(FileNotFoundError):
            return _checked(path)
        if make:
            _make(path)
            return _checked(path)
    except OSError as error:
        raise SecretKeyError(
            f"The key of secrets cannot be kept in {path}: {error.strerror or error}. See to that, or set "
            f"ACTWRIGHT_SECRET_KEY. A key is made by: {_HOW_TO_MAKE_ONE}"
        ) from error
    raise SecretKeyError(
        f"There is no key of secrets: neither {path} nor ACTWRIGHT_SECRET_KEY. Put back the one that the secrets were "
        "encrypted with; without it nobody can read them."
    )


def _checked(path: Path) -> bytes:
    with open(path, "rb", opener=_at_once) as file:  # Path.open takes no opener
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            _say_once(f"Others can read {path} (mode {mode:04o}), the key of your secrets: chmod 600 {path}")
        return file.read()


def _at_once(path: str, flags: int) -> int:
    """Opening a pipe would wait for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


@cache
def _say_once(warning: str) -> None:
    logger.warning("%s", warning)


def _make(path: Path) -> None:
    """A new key, whole and on disk before anybody can see it. Of several processes that try, one does it.

    A link, unlike a rename, never takes the place of a key that another process has made and used meanwhile.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # the umask may have taken away from it
            file.write(new_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster: its key it is
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Or a power loss could take the key away from what was encrypted with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
