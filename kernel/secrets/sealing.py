"""Values at rest: AES-256-GCM, each bound to its own name and version, so that none can be put in another's place."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexus.schemas.errors import StorageCorrupt

NONCE_BYTES = 12


def seal(key: bytes, name: str, version: int, value: str) -> bytes:
    """Return a value as it is kept."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value.encode(), _bound_to(name, version))


def unseal(key: bytes, name: str, version: int, sealed: bytes) -> str:
    """Return the value. Raises `StorageCorrupt` when it was sealed by another key, or for another name."""
    try:
        opened = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound_to(name, version))
    except (InvalidTag, ValueError):
        raise StorageCorrupt(
            path=f"secret {name}",
            reason="it was sealed by another key",
            hint="Set NEXUS_SECRET, or put the kernel's secret.key back, as it was when the secret was set.",
        ) from None
    return opened.decode()


def _bound_to(name: str, version: int) -> bytes:
    return f"{name}\0{version}".encode()
