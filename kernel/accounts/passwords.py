"""Passwords as they are kept: Argon2id; hashes that scrypt made are accepted, and made anew at the next sign-in.

Hashing takes tens of milliseconds and 19 MiB on purpose: it runs in threads, a few at a time, so that many who sign in
at once take neither the event loop nor the memory.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 4
SCRYPT_MOST_MEMORY = 256 * 1024 * 1024
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash("the password of nobody")
"""Compared with when there is no such user: who is not there takes as long as who is."""


class Checked(NamedTuple):
    """Whether a password is right, and the hash to keep from now on where the kept one is of yesterday."""

    right: bool
    better: str | None = None


class Passwords:
    """Makes and checks hashes of passwords."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what to keep of a password."""
        async with self._turns:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def check(self, password: str, kept: str | None) -> Checked:
        """Compare; with None it takes as long, and is wrong."""
        async with self._turns:
            return await asyncio.to_thread(_check, password, kept)


def _check(password: str, kept: str | None) -> Checked:
    if kept is not None and kept.startswith("scrypt$"):
        right = _scrypt_fits(password, kept)
        return Checked(right, _HASHER.hash(password) if right else None)
    try:
        _HASHER.verify(kept or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return Checked(False)
    if kept is None:
        return Checked(False)
    return Checked(True, _HASHER.hash(password) if _HASHER.check_needs_rehash(kept) else None)


def _scrypt_fits(password: str, kept: str) -> bool:
    """Compare with `scrypt$N$r$p$SALT$HASH`, the last two in base64."""
    try:
        _, n, r, p, salt, digest = kept.split("$")
        wanted = base64.b64decode(digest, validate=True)
        made = hashlib.scrypt(
            password.encode(),
            salt=base64.b64decode(salt, validate=True),
            n=int(n),
            r=int(r),
            p=int(p),
            maxmem=SCRYPT_MOST_MEMORY,
            dklen=len(wanted),
        )
    except (ValueError, binascii.Error, OverflowError, MemoryError):
        return False
    return hmac.compare_digest(made, wanted)
