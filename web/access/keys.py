"""The keys of a data folder: made, kept as hashes in `keys.json`, replaced and revoked.

Rule: a key is shown once, when it is made. Its SHA-256 is kept, since no slow hash is needed for 256
random bits. While the file names any key, a revoked or expired one included, nobody gets in without
a key: a key that ends must not open the server to everyone.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from actors.clock import rfc3339, wall_clock
from actors.errors import IllegalState, InvalidRequest, StorageUnavailable
from actors.library.readers import EVERYTHING, Reader
from web.data_folder import FolderUnusable

log = logging.getLogger(__name__)

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""From the least to the most; each includes those before it."""

FILE = "keys.json"
PREFIX = "tz_"
KEY_BYTES = 32
MAX_KEYS = 1_000
MAX_EXPIRY = timedelta(days=3_650)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIFETIME = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. Times are RFC 3339."""

    name: str
    scope: Scope
    sha256: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens the server at this time."""
        expired = self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now
        return self.revoked_at is None and not expired

    def shown(self, secret: str | None = None) -> dict[str, Any]:
        """All but its hash, and the key itself when it has just been made."""
        shown = asdict(self)
        del shown["sha256"]
        return shown | ({"key": secret} if secret else {})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. `name` is that of its key; None: the person who runs the server.

    `key` is the key itself, for programs that pass the request on to a server.
    """

    name: str | None = None
    scope: Scope = "write"
    key: str = ""

    def __repr__(self) -> str:
        return f"Principal({self.name}, {self.scope})"

    @property
    def sees_all(self) -> bool:
        """Whether every task and document is there for it."""
        return self.name is None or self.scope == "admin"

    @property
    def reader(self) -> Reader:
        """Which documents are there for it."""
        return EVERYTHING if self.sees_all else Reader(self.name)

    def may(self, scope: Scope) -> bool:
        """Whether its scope includes this one."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def sees(self, owner: str | None) -> bool:
        """Whether what this owner has is there for it."""
        return self.sees_all or owner == self.name


LOCAL = Principal(scope="admin")
"""The person who runs the server, at its data folder."""

ANYONE = Principal()
"""Anyone on this machine, while there are no keys."""


def lifetime(text: str) -> timedelta:
    """`90d`, `12h`, `30m` or `2w`; raises `InvalidRequest`."""
    parts = _LIFETIME.fullmatch(text.strip())
    length = timedelta(**{_UNITS[parts[2]]: int(parts[1])}) if parts else timedelta()
    if not timedelta() < length <= MAX_EXPIRY:
        raise InvalidRequest(f"{text!r} is no time such as 90d, 12h, 30m or 2w (at most 3650d).")
    return length


class Keys:
    """The keys of a folder; with None, of a system in memory. `token` opens this process's server.

    Only the process that holds the folder changes them. Others may read them at any time.
    """

    def __init__(self, folder: Path | None, now: Callable[[], datetime] = wall_clock) -> None:
        """Raises `FolderUnusable` if the file of the keys cannot be read."""
        self.token = secrets.token_urlsafe(KEY_BYTES)
        self._file = folder / FILE if folder else None
        self._path = str(self._file)
        self._now = now
        self._keys: dict[str, Key] = {}
        self._seen: tuple[int, int, int] | None = None
        self.refresh()

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._keys)

    def principal(self, secret: str) -> Principal | None:
        """Whose key this is, if it is valid. Takes the same time for any text."""
        if hmac.compare_digest(_hash(secret), _hash(self.token)):
            return LOCAL
        found = self._found(secret)
        if found is None or not found.is_valid(self._now()):
            return None
        return Principal(found.name, found.scope, secret)

    def ended(self, secret: str) -> str:
        """How a key of ours has ended, for who holds it; "" if it is none or has not ended."""
        found = self._found(secret)
        if found is None or found.is_valid(self._now()):
            return ""
        return "was revoked" if found.revoked_at else f"expired on {(found.expires_at or '')[:10]}"

    def _found(self, secret: str) -> Key | None:
        found, digest = None, _hash(secret)
        for key in self._keys.values():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def still_opens(self, principal: Principal) -> bool:
        """Whether who was let in as `principal` would be let in now."""
        if principal.name is None:
            return not self._keys or principal == LOCAL
        key = self._keys.get(principal.name)
        return key is not None and key.sha256 == _hash(principal.key) and key.is_valid(self._now())

    def all(self) -> list[Key]:
        """Every key, also those that are revoked or expired, oldest first."""
        return list(self._keys.values())

    def add(
        self, name: str, scope: Scope, expires: timedelta | None, *, take_over: bool = False
    ) -> tuple[Key, str]:
        """A new key and its secret. What a revoked name has is given on only with `take_over`.

        Raises `InvalidRequest`, and `IllegalState` if the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                "A name has letters, digits, dots, hyphens and underscores, 64 at most."
            )
        old = self._keys.get(name)
        if old is not None and old.revoked_at is None:
            raise IllegalState(f"There is a key {name}. `terzetto keys rotate {name}` replaces it.")
        if old is not None and not take_over:
            raise IllegalState(
                f"{name} was revoked. Its tasks and documents are kept; with --take-over the new key "
                "gets them."
            )
        if old is None and len(self._keys) >= MAX_KEYS:
            raise IllegalState(f"There are {MAX_KEYS:,} keys, which is the most.")
        return self._put(name, scope, expires)

    def rotate(self, name: str) -> tuple[Key, str]:
        """Replace a key: the old one ends at once, the new one lives as long from now on."""
        old = self._known(name)
        if old.revoked_at is not None:
            raise IllegalState(
                f"{name} was revoked. Add it again with --take-over to keep its tasks and documents."
            )
        length = None
        if old.expires_at is not None:
            begun = datetime.fromisoformat(old.created_at)
            length = datetime.fromisoformat(old.expires_at) - begun
        return self._put(name, old.scope, length)

    def revoke(self, name: str) -> Key:
        """End a key at once; again: nothing changes. What it has is the admin's from then on."""
        old = self._known(name)
        if old.revoked_at is None:
            self._save({**self._keys, name: replace(old, revoked_at=rfc3339(self._now()))})
        return self._keys[name]

    def refresh(self) -> None:
        """Read the file again if another process has changed it.

        A file that is gone, is damaged or names no key changes nothing while the server runs: without
        keys, the server would be open.
        """
        if self._file is None:
            return
        try:
            seen = _state(os.stat(self._path))  # For each request: `Path.stat` takes longer.
            if seen == self._seen:
                return
            raw = json.loads(self._file.read_text(encoding="utf-8"))
            keys = [_read(one) for one in raw["keys"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError):
            if self._seen is not None:
                log.warning("%s cannot be read; the keys that it had stay in force", self._file)
                self._seen = seen
                return
            raise FolderUnusable(
                f"{self._file} cannot be read. Restore it, or delete it: then no keys are needed."
            ) from None
        self._seen = seen
        if self._keys and not keys:
            log.warning("%s names no key any more; the keys that it had stay in force", self._file)
        else:
            self._keys = {key.name: key for key in keys}

    def _known(self, name: str) -> Key:
        if name not in self._keys:
            raise InvalidRequest(f"There is no key {name}.")
        return self._keys[name]

    def _put(self, name: str, scope: Scope, expires: timedelta | None) -> tuple[Key, str]:
        secret, now = PREFIX + secrets.token_urlsafe(KEY_BYTES), self._now()
        key = Key(
            name, scope, _hash(secret), rfc3339(now), rfc3339(now + expires) if expires else None
        )
        self._save({**self._keys, name: key})
        return key, secret

    def _save(self, keys: dict[str, Key]) -> None:
        """Durable before it is in force. Raises `StorageUnavailable`."""
        if self._file is not None:
            body = json.dumps({"keys": [asdict(key) for key in keys.values()]}, indent=1)
            try:
                _write_durably(self._file, body + "\n")
                self._seen = _state(
                    os.stat(self._path)
                )  # For each request: `Path.stat` takes longer.
            except OSError as error:
                raise StorageUnavailable(f"The keys cannot be kept: {error.strerror}.") from None
        self._keys = keys


def _read(raw: dict[str, Any]) -> Key:
    """A key as it was kept; raises `ValueError` and `TypeError` if it is damaged."""
    key = Key(**raw)
    times = [key.created_at, *(t for t in (key.expires_at, key.revoked_at) if t is not None)]
    zones = [datetime.fromisoformat(time).tzinfo for time in times]
    if None in zones or key.scope not in SCOPES:
        raise ValueError
    if not (_NAME.fullmatch(key.name) and _SHA256.fullmatch(key.sha256)):
        raise ValueError
    return key


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="replace")).hexdigest()


def _state(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _write_durably(file: Path, text: str) -> None:
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as writer:
        writer.write(text)
        writer.flush()
        os.fsync(writer.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
