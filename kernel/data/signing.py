"""URLs that the kernel signs: whoever has one may do one thing with one path, for a time."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from nexus.schemas.errors import UrlExpired, UrlRefused
from nexus.schemas.model import rfc3339

MOST_SECONDS = 7 * 86_400
"""No URL is good for longer."""


class UrlSigner:
    """Signs a method, a path, a moment and claims with one key. `now` returns seconds since 1970."""

    def __init__(self, key: bytes, now: Callable[[], float] = time.time) -> None:
        self._key = key
        self._now = now

    def signed(self, method: str, path: str, expires: int, claims: Mapping[str, str] | None = None) -> str:
        """Return the path with a query that proves who made it. `expires` is in seconds since 1970."""
        query = {**(claims or {}), "expires": str(expires)}
        query["signature"] = self._signature(method, path, query)
        return f"{quote(path)}?{urlencode(query)}"

    def check(self, method: str, path: str, query: Mapping[str, str]) -> None:
        """Return when the URL was signed for this and its time has not come. Raises `UrlRefused`, `UrlExpired`."""
        told = dict(query)
        signature = told.pop("signature", "")
        # HEAD asks for no more than GET does.
        expected = self._signature("GET" if method == "HEAD" else method, path, told)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            raise UrlRefused
        # It is ours, and so is the number in it.
        expires = int(told["expires"])
        if not self._now() < expires <= self._now() + MOST_SECONDS + 60:
            raise UrlExpired(expired_at=rfc3339(datetime.fromtimestamp(expires, UTC)))

    def _signature(self, method: str, path: str, query: Mapping[str, str]) -> str:
        # Every part is written with its length: no two requests are signed alike.
        parts = [method, path, *(word for pair in sorted(query.items()) for word in pair)]
        message = b"".join(b"%d:%s," % (len(data), data) for data in (part.encode() for part in parts))
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
